import { Ago } from "./time.tsx";

/** The scheduler that led last: whether it still leads, and its last tick. */
export interface SchedulerState {
  readonly up: boolean;
  readonly last_tick: string;
}

/** Says that no scheduler executes queued and due runs, and what to do; nothing while one is up. */
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
      : queued runs wait, and scheduled runs do not start. <code>deno task schedule</code> or{" "}
      <code>deno task start</code> starts one; <code>deno task pipeline work</code>{" "}
      executes queued runs, once.
    </p>
  );
}
