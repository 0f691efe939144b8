import { type AttemptRecord, type RunSnapshot, type TaskState } from "../stores/runs/port.ts";
import { instancesOf } from "./state.ts";
import { outcomeOf } from "./trigger_rules.ts";

/** A mapped task as a whole. Rows are those of its instances' newest attempts. */
export interface MappedSummary {
  /** How many of its instances are in each state that occurs. */
  readonly counts: Readonly<Partial<Record<TaskState, number>>>;
  /** When the first of its instances began, and, if all have ended, when the last one did: ISO 8601. */
  readonly started_at: string | null;
  readonly ended_at: string | null;
  /** Attempts of all instances. */
  readonly attempts: number;
  readonly rows_in: number;
  readonly rows_out: number;
  readonly quarantined: number;
}

/** Sums up each mapped task of a run that has its instances, by id. */
export function summarizeMapped(
  { tasks, attempts }: Pick<RunSnapshot, "tasks" | "attempts">,
): Map<string, MappedSummary> {
  const byTask = Map.groupBy(attempts, ({ task_id }) => task_id);
  return new Map(
    instancesOf(tasks).entries().map(([task_id, instances]) => {
      const own = instances.flatMap((instance) => byTask.get(instance.task_id) ?? []);
      const newest = instances.flatMap((instance) => byTask.get(instance.task_id)?.at(-1) ?? []);
      const rows = (key: "rows_in" | "rows_out" | "quarantined") =>
        newest.reduce((sum, attempt) => sum + attempt[key], 0);
      const times = (key: "started_at" | "ended_at", of: readonly AttemptRecord[]) =>
        of.flatMap((one) => one[key] ?? []).sort();
      const isOver = instances.every(({ state }) => outcomeOf(state) !== null);
      const states = Map.groupBy(instances, ({ state }) => state);
      return [task_id, {
        counts: Object.fromEntries(states.entries().map(([state, { length }]) => [state, length])),
        started_at: times("started_at", own)[0] ?? null,
        ended_at: isOver ? times("ended_at", newest).at(-1) ?? null : null,
        attempts: own.length,
        rows_in: rows("rows_in"),
        rows_out: rows("rows_out"),
        quarantined: rows("quarantined"),
      }];
    }),
  );
}

/** The counts as a text: `998 success, 2 failed`. */
export function countsText({ counts }: Pick<MappedSummary, "counts">): string {
  return Object.entries(counts).map(([state, count]) => `${count} ${state}`).join(", ");
}
