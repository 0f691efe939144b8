import type { TaskState } from "../stores/runs/port.ts";
import type { TriggerRule } from "./types.ts";

/** How many of a task's needs have ended, by outcome. */
export interface NeedCounts {
  readonly total: number;
  readonly success: number;
  readonly skipped: number;
  /** `failed`, `cancelled`. */
  readonly failed: number;
  readonly upstream_failed: number;
}

export const NO_OUTCOMES = Object.freeze({ success: 0, skipped: 0, failed: 0, upstream_failed: 0 });

/** Result of a rule: start, wait for more needs to end, or end without running. */
export type RuleResult = "start" | "wait" | "skipped" | "upstream_failed";

/**
 * Airflow's trigger rules as a pure function. A rule returns a result as soon as later outcomes cannot change it, so the order
 * in which needs end does not matter. See "Trigger Rules" in Airflow's documentation of DAGs.
 */
export function evaluateRule(rule: TriggerRule, n: NeedCounts): RuleResult {
  const failed = n.failed + n.upstream_failed;
  const open = n.total - n.success - n.skipped - failed;
  const ended = (result: RuleResult): RuleResult => open === 0 ? result : "wait";
  switch (rule) {
    case "always":
      return "start";
    case "all_success":
      if (failed > 0) return "upstream_failed";
      return ended(n.skipped > 0 ? "skipped" : "start");
    case "all_failed":
      return n.success + n.skipped > 0 ? "skipped" : ended("start");
    case "all_done":
      return ended("start");
    case "all_done_min_one_success":
      if (n.success > 0) return ended("start");
      return ended(failed > 0 ? "upstream_failed" : "skipped");
    case "all_skipped":
      return n.success + failed > 0 ? "skipped" : ended("start");
    case "one_failed":
      return failed > 0 ? "start" : ended("skipped");
    case "one_success":
      if (n.success > 0) return "start";
      return ended(failed > 0 ? "upstream_failed" : "skipped");
    case "one_done":
      return n.success + n.failed > 0 ? "start" : ended("skipped");
    case "none_failed":
      return failed > 0 ? "upstream_failed" : ended("start");
    case "none_failed_min_one_success":
      if (failed > 0) return "upstream_failed";
      return ended(n.success > 0 ? "start" : "skipped");
    case "none_skipped":
      return n.skipped > 0 ? "skipped" : ended("start");
  }
}

/** Refuses a rule that could never fire, because the task has no needs. */
export function checkRule(
  task: { id: string; needs?: readonly string[]; trigger?: TriggerRule },
  fault: (message: string) => Error,
): void {
  const rule = task.trigger ?? "all_success";
  const result = evaluateRule(rule, { total: 0, ...NO_OUTCOMES });
  if ((task.needs ?? []).length === 0 && result !== "start") {
    throw fault(`task "${task.id}" has the rule ${rule}, which can never fire without needs`);
  }
}

/** The count of {@link NeedCounts} that a state adds to; null for a task that has not ended. */
export function outcomeOf(state: TaskState): keyof typeof NO_OUTCOMES | null {
  switch (state) {
    case "success":
    case "skipped":
      return state;
    case "removed":
      return "skipped";
    case "upstream_failed":
      return "upstream_failed";
    case "failed":
    case "cancelled":
      return "failed";
    case "waiting":
    case "ready":
    case "running":
      return null;
  }
}
