import assert from "node:assert/strict";
import {
  evaluateRule,
  type NeedCounts,
  NO_OUTCOMES,
  type RuleResult,
} from "../../../lib/dag/trigger_rules.ts";
import { TRIGGER_RULES, type TriggerRule } from "../../../lib/dag/types.ts";

/** The state of a need; null while it has not ended. */
type Need = "success" | "failed" | "skipped" | "upstream_failed" | null;
const ENDED = ["success", "failed", "skipped", "upstream_failed"] as const;
const NEEDS: readonly Need[] = [...ENDED, null];

/**
 * The result of each rule for needs that have all ended, read off the sentences of Airflow's documentation and written for
 * reading, not for speed: when the task runs, and as what it ends otherwise.
 */
const MEANING: Record<TriggerRule, (needs: readonly Need[]) => RuleResult> = {
  all_success: (needs) =>
    needs.every(is("success")) ? "start" : needs.some(isFailure) ? "upstream_failed" : "skipped",
  all_failed: (needs) => needs.every(isFailure) ? "start" : "skipped",
  all_done: () => "start",
  all_done_min_one_success: (needs) =>
    needs.some(is("success")) ? "start" : needs.some(isFailure) ? "upstream_failed" : "skipped",
  all_skipped: (needs) => needs.every(is("skipped")) ? "start" : "skipped",
  one_failed: (needs) => needs.some(isFailure) ? "start" : "skipped",
  one_success: (needs) =>
    needs.some(is("success")) ? "start" : needs.some(isFailure) ? "upstream_failed" : "skipped",
  one_done: (needs) => needs.some(is("success")) || needs.some(is("failed")) ? "start" : "skipped",
  none_failed: (needs) => needs.some(isFailure) ? "upstream_failed" : "start",
  none_failed_min_one_success: (needs) =>
    needs.some(isFailure) ? "upstream_failed" : needs.some(is("success")) ? "start" : "skipped",
  none_skipped: (needs) => needs.some(is("skipped")) ? "skipped" : "start",
  always: () => "start",
};

/** Rules that Airflow documents as not waiting for all needs. */
const EAGER: readonly TriggerRule[] = ["one_failed", "one_success", "one_done", "always"];

const is = (what: Need) => (need: Need) => need === what;
const isFailure = (need: Need) => need === "failed" || need === "upstream_failed";

function* combinations(of: readonly Need[], length: number): Generator<Need[]> {
  if (length === 0) return yield [];
  for (const rest of combinations(of, length - 1)) for (const need of of) yield [...rest, need];
}

/** All ways in which the needs that have not ended may still end. */
function futures(needs: readonly Need[]): Need[][] {
  return [...combinations(ENDED, needs.length)].filter((ended) =>
    needs.every((need, i) => need === null || need === ended[i])
  );
}

function counts(needs: readonly Need[]): NeedCounts {
  const found = { total: needs.length, ...NO_OUTCOMES };
  for (const need of needs) if (need !== null) found[need]++;
  return found;
}

for (const rule of TRIGGER_RULES) {
  Deno.test(`evaluateRule() gives ${rule} its documented meaning for every end of 1 to 3 needs`, () => {
    for (const length of [1, 2, 3]) {
      for (const needs of combinations(ENDED, length)) {
        assert.equal(evaluateRule(rule, counts(needs)), MEANING[rule](needs), `${rule} of ${needs}`);
      }
    }
  });

  Deno.test(`evaluateRule() answers ${rule} early only with what every future confirms`, () => {
    for (const length of [1, 2, 3]) {
      for (const needs of combinations(NEEDS, length)) {
        const verdict = evaluateRule(rule, counts(needs));
        const ends = new Set(futures(needs).map((future) => MEANING[rule](future)));
        if (verdict !== "wait") assert.deepEqual([...ends], [verdict], `${rule} of ${needs}`);
        else assert.ok(needs.includes(null), `${rule} waits for nothing at ${needs}`);
      }
    }
  });
}

Deno.test("evaluateRule() starts rules that need not wait as soon as they can", () => {
  for (const rule of EAGER) {
    for (const needs of combinations(NEEDS, 3)) {
      const sure = futures(needs).every((future) => MEANING[rule](future) === "start");
      if (sure) assert.equal(evaluateRule(rule, counts(needs)), "start", `${rule} of ${needs}`);
    }
  }
});
