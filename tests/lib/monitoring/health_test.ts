import assert from "node:assert/strict";
import { iso } from "../../../lib/core/clock.ts";
import type { Published } from "../../../lib/core/types.ts";
import type { OpenAnomaly } from "../../../lib/monitoring/acknowledge.ts";
import { anomalyId, type Severity } from "../../../lib/monitoring/anomaly.ts";
import { HEALTH_STATUSES, type HealthFacts, healthOf } from "../../../lib/monitoring/health.ts";
import type { RunRecord } from "../../../lib/stores/runs/port.ts";
import { runOf, T0 } from "../../fixtures/runs.ts";

const PUBLISHED: Published = { version: 3, previous: 2, run_id: "r", model: "m", at: iso(T0) };
const ran = (rest: Partial<RunRecord>) =>
  runOf("r", { dag_id: "nightly", state: "success", ended_at: iso(T0), ...rest });
const DONE = ran({});
const IDLE = ran({ error: "every source is unchanged" });
const FAILED = ran({ state: "failed", error: "embed: no" });

function open(code: string, severity: Severity, is: "open" | "known" = "open"): OpenAnomaly {
  const anomaly = {
    code,
    severity,
    subject: { kind: "dag", dag_id: "nightly" } as const,
    figure: 1,
    expected: 0,
    unit: "runs" as const,
    since: iso(T0),
    run_id: null,
    text: `${code} is wrong; mend it`,
  };
  const acknowledged = is === "open" ? null : { by: "Ann", at: iso(T0), until: iso(T0 + 1) };
  return { ...anomaly, id: anomalyId(anomaly), acknowledged };
}

/** Each fact, with the status that it alone leads to. */
const CASES:
  readonly (readonly [name: string, facts: Partial<HealthFacts>, status: string, cause: RegExp])[] = [
    ["fine", { latest: DONE }, "ok", /^Everything is fine$/],
    ["no run in the window", { latest: null }, "ok", /^Everything is fine$/],
    ["nothing new", { latest: IDLE }, "nothing_new", /^Nothing new: every source is unchanged$/],
    ["never run", { published: null, latest: null }, "empty", /^Nothing has run yet$/],
    [
      "first run",
      { published: null, latest: null, running: true },
      "empty",
      /^The first run is in progress$/,
    ],
    ["never published", { published: null, latest: DONE }, "empty", /^Nothing is published yet$/],
    ["not known what is published", { published: "unknown", latest: DONE }, "ok", /fine/],
    [
      "source gone",
      { open: [open("source_unreadable", "critical")] },
      "critical",
      /^source_unreadable is wrong$/,
    ],
    ["failed", { latest: FAILED, open: [open("run_failed", "critical")] }, "critical", /^run_failed/],
    ["late", { open: [open("run_late", "critical")] }, "critical", /^run_late/],
    ["scheduler dead", { open: [open("scheduler_silent", "critical")] }, "critical", /^scheduler_silent/],
    ["no scheduler", { open: [open("scheduler_missing", "warning")] }, "warning", /^scheduler_missing/],
    ["store down", { open: [open("store_unreachable", "critical")] }, "critical", /^store_unreachable/],
    ["slow stage", { open: [open("stage_slow", "warning")] }, "warning", /^stage_slow/],
    ["for information", { open: [open("engagement_silent", "info")] }, "ok", /fine/],
    [
      "known",
      { open: [open("run_failed", "critical", "known")] },
      "acknowledged",
      /^Known and acknowledged: run_failed/,
    ],
    ["known, for information", { open: [open("engagement_silent", "info", "known")] }, "ok", /fine/],
  ];

const facts = (...parts: readonly Partial<HealthFacts>[]): HealthFacts => ({
  ...{ published: PUBLISHED, latest: DONE, running: false },
  ...Object.assign({}, ...parts),
  open: parts.flatMap((each) => each.open ?? []),
});

for (const [name, given, status, cause] of CASES) {
  Deno.test(`healthOf() is ${status}: ${name}`, () => {
    const health = healthOf(facts(given));
    assert.equal(health.status, status);
    assert.match(health.cause, cause);
    assert.doesNotMatch(health.cause, /\n/);
    if (status !== "ok") {
      assert.notEqual(health.next_step, "", "it says what to do, or what else there is to say");
    }
  });
}

Deno.test("healthOf() of any two facts is as bad as the worse of them", () => {
  const rank = (status: string) => HEALTH_STATUSES.findIndex((each) => each === status);
  let pairs = 0;
  for (const [one, a, ,] of CASES) {
    for (const [other, b] of CASES) {
      // Two facts about the one last run, or about what is published, cannot both be so.
      const clash = ["latest", "published", "running"].some((key) => key in a && key in b);
      if (clash) continue;
      pairs++;
      const [alone, both] = [[a, b].map((each) => healthOf(facts(each)).status), healthOf(facts(a, b))];
      assert.equal(both.status, HEALTH_STATUSES[Math.min(...alone.map(rank))], `${one} and ${other}`);
    }
  }
  assert.ok(pairs > 100, `${pairs} pairs`);
});

Deno.test("healthOf() gives as the cause the fault that the others may come of", () => {
  const all = ["run_late", "run_failed", "source_unreadable", "scheduler_silent", "store_unreachable"];
  const causes = all.map((_, i) =>
    healthOf(facts({ open: all.slice(0, all.length - i).map((code) => open(code, "critical")) })).cause
  );
  assert.deepEqual(causes.map((cause) => cause.split(" ")[0]), all.toReversed());
});

Deno.test("healthOf() counts open anomalies, and acknowledged ones separately", () => {
  const { critical, warnings, acknowledged } = healthOf(facts({
    open: [
      ...[open("a", "critical"), open("b", "warning"), open("c", "warning"), open("d", "info")],
      ...[open("e", "critical", "known"), open("f", "warning", "known")],
    ],
  }));
  assert.deepEqual([critical, warnings, acknowledged], [1, 2, 2]);
});
