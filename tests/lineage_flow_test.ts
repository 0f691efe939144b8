import assert from "node:assert/strict";
import { systemClock } from "../lib/core/clock.ts";
import type { JsonObject } from "../lib/core/types.ts";
import type { RunEvent } from "../lib/lineage/events.ts";
import type { LineageEntry, RunSnapshot } from "../lib/stores/runs/port.ts";
import { type Flow, nightlyRun, ROOT, SAMPLE, withFlow, writeRows } from "./fixtures/flow.ts";
import { pipeline } from "./fixtures/kills.ts";
import { hanging, LineageSink, senderTo } from "./fixtures/lineage.ts";
import { assertOpenLineage, tagOf } from "./fixtures/openlineage.ts";
import { until } from "./fixtures/until.ts";

/** Gives a flow and a sink that is up. */
const withSink = (
  body: (options: { flow: Flow; sink: LineageSink; env: Record<string, string> }) => Promise<void>,
) =>
  withFlow(async (flow) => {
    const sink = new LineageSink().start();
    try {
      await body({ flow, sink, env: { PARLEY_LINEAGE: sink.url.href } });
    } finally {
      await sink.stop();
    }
  });

const isSent = ({ runs }: Flow) => until(async () => await runs.unsent() === 0);
const isEnd = ({ eventType }: RunEvent) => eventType !== "START";

/** The facts about a dataset in an event, and about its use in the run store, in the same words. */
const told = ({ namespace, name, facets, inputFacets, outputFacets }: JsonObject) => {
  const { inputStatistics, outputStatistics } = {
    ...inputFacets as object,
    ...outputFacets as object,
  } as Stats;
  const { rowCount = null, size = null } = inputStatistics ?? outputStatistics ?? {};
  const { version, schema } = facets as { version?: JsonObject; schema?: { fields: JsonObject[] } };
  const fields = (schema?.fields ?? []).map((field) => field.name);
  return { namespace, name, rows: rowCount, bytes: size, version: version?.datasetVersion ?? null, fields };
};
type Stats = Readonly<Record<"inputStatistics" | "outputStatistics", JsonObject | undefined>>;
const kept = ({ namespace, name, rows, bytes, version, fields }: LineageEntry, run_id: string) => {
  return { namespace, name: name.replace(`/${run_id}/`, "/nightly/"), rows, bytes, version, fields };
};

/** Throws unless the events tell all of the run's attempts as they are in its store, and nothing else. */
async function assertTold({ runs }: Flow, { run, attempts }: RunSnapshot, events: readonly RunEvent[]) {
  const { run_id } = run;
  const lineage = await runs.lineage({ run_id });
  const ends = events.filter(isEnd);
  assert.equal(ends.length, attempts.length);
  for (const { task_id, attempt, state, started_at, ended_at } of attempts) {
    const [end, ...more] = ends.filter((event) =>
      event.job.name === `nightly.${task_id}` && tagOf(event, "attempt") === String(attempt)
    );
    assert.ok(end !== undefined && more.length === 0, task_id);
    assert.deepEqual([tagOf(end, "run_id"), tagOf(end, "state"), end.eventTime], [run_id, state, ended_at]);
    const [start, ...others] = events.filter((event) => event.run.runId === end.run.runId && !isEnd(event));
    assert.ok(start !== undefined && others.length === 0, task_id);
    assert.equal(start.eventTime, started_at);
    const own = lineage.filter((use) => use.task_id === task_id && use.attempt === attempt);
    for (const direction of ["input", "output"] as const) {
      const uses = own.filter((use) => use.direction === direction).map((use) => kept(use, run_id));
      assert.deepEqual(end[`${direction}s`].map(told), uses, `${task_id} ${direction}`);
    }
  }
}

/** Some of the lines that the sink must be able to draw: a task wrote what another read. */
const LINES = [
  "ingest validate",
  "validate documents",
  "validate analytics",
  "embed vectors",
  "documents conversations",
  "analytics derive",
  "vectors derive",
];

function linesOf(events: readonly RunEvent[]): ReadonlySet<string> {
  const task = ({ job }: RunEvent) => job.name.replace("nightly.", "");
  const key = ({ namespace, name }: { namespace: string; name: string }) => `${namespace} ${name}`;
  const writer = new Map(events.flatMap((event) => event.outputs.map((use) => [key(use), task(event)])));
  return new Set(
    events.flatMap((event) => event.inputs.map((use) => `${writer.get(key(use))} ${task(event)}`)),
  );
}

Deno.test("a nightly run arrives as its store has it, with datasets that connect", () =>
  withSink(async ({ flow, sink }) => {
    const { sender, log } = senderTo(sink, flow.runs);
    const { outcome, snapshot } = await nightlyRun(flow, SAMPLE);
    await sender.close();
    assert.equal(outcome, "success");
    assert.deepEqual(log, []);
    await assertTold(flow, snapshot, sink.taken);
    const lines = linesOf(sink.taken);
    for (const line of LINES) assert.ok(lines.has(line), line);
    sink.taken.forEach(assertOpenLineage);
    assertImpersonal(sink.taken);
  }));

/** No text and no user's id of the sample is in what was sent. */
function assertImpersonal(events: readonly RunEvent[]): void {
  const sent = JSON.stringify(events);
  const rows = Deno.readTextFileSync(SAMPLE.messages[0]!).trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(rows.length > 100);
  for (const { message, user_id } of rows) {
    assert.ok(!sent.includes(message) && !sent.includes(user_id), user_id);
  }
}

const ROWS = [1, 2, 3].map((n) => ({
  user_id: `u${n}`,
  message: `words ${n}`,
  timestamp: "2026-05-01T00:00:00Z",
}));

Deno.test("a run that fails, and one that is skipped, arrive as they ended", () =>
  withSink(async ({ flow, sink }) => {
    const { sender } = senderTo(sink, flow.runs);
    const bad = writeRows(flow, "bad.ndjson", ROWS.map(({ message }) => ({ message })));
    const failed = await nightlyRun(flow, { messages: [bad] });
    await isSent(flow);
    await assertTold(flow, failed.snapshot, sink.taken);
    assert.equal(sink.taken.at(-1)?.eventType, "FAIL");
    assert.ok(!JSON.stringify(sink.taken).includes(failed.snapshot.attempts.at(-1)!.error!));
    const good = writeRows(flow, "good.ndjson", ROWS);
    await nightlyRun(flow, { messages: [good] });
    await isSent(flow);
    sink.taken.length = 0;
    const skipped = await nightlyRun(flow, { messages: [good] });
    await sender.close();
    await assertTold(flow, skipped.snapshot, sink.taken);
    assert.deepEqual(sink.taken.filter(isEnd).map((event) => [event.eventType, tagOf(event, "state")]), [
      ["COMPLETE", "skipped"],
    ]);
  }));

Deno.test("a run does not wait for a sink that never answers, and arrives when that is back", () =>
  withSink(async ({ flow, sink }) => {
    const { fault, release } = hanging();
    sink.fault = fault;
    const { sender } = senderTo(sink, flow.runs, { flush_ms: 0 });
    const { outcome, snapshot } = await nightlyRun(flow, { messages: [writeRows(flow, "m.ndjson", ROWS)] });
    assert.equal(outcome, "success");
    assert.equal(sink.asked.length, 1, "one event was on its way all the time");
    assert.equal(await flow.runs.unsent(), snapshot.attempts.length);
    await sender.close();
    release();
    sink.fault = () => null;
    const next = senderTo(sink, flow.runs);
    await isSent(flow);
    await next.sender.close();
    await assertTold(flow, snapshot, sink.taken);
  }));

Deno.test("pipeline and run-task send their lineage before they end", () =>
  withSink(async ({ flow, sink, env }) => {
    const messages = writeRows(flow, "m.ndjson", ROWS);
    assert.equal((await pipeline(flow, ["--messages", messages], env).status).code, 0);
    const [run] = await flow.runs.runs({ limit: 1 });
    assert.equal(await flow.runs.unsent(), 0);
    await assertTold(flow, (await flow.runs.snapshot(run!))!, sink.taken);
    sink.taken.length = 0;
    const order = ["run-task", "--dag", "nightly", "--task", "ingest", "--run-id", "outside"];
    assert.equal((await pipeline(flow, order, env).status).code, 99);
    assert.deepEqual(sink.taken.map(({ eventType, job }) => [eventType, job.name]), [
      ["START", "nightly.ingest"],
      ["COMPLETE", "nightly.ingest"],
    ]);
  }));

Deno.test("a sink that is down does not fail a pipeline; the scheduler sends once it is back", () =>
  withSink(async ({ flow, sink, env }) => {
    await sink.stop();
    const messages = writeRows(flow, "m.ndjson", ROWS);
    assert.equal((await pipeline(flow, ["--messages", messages], env).status).code, 0);
    const [run] = await flow.runs.runs({ limit: 1 });
    const snapshot = (await flow.runs.snapshot(run!))!;
    const prune = ["prune", "--older-than", "0m"];
    assert.equal((await pipeline(flow, prune, env).status).code, 0);
    assert.equal(await flow.runs.unsent(), snapshot.attempts.length);
    sink.start();
    const scheduler = new Deno.Command("deno", {
      args: ["run", "--quiet", "--no-check", "--allow-all", `${ROOT}main.ts`, "schedule"],
      env: { ...env, PARLEY_DATA: flow.config.data, PARLEY_SCHEDULE: "off" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await isSent(flow);
    scheduler.kill("SIGTERM");
    assert.equal((await scheduler.status).code, 0);
    await assertTold(flow, snapshot, sink.taken);
    await pipeline(flow, prune, env).status;
    assert.deepEqual(await flow.runs.runs({ limit: 1 }), []);
  }));

Deno.test("a process that is killed after it sent and before it could say so loses nothing", () =>
  withSink(async ({ flow, sink, env }) => {
    const messages = writeRows(flow, "m.ndjson", ROWS);
    const child = pipeline(flow, ["--messages", messages], env);
    sink.fault = (_, count) => {
      if (count === 4) child.kill("SIGKILL");
      return null;
    };
    assert.equal((await child.status).signal, "SIGKILL");
    while ((await flow.runs.runs({ states: ["queued", "running"], limit: 1 })).length > 0) {
      await pipeline(flow, ["work"], env).status;
    }
    assert.ok(await flow.runs.unsent() > 0);
    // What the dead one had taken is due again after a minute.
    const later = { now: () => systemClock.now() + 60_000 };
    const { sender } = senderTo(sink, flow.runs, { clock: later });
    await isSent(flow);
    await sender.close();
    const [run] = await flow.runs.runs({ limit: 1 });
    const snapshot = (await flow.runs.snapshot(run!))!;
    assert.equal(snapshot.run.state, "success");
    const once = new Map(sink.taken.map((event) => [`${event.eventType} ${event.run.runId}`, event]));
    await assertTold(flow, snapshot, [...once.values()]);
    assert.ok(sink.taken.length > once.size, "something was sent again");
    for (const event of sink.taken) {
      assert.deepEqual(event, once.get(`${event.eventType} ${event.run.runId}`));
    }
  }));
