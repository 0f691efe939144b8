import assert from "node:assert/strict";
import { iso } from "../../../lib/core/clock.ts";
import type { JsonObject } from "../../../lib/core/types.ts";
import { eventsOf } from "../../../lib/lineage/events.ts";
import type { UnsentAttempt } from "../../../lib/stores/runs/port.ts";
import {
  brokenEvents,
  ENDS,
  eventPair,
  eventsOfAllEnds,
  input,
  ORIGIN,
  output,
  SECRET,
  unsent,
} from "../../fixtures/lineage_events.ts";
import { assertOpenLineage } from "../../fixtures/openlineage.ts";
import { T0, useOf } from "../../fixtures/runs.ts";

const body = ({ _producer, _schemaURL, ...rest }: JsonObject) => rest;
const facet = (of: JsonObject, name: string) => body((of as Record<string, JsonObject>)[name]!);

Deno.test("eventsOf() gives a start and an end, one run of a job within a run of its dag", () => {
  const [start, end] = eventPair(unsent());
  assert.deepEqual([start.eventType, start.eventTime], ["START", iso(T0)]);
  assert.deepEqual([end.eventType, end.eventTime], ["COMPLETE", iso(T0 + 1_000)]);
  assert.equal(start.run.runId, end.run.runId);
  assert.deepEqual([end.job.namespace, end.job.name], ["shop", "nightly.embed"]);
  const parent = facet(end.run.facets, "parent") as { run: { runId: string }; job: JsonObject };
  assert.deepEqual(parent.job, { namespace: "shop", name: "nightly" });
  assert.notEqual(parent.run.runId, end.run.runId);
  assert.deepEqual(facet(end.run.facets, "nominalTime"), {
    nominalStartTime: iso(T0),
    nominalEndTime: iso(T0),
  });
  assert.deepEqual(facet(end.run.facets, "processing_engine"), { name: "Parley", version: "1.2.0" });
});

Deno.test("eventsOf() gives an outside engine's run of the task as the parent", () => {
  const { attempt, ...rest } = unsent();
  const runId = "0197a1c2-0000-7000-8000-00000000000a";
  const parent = `airflow://team/a/nightly.embed/${runId}`;
  for (const { run } of eventsOf({ ...rest, attempt: { ...attempt, parent } }, ORIGIN)) {
    assert.deepEqual(facet(run.facets, "parent"), {
      run: { runId },
      job: { namespace: "airflow://team/a", name: "nightly.embed" },
    });
  }
});

Deno.test("eventsOf() ends as the attempt did, and says so in a tag too", () => {
  for (const [state, eventType] of ENDS) {
    const [, end] = eventPair(unsent(state));
    assert.equal(end.eventType, eventType, state);
    const { tags } = facet(end.run.facets, "tags") as unknown as { tags: { key: string; value: string }[] };
    assert.deepEqual(Object.fromEntries(tags.map(({ key, value }) => [key, value])), {
      run_id: "nightly-1",
      attempt: "1",
      state,
      version_code: "1.2.0",
      version_model: "m@1",
    });
    assert.equal("errorMessage" in end.run.facets, eventType === "FAIL", state);
  }
});

Deno.test("eventsOf() gives the start alone while an attempt runs, and the end alone once that was sent", () => {
  const [start, end] = eventPair(unsent());
  const running = unsent("running");
  assert.deepEqual(eventsOf({ ...running, attempt: { ...running.attempt, ended_at: null } }, ORIGIN), [
    start,
  ]);
  assert.deepEqual(eventsOf({ ...unsent(), start_sent: true }, ORIGIN), [end]);
});

Deno.test("eventsOf() gives datasets their version, columns and size, and nothing if they are unknown", () => {
  const [start, end] = eventPair(unsent("success", [input, output, useOf("bare")]));
  assert.deepEqual([start.inputs, start.outputs], [[], []]);
  const [read, bare] = end.inputs;
  assert.deepEqual(bare, { namespace: "file", name: "bare", facets: {} });
  assert.deepEqual([read!.namespace, read!.name], ["file", "/in/chats.ndjson"]);
  assert.deepEqual(facet(read!.facets, "version"), { datasetVersion: "abc" });
  assert.deepEqual(facet(read!.facets, "schema"), { fields: [{ name: "user_id" }, { name: "message" }] });
  assert.deepEqual(facet(read!.inputFacets as JsonObject, "inputStatistics"), { rowCount: 3, size: 10 });
  assert.deepEqual(facet(end.outputs[0]!.outputFacets as JsonObject, "outputStatistics"), { rowCount: 0 });
});

Deno.test("eventsOf() names what passes within a run alike in each run", () => {
  const [, end] = eventPair(unsent("success", [output]));
  assert.equal(end.outputs[0]?.name, "/data/artifacts/nightly/embed/part.ndjson");
});

Deno.test("eventsOf() gives the same attempt the same ids, and no other attempt or namespace", () => {
  const of = (options: UnsentAttempt, namespace = "shop") =>
    eventPair(options, { ...ORIGIN, namespace })[1].run.runId;
  const one = unsent();
  assert.equal(of(one), of(structuredClone(one)));
  const others = [
    of({ ...one, attempt: { ...one.attempt, attempt: 2 } }),
    of({ ...one, attempt: { ...one.attempt, task_id: "vectors" } }),
    of({ ...one, run: { ...one.run, run_id: "nightly-2" } }),
    of({ ...one, run: { ...one.run, created_at: iso(T0 + 1) } }),
    of(one, "another"),
  ];
  assert.equal(new Set([of(one), ...others]).size, 6);
});

Deno.test("eventsOf() contains neither errors nor params, which may quote data", () => {
  for (const [state] of ENDS) {
    assert.ok(!JSON.stringify(eventsOf(unsent(state, [input, output]), ORIGIN)).includes(SECRET));
  }
});

Deno.test("eventsOf() keeps to what OpenLineage asks of events, and what does not is refused", () => {
  for (const event of eventsOfAllEnds()) assertOpenLineage(event);
  for (const [event, reason] of brokenEvents()) assert.throws(() => assertOpenLineage(event), reason);
});
