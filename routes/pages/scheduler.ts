import type { SchedulerState } from "../components/scheduler_warning.tsx";
import type { PageContext } from "../http/page.ts";

/** The scheduler as the run store knows it; null if none ever ran. */
export async function readScheduler({ runs }: PageContext, now: number): Promise<SchedulerState | null> {
  const leader = await runs.leader();
  return leader && { up: Date.parse(leader.live_until) > now, last_tick: leader.last_tick };
}
