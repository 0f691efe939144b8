import assert from "node:assert/strict";
import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import { type AnomalyOptions, detectAnomalies } from "../../../lib/monitoring/anomalies.ts";
import type { Anomaly } from "../../../lib/monitoring/anomaly.ts";
import type { WatchedRuns } from "../../../lib/monitoring/run_history.ts";
import type { RunHistory, TaskOutput } from "../../../lib/stores/runs/port.ts";
import { cleanWorld, DAG, NIGHT, night } from "../../fixtures/monitoring.ts";

const { schedule: _, ...UNSCHEDULED } = DAG;
const WATCHED = { ...UNSCHEDULED, tasks: [...DAG.tasks, { id: "gate", role: "check" }] };
const nights = [0, 1, 2, 3].map((n) => night(n, DAG.tasks.map(() => ({ rows_in: 9, rows_out: 9, ms: 9 }))));

const finding = (n: number, code: string, subject: Anomaly["subject"]): Anomaly => ({
  code,
  severity: "warning",
  subject,
  figure: 1,
  expected: 2,
  unit: "rows",
  since: iso(NIGHT + n * DAY_MS),
  run_id: null,
  text: "it is so",
});
const ofStore = (n: number) => finding(n, "events_shrunk", { kind: "store", store: "analytics" });
const ofStage = (n: number) => finding(n, "rows_unusual", { kind: "task", dag_id: "d", task_id: "ingest" });
const endOf = (n: number) => iso(NIGHT + n * DAY_MS + 500);

/** A run store in which the check of each night left these findings; null for a night without a check. */
function storeOf(
  found: readonly (readonly Anomaly[] | null)[],
  history: readonly RunHistory[] = nights,
): WatchedRuns {
  const outputs = found.flatMap((findings, n): TaskOutput[] => {
    const made = { run_id: `night ${n}`, created_at: iso(NIGHT + n * DAY_MS), ended_at: endOf(n) };
    return findings === null ? [] : [{ ...made, state: "success", output: { findings: findings as never } }];
  });
  return {
    history: () => Promise.resolve(history.toReversed()),
    outputs: () => Promise.resolve(outputs.toReversed()),
    lastScheduled: () => Promise.resolve(null),
    paused: () => Promise.resolve([]),
    leader: () => Promise.resolve(null),
    acknowledgements: () => Promise.resolve([]),
  };
}

const look = (runs: WatchedRuns, more: Partial<AnomalyOptions> = {}) =>
  detectAnomalies({
    runs,
    analytics: { daily: () => Promise.resolve([]), published: () => Promise.resolve(null) },
    dags: [WATCHED],
    clock: { now: () => NIGHT + 3 * DAY_MS + DAY_MS / 2 },
    ...more,
  });
const spans = (found: readonly Anomaly[]) => found.map(({ code, since, until }) => [code, since, until]);

Deno.test("detectAnomalies() takes what consecutive checks found for one anomaly, since the first of them", async () => {
  const { open, past } = await look(storeOf([[], [ofStore(1)], [ofStore(2)], [ofStore(3)]]));
  assert.deepEqual([spans(open), past], [[["events_shrunk", iso(NIGHT + DAY_MS), undefined]], []]);
  assert.equal(open[0]?.run_id, "night 3");
});

Deno.test("detectAnomalies() calls past what the next check did not find again", async () => {
  const { open, past } = await look(storeOf([[ofStore(0)], [ofStore(1), ofStage(1)], [], []]));
  assert.deepEqual(open, []);
  assert.deepEqual(spans(past).toSorted(), [
    ["events_shrunk", iso(NIGHT), endOf(2)],
    ["rows_unusual", iso(NIGHT + DAY_MS), endOf(2)],
  ]);
});

Deno.test("detectAnomalies() ends the anomalies of a run's stages with the next run, even without a check", async () => {
  const { open, past } = await look(storeOf([[], [], [ofStage(2), ofStore(2)], null]));
  assert.deepEqual(spans(open), [["events_shrunk", iso(NIGHT + 2 * DAY_MS), undefined]]);
  assert.deepEqual(spans(past), [["rows_unusual", iso(NIGHT + 2 * DAY_MS), nights[3]!.run.ended_at]]);
  const newest = await look(storeOf([[], [], [], [ofStage(3)]]));
  assert.deepEqual([newest.open, newest.past], [[], []], "the newest run is in the history");
});

Deno.test("detectAnomalies() passes over outputs that hold no findings", async () => {
  const strange = [{ findings: "many" }, { findings: [{ code: 1 }] }, 7].map((output) => output as never);
  const runs = storeOf([]);
  const outputs = strange.map((output, n) => ({
    run_id: `night ${n}`,
    created_at: "",
    ended_at: null,
    state: "success" as const,
    output,
  }));
  const { open, past } = await look({ ...runs, outputs: () => Promise.resolve(outputs) });
  assert.deepEqual([open, past], [[], []]);
});

Deno.test("detectAnomalies() puts critical anomalies first, and returns plain JSON", async () => {
  const failed = { ...nights[3]!, run: { ...nights[3]!.run, state: "failed" as const } };
  const found = await look(storeOf([[], [], [ofStore(2)], null], nights.with(3, failed)));
  assert.deepEqual(found.open.map(({ code }) => code), ["run_failed", "events_shrunk"]);
  assert.deepEqual(JSON.parse(JSON.stringify(found)), found);
});

Deno.test("detectAnomalies() returns past anomalies newest first, whatever their kind", async () => {
  const ofGraph = (n: number) => finding(n, "edges_shrunk", { kind: "store", store: "graph" });
  const { open, past } = await look(storeOf([[ofStore(0)], [ofStage(1)], [ofGraph(2)], []]));
  assert.deepEqual(open, []);
  assert.deepEqual(past.map(({ code }) => code), ["edges_shrunk", "rows_unusual", "events_shrunk"]);
  const turned = await look(storeOf([[ofGraph(0)], [ofStore(1)], [ofStage(2)], []]));
  assert.deepEqual(turned.past.map(({ code }) => code), ["rows_unusual", "events_shrunk", "edges_shrunk"]);
});

Deno.test("detectAnomalies() reports past anomalies of engagement, as far back as requested", async () => {
  const { days } = cleanWorld(5, 40);
  const fallen = days.with(30, { ...days[30]!, impressions: 0, clicks: 0, conversions: 0 });
  const clock = { now: () => NIGHT + 39 * DAY_MS + DAY_MS / 2 };
  const analytics = { daily: () => Promise.resolve(fallen), published: () => Promise.resolve(null) };
  const asked = async (days: number) => spans((await look(storeOf([]), { analytics, clock, days })).past);
  const [since, until] = [30, 31].map((n) => iso(Date.parse(days[n]!.day)));
  assert.deepEqual([await asked(30), await asked(5)], [[["engagement_drop", since, until]], []]);
});
