import assert from "node:assert/strict";
import { builtInDags, engine, executeQueued } from "../commands/engine.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createRun } from "../lib/dag/runs.ts";
import { openClassifier } from "../lib/intents/classifier_store.ts";
import { digests, type Flow, nightlyRun, ROOT, SAMPLE, withFlow, writeRows } from "./fixtures/flow.ts";
import { reembedRun, setTo } from "./fixtures/reembed.ts";

/** Runs the dag `intents` to its end. */
async function intentsRun({ config, services, runs }: Flow) {
  const dag = builtInDags(config).get("intents")!;
  const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
  const options = { ...engine({ config, runs, services }), random: () => 0 };
  const outcome = await executeQueued(options, new AbortController().signal, { until: run_id });
  return { outcome, snapshot: (await runs.snapshot({ run_id }))! };
}

const CATALOGUE = `${ROOT}sample/intents.json`;

Deno.test("the dag intents classifies all again when the catalogue changes, publishes, and twice changes nothing", () =>
  withFlow(async (flow) => {
    const lines = Deno.readTextFileSync(SAMPLE.messages[0]!).trim().split("\n");
    const rows = lines.map((line) => ({ ...JSON.parse(line), intent: undefined }));
    await nightlyRun(flow, { messages: [writeRows(flow, "messages.ndjson", rows)] });
    const { documents, vectors, analytics } = flow.services;
    assert.deepEqual(await documents.classifierCounts(), []);
    const refused = await intentsRun(flow);
    assert.match(refused.snapshot.run.error ?? "", /no catalogue of intents: set PARLEY_INTENTS/);
    const withCatalogue = { ...flow, services: await catalogued(flow) };
    const version = (await analytics.published())!.version;
    assert.equal((await intentsRun(withCatalogue)).outcome, "success");
    assert.equal((await analytics.published())!.version, version + 1);
    const classifier = (await openClassifier({ documents, vectors }))!;
    const users = rows.filter(({ role }) => role !== "assistant").length;
    const [counts] = await documents.classifierCounts();
    assert.deepEqual([counts?.classifier, counts?.messages], [classifier.key, users]);
    const before = await digests(flow);
    const { snapshot } = await intentsRun(withCatalogue);
    assert.equal(snapshot.attempts.find(({ task_id }) => task_id === "classify")?.rows_out ?? 0, 0);
    assert.deepEqual(await digests(flow), before);
    assert.deepEqual(await documents.listDirtyUsers({ after: null, limit: 10 }), []);
  }));

/** The services as they are once PARLEY_INTENTS is set, to the first so many intents where that is said. */
async function catalogued({ services }: Flow, intents?: number): Promise<Flow["services"]> {
  const { parseCatalogue } = await import("../lib/intents/catalogue.ts");
  const text = JSON.stringify(JSON.parse(await Deno.readTextFile(CATALOGUE)).slice(0, intents));
  const catalogue = parseCatalogue({ source: CATALOGUE, text });
  return { ...services, catalogue: () => Promise.resolve(catalogue) };
}

Deno.test("a nightly run without input learns the intents again once the catalogue or the model has changed", () =>
  withFlow(async (flow) => {
    const { documents, vectors, analytics } = flow.services;
    await nightlyRun(flow, SAMPLE);
    const unchanged = await nightlyRun(flow, SAMPLE);
    assert.equal(unchanged.snapshot.tasks.find(({ task_id }) => task_id === "classify")?.state, "skipped");
    const madeFrom = async () => {
      const { model, fitted } = (await openClassifier({ documents, vectors }))!;
      return { model, intents: fitted.intents.length };
    };
    const { model } = (await analytics.published())!;
    const { intents } = await madeFrom();
    const shorter = { ...flow, services: await catalogued(flow, intents - 1) };
    assert.equal((await nightlyRun(shorter, SAMPLE)).outcome, "success");
    assert.deepEqual(await madeFrom(), { model, intents: intents - 1 });

    await reembedRun(shorter, "test:128");
    const published = (await analytics.published())!;
    assert.notEqual(published.model, model);
    const set = setTo(shorter, "test:128");
    assert.equal((await nightlyRun(set, SAMPLE)).outcome, "success");
    assert.deepEqual(await madeFrom(), { model: published.model, intents: intents - 1 });
    const { snapshot } = await nightlyRun(set, SAMPLE);
    assert.equal(snapshot.tasks.find(({ task_id }) => task_id === "classify")?.state, "skipped");
  }));

Deno.test("the sample's catalogue is for the sample alone", () =>
  withFlow(async (flow) => {
    const { documents } = flow.services;
    await nightlyRun(flow, SAMPLE);
    const [counts] = await documents.classifierCounts();
    assert.equal(counts?.messages, 43);
    const own = {
      message_id: "own",
      user_id: "own",
      message: "where is my parcel",
      timestamp: "2026-12-01T00:00:00Z",
    };
    await nightlyRun(flow, { messages: [writeRows(flow, "own.ndjson", [own])] });
    assert.deepEqual(await documents.classifications({ message_ids: ["own"] }), []);
  }));
