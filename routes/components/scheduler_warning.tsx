import type { PageContext } from "../http/page.ts";
import { Ago } from "./time.tsx";

interface SchedulerState {
  readonly up: boolean;
  readonly last_tick: string;
  readonly lag_ms: number;
}

/** The scheduler as the run store knows it; null where none ever ran. */
export async function schedulerOf(
  { runs }: Pick<PageContext, "runs">,
  now: number,
): Promise<SchedulerState | null> {
  const leader = await runs.leader();
  if (leader === null) return null;
  const { last_tick, lag_ms, live_until } = leader;
  return { up: Date.parse(live_until) > now, last_tick, lag_ms };
}

/** Says that nobody takes up what is queued or due, and what to do; nothing while a scheduler is up. */
export function SchedulerWarning({ scheduler, now }: { scheduler: SchedulerState | null; now?: number }) {
  if (scheduler?.up) return null;
  return (
    <p class="warning" role="note">
      <strong>No scheduler is running</strong>
      {scheduler !== null && now !== undefined && (
        <>
          {" "}(the last sign of one came <Ago at={scheduler.last_tick} now={now} />)
        </>
      )}
      : queued runs wait, and nothing is made when it is due. <code>deno task schedule</code> or{" "}
      <code>deno task start</code> starts one; <code>deno task pipeline work</code>{" "}
      executes what is queued, once.
    </p>
  );
}
