import assert from "node:assert/strict";
import { builtInDags, engine, executeQueued } from "../commands/engine.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createRun } from "../lib/dag/runs.ts";
import { openClassifier } from "../lib/intents/classifier_store.ts";
import { digests, type Flow, nightlyRun, ROOT, SAMPLE, withFlow, writeRows } from "./fixtures/flow.ts";
import { reembedRun, setTo } from "./fixtures/reembed.ts";

interface SampleMessage {
  readonly message_id: string;
  readonly user_id: string;
  readonly message: string;
  readonly timestamp: string;
  readonly role?: string;
  readonly intent?: string;
}

/** Runs the dag `intents` to its end. */
async function intentsRun({ config, services, runs }: Flow) {
  const dag = builtInDags(config).get("intents")!;
  const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
  const options = { ...engine({ config, runs, services }), random: () => 0 };
  const outcome = await executeQueued(options, new AbortController().signal, { until: run_id });
  return { outcome, snapshot: (await runs.snapshot({ run_id }))! };
}

async function sample(): Promise<SampleMessage[]> {
  const lines = (await Deno.readTextFile(SAMPLE.messages[0]!)).trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

const BUNDLED = { PARLEY_EMBEDDINGS: `onnx:${ROOT}models/bge-small-en-v1.5` };
const OWN = { PARLEY_INTENTS: `${ROOT}sample/intents.json` };

Deno.test("unlabelled messages get the intent that a person gave them, four times of five and more", () =>
  withFlow(async (flow) => {
    const labelled = (await sample()).filter(({ role, intent }) =>
      role !== "assistant" && intent !== undefined
    ).slice(0, 160);
    // Every second keeps its label; the others must be found out.
    const rows = labelled.map(({ intent, ...row }, n) => n % 2 === 0 ? { ...row, intent } : row);
    const { outcome } = await nightlyRun(flow, { messages: [writeRows(flow, "messages.ndjson", rows)] });
    assert.equal(outcome, "success");
    const asked = labelled.filter((_, n) => n % 2 === 1);
    const { documents, graph } = flow.services;
    const found = await documents.classifications({ message_ids: asked.map(({ message_id }) => message_id) });
    assert.equal(found.length, asked.length);
    const intents = new Map(found.map(({ message_id, intent }) => [message_id, intent]));
    const right = asked.filter(({ message_id, intent }) => intents.get(message_id) === intent);
    assert.ok(right.length >= 0.8 * asked.length, `${right.length} of ${asked.length} agree`);
    const { user_id, intent } = right[0]!;
    assert.ok((await graph.intentsOf({ user_id, limit: 20 })).some((one) => one.intent === intent));
  }, { ...BUNDLED, ...OWN }));

Deno.test("the dag intents classifies all again when the catalogue changes, publishes, and twice changes nothing", () =>
  withFlow(async (flow) => {
    const rows = (await sample()).map(({ intent: _, ...row }) => row);
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
  const source = OWN.PARLEY_INTENTS;
  const text = JSON.stringify(JSON.parse(await Deno.readTextFile(source)).slice(0, intents));
  const catalogue = parseCatalogue({ source, text });
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
