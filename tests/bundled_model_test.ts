/** What needs an embedder that knows meanings; one run serves all, because it takes seconds. */
import assert from "node:assert/strict";
import { classifyTexts, discoverIntents } from "../commands/intents.ts";
import { listen } from "../commands/serve.ts";
import { states } from "./fixtures/dag.ts";
import { digests, nightlyRun, ROOT, SAMPLE, vectorsOf, withFlow, writeRows } from "./fixtures/flow.ts";

const ENV = {
  PARLEY_EMBEDDINGS: `onnx:${ROOT}models/bge-small-en-v1.5`,
  PARLEY_EMBED_SESSIONS: "1",
  PARLEY_INTENTS: `${ROOT}sample/intents.json`,
  PARLEY_EMBED_LONG: "windows",
  // Lines of a log are written a moment later, which may be after the test.
  PARLEY_LOG: "warning",
};

interface SampleMessage {
  readonly message_id: string;
  readonly user_id: string;
  readonly role?: string;
  readonly intent?: string;
}

/** As many as there must be for groups. */
const PART: readonly SampleMessage[] = Deno.readTextFileSync(SAMPLE.messages[0]!).split("\n").slice(0, 120)
  .map((line) => JSON.parse(line));

/** What a command prints as JSON. */
async function printed(command: () => Promise<number>) {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line: string) => lines.push(line);
  try {
    assert.equal(await command(), 0);
  } finally {
    console.log = log;
  }
  return JSON.parse(lines.join(""));
}

Deno.test("a part of the sample becomes answers and intents, by the bundled model", (t) =>
  withFlow(async (flow) => {
    const { config, services } = flow;
    const labelled = PART.filter(({ role, intent }) => role !== "assistant" && intent !== undefined);
    // Every second keeps its label; the others must be found out.
    const asked = new Set(labelled.filter((_, n) => n % 2 === 1));
    assert.ok(asked.size >= 30);
    const rows = PART.map((row) => asked.has(row) ? { ...row, intent: undefined } : row);
    const paths = { ...SAMPLE, messages: [writeRows(flow, "messages.ndjson", rows)] };
    const first = await nightlyRun(flow, paths);
    assert.equal(first.outcome, "success", first.snapshot.run.error ?? "");
    assert.deepEqual(new Set(Object.values(states(first.snapshot))), new Set(["success"]));
    const vectors = await vectorsOf(services);
    assert.equal((await vectors.counts()).messages, (await services.documents.counts()).messages);
    assert.equal(vectors.model.dimension, 384);
    const before = await digests(flow);

    await t.step("the API answers", async () => {
      const api = await listen({ ...config, port: 0 });
      try {
        const response = await fetch(`${api.value.url}/recommendations/keziah-boateng?k=5`);
        assert.equal(response.status, 200);
        const answer = await response.json();
        assert.equal(answer.strategy, "personal");
        assert.equal(answer.items.length, 5);
        for (const item of answer.items) assert.ok(item.reasons.length > 0 && item.title.length > 0);
        assert.match(response.headers.get("server-timing") ?? "", /vectors;dur=/);
        assert.equal(response.headers.get("x-cache"), "miss");
        const repeated = await fetch(`${api.value.url}/recommendations/keziah-boateng?k=5`);
        assert.equal(repeated.headers.get("x-cache"), "hit");
        assert.deepEqual((await repeated.json()).items, answer.items);
      } finally {
        await api.close();
      }
    });

    await t.step(
      "unlabelled messages get the intent that a person gave them, four times of five and more",
      async () => {
        const intentOf = new Map([...asked].map(({ message_id, intent }) => [message_id, intent]));
        const found = await services.documents.classifications({ message_ids: [...intentOf.keys()] });
        assert.equal(found.length, asked.size);
        const right = found.filter(({ message_id, intent }) => intentOf.get(message_id) === intent);
        assert.ok(right.length >= 0.8 * asked.size, `${right.length} of ${asked.size} agree`);
        const { user_id } = PART.find(({ message_id }) => message_id === right[0]!.message_id)!;
        const intents = await services.graph.intentsOf({ user_id, limit: 20 });
        assert.ok(intents.some(({ intent }) => intent === right[0]!.intent));
      },
    );

    await t.step("pipeline classify embeds as the pipeline does", async () => {
      const texts = ["Which boots fit wide feet?", "2+2"];
      const { results } = await printed(() => classifyTexts(config, texts, { json: true }));
      assert.equal(results.length, 2);
      assert.notEqual(results[0].intent, null);
    });

    await t.step("pipeline discover proposes intents", async () => {
      const proposed = await printed(() => discoverIntents(config, { json: true, groups: 4 }));
      assert.ok(proposed.length > 0 && proposed.length <= 4);
      await assert.rejects(discoverIntents(config, { json: true, groups: 2_000 }), {
        code: "invalid",
        message:
          /^2000 groups are too many for \d+ messages without an intent: with 3 messages each, there can be at most \d+$/,
      });
    });

    await t.step("a second run changes nothing", async () => {
      const second = await nightlyRun(flow, paths);
      assert.equal(second.outcome, "success");
      assert.equal(states(second.snapshot).ingest, "skipped");
      assert.deepEqual(await digests(flow), before);
    });
  }, ENV));
