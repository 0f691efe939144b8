import { iso } from "../core/clock.ts";
import { nextOccurrences } from "../dag/schedule.ts";
import type { Anomaly } from "./anomaly.ts";
import type { RunHistory } from "../stores/runs/port.ts";
import type { WatchedDag, WatchedRuns } from "./run_history.ts";

/** How long after its time a run may come into being. A scheduler looks every second or so; servers restart. */
const GRACE_MS = 600_000;
/** Missed times that are counted at most. */
const MAX_MISSED = 100;

/**
 * Times at which the schedule was due and no run was made. A dag that is paused, or that no scheduler has made a run of
 * yet, misses nothing.
 */
export async function lateRunAnomalies(
  runs: Pick<WatchedRuns, "lastScheduled" | "paused">,
  { id, schedule }: WatchedDag,
  now: number,
): Promise<Anomaly[]> {
  if (schedule === undefined) return [];
  const last = await runs.lastScheduled({ dag_id: id, until: iso(now) });
  if (last === null || (await runs.paused()).includes(id)) return [];
  const due = nextOccurrences(schedule, Date.parse(last), MAX_MISSED).map((each) => each.due);
  const missed = due.filter((at) => at <= now - GRACE_MS);
  if (missed[0] === undefined) return [];
  const since = iso(missed[0]);
  const cause = `A run of ${id} is late: it was due at ${since} and has not started`;
  return [{
    code: "run_late",
    severity: "critical",
    subject: { kind: "dag", dag_id: id },
    figure: missed.length,
    expected: 0,
    unit: "runs",
    since,
    run_id: null,
    cause,
    text: `${cause}; keep \`deno task schedule\` (or \`deno task start\`) running, and catch up by ` +
      `\`deno task pipeline run ${id}\``,
  }];
}

/** Scheduled runs that were made long after they were due, of a history that is newest first. */
export function pastLateRuns({ id }: WatchedDag, history: readonly RunHistory[]): Anomaly[] {
  return history.flatMap(({ run: { run_id, trigger, logical_date, created_at } }) => {
    const late = Date.parse(created_at) - Date.parse(logical_date);
    if (trigger !== "schedule" || late <= GRACE_MS) return [];
    return [{
      code: "run_late",
      severity: "warning",
      subject: { kind: "dag", dag_id: id },
      figure: late,
      expected: 0,
      unit: "ms",
      since: logical_date,
      until: created_at,
      run_id,
      text:
        `${id} was due at ${logical_date} and its run was made at ${created_at}: no scheduler ran in between, ` +
        `or ${id} was paused`,
    }];
  });
}

/** Whether a scheduler is missing while some dag has a schedule: one that has gone silent, or that never was. */
export async function schedulerAnomalies(
  runs: Pick<WatchedRuns, "leader">,
  dags: readonly WatchedDag[],
  now: number,
): Promise<Anomaly[]> {
  if (!dags.some(({ schedule, on_datasets }) => schedule !== undefined || on_datasets !== undefined)) {
    return [];
  }
  const leader = await runs.leader();
  if (leader === null) return [neverScheduled(now)];
  const silent_ms = now - Date.parse(leader.live_until);
  if (silent_ms < 0) return [];
  return [{
    code: "scheduler_silent",
    severity: silent_ms < GRACE_MS ? "warning" : "critical",
    subject: { kind: "scheduler" },
    figure: now - Date.parse(leader.last_tick),
    expected: 0,
    unit: "ms",
    since: leader.last_tick,
    run_id: null,
    cause: NO_SCHEDULER,
    text: `${NO_SCHEDULER}: the last sign of one is from ${leader.last_tick}; ${START_ONE}`,
  }];
}

const NO_SCHEDULER = "No scheduler is running, so no run starts by itself";
const START_ONE =
  "start `deno task schedule` (or `deno task start`) and keep it running, or set PARLEY_SCHEDULE=off " +
  "if something else starts the runs";

function neverScheduled(now: number): Anomaly {
  return {
    code: "scheduler_missing",
    severity: "warning",
    subject: { kind: "scheduler" },
    figure: 0,
    expected: 1,
    unit: "schedulers",
    since: iso(now),
    run_id: null,
    cause: NO_SCHEDULER,
    text: `${NO_SCHEDULER}: there has never been one; ${START_ONE}`,
  };
}
