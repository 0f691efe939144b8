import assert from "node:assert/strict";
import {
  snapshotAnomalies,
  snapshotsOf,
  type StoreSnapshot,
} from "../../../lib/data_checks/store_snapshot.ts";

const AT = Date.parse("2026-05-01T00:00:00Z");
const survey = (rest: Partial<StoreSnapshot> = {}): StoreSnapshot => ({
  counts: { messages: 100, events: 50 },
  model: "m",
  centre: [1, 0, 0],
  ...rest,
});
const judge = (survey: StoreSnapshot, ...earlier: StoreSnapshot[]) =>
  snapshotAnomalies(survey, earlier, { now: AT, all: false });

Deno.test("surveyAnomalies() compares with the survey before, and has nothing to say without one", () => {
  assert.deepEqual(judge(survey({ counts: { messages: 0 } })), []);
  assert.deepEqual(judge(survey(), survey()), []);
  assert.deepEqual(judge(survey({ counts: { messages: 60, events: 70 } }), survey()), []);
});

Deno.test("surveyAnomalies() reports a store that lost all rows as critical, and one that lost half as a warning", () => {
  const found = judge(survey({ counts: { messages: 0, events: 20 } }), survey());
  assert.deepEqual(found.map(({ code, severity, subject }) => [code, severity, subject]), [
    ["messages_emptied", "critical", { kind: "store", store: "documents" }],
    ["events_shrunk", "warning", { kind: "store", store: "analytics" }],
  ]);
  const empty = survey({ counts: { messages: 0, events: 20 } });
  assert.deepEqual(judge(empty, survey(), empty), [], "it is reported once, after a check that passed");
  const meant = snapshotAnomalies(empty, [survey()], { now: AT, all: true });
  assert.deepEqual(meant.map(({ severity }) => severity), ["warning", "warning"]);
});

Deno.test("surveyAnomalies() reports that the profiles' mean has moved, within one model", () => {
  const moved = survey({ centre: [0.8, 0.6, 0] });
  const [shifted, ...others] = judge(moved, survey(), survey());
  assert.deepEqual(others, []);
  assert.equal(shifted?.code, "vectors_shifted");
  assert.ok(Math.abs(shifted.figure - 0.2) < 1e-9);
  assert.deepEqual(judge({ ...moved, model: "other" }, survey()), []);
  assert.deepEqual(judge(survey({ centre: [0.999, 0.04, 0] }), survey()), [], "a little is nothing");
  assert.deepEqual(judge(survey({ centre: null }), survey()), []);
});

Deno.test("surveysOf() skips other values", () => {
  const output = (output: unknown) => ({
    run_id: "r",
    created_at: "",
    ended_at: null,
    state: "success" as const,
    output: output as never,
  });
  const good = survey();
  assert.deepEqual(snapshotsOf([output({ survey: good }), output(null), output({ findings: [] })]), [good]);
});
