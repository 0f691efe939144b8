import assert from "node:assert/strict";
import { classifyTexts, discoverIntents } from "../commands/intents.ts";
import { nightlyRun, ROOT, SAMPLE, withFlow, writeRows } from "./fixtures/flow.ts";

const ENV = {
  PARLEY_EMBEDDINGS: `onnx:${ROOT}models/bge-small-en-v1.5`,
  PARLEY_INTENTS: `${ROOT}sample/intents.json`,
  PARLEY_EMBED_LONG: "windows",
};

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

Deno.test("pipeline classify embeds as the pipeline does, and pipeline discover proposes intents", () =>
  withFlow(async (flow) => {
    // As many as there must be for groups.
    const rows = Deno.readTextFileSync(SAMPLE.messages[0]!).split("\n").slice(0, 150);
    const messages = [writeRows(flow, "messages.ndjson", rows)];
    assert.equal((await nightlyRun(flow, { messages, campaigns: SAMPLE.campaigns })).outcome, "success");
    const texts = ["Which boots fit wide feet?", "2+2"];
    const { results } = await printed(() => classifyTexts(flow.config, texts, { json: true }));
    assert.equal(results.length, 2);
    assert.notEqual(results[0].intent, null);
    const proposed = await printed(() => discoverIntents(flow.config, { json: true, groups: 4 }));
    assert.ok(proposed.length > 0 && proposed.length <= 4);
    await assert.rejects(discoverIntents(flow.config, { json: true, groups: 2_000 }), {
      code: "invalid",
      message:
        /^2000 groups are too many for \d+ messages without an intent: with 3 messages each, there can be at most \d+$/,
    });
  }, ENV));
