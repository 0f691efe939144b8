/** The whole way, from text to answers, by models other than the bundled one. */
import assert from "node:assert/strict";
import { modelKey } from "../lib/core/types.ts";
import { answersOf } from "./fixtures/answers.ts";
import { withEmbeddings } from "./fixtures/embeddings.ts";
import { type Flow, nightlyRun, SAMPLE, withFlow, writeRows } from "./fixtures/flow.ts";
import { TINY } from "./fixtures/models.ts";

const LONG = "a very long story indeed ".repeat(400);

/** Loads a part of the sample and one long message, and looks at what became of them in every store. */
async function wholeWay(flow: Flow, expected: { dimension: number; long: number }): Promise<void> {
  const rows = Deno.readTextFileSync(SAMPLE.messages[0]!).split("\n").slice(0, 150);
  const long = JSON.stringify({ user_id: "u", message: LONG, timestamp: "2026-05-01T00:00:00Z" });
  const messages = [writeRows(flow, "messages.ndjson", [...rows, long])];
  const { outcome, snapshot } = await nightlyRun(flow, { ...SAMPLE, messages });
  assert.equal(outcome, "success", snapshot.run.error ?? "");
  const { model } = await flow.services.embedder();
  assert.equal(model.dimension, expected.dimension);
  assert.equal((await flow.services.analytics.published())?.model, modelKey(model));
  const vectors = await flow.services.vectors.forModel({ model });
  assert.equal((await vectors.counts()).messages, 151);
  assert.deepEqual(await vectors.faults({ limit: 1 }), []);
  const mine = await vectors.get({ collection: "profiles", ids: ["u"] });
  assert.equal(mine.get("u")!.length, expected.dimension);
  const answers = await answersOf(flow, ["keziah-boateng", "u"]);
  for (const campaigns of Object.values(answers)) assert.equal(campaigns.length, 10);
  const lineage = await flow.runs.lineage({ run_id: snapshot.run.run_id });
  const counted = lineage.filter(({ task_id }) => task_id === "embed").map(({ quality }) =>
    quality?.long ?? 0
  );
  assert.equal(counted.reduce((sum, count) => sum + count, 0), expected.long);
}

Deno.test("a model of 1,024 dimensions fills every store and answers", () =>
  withFlow(async (flow) => {
    // Its tokens are bytes, of which it reads 126: so many messages and campaigns of the sample are too long as well.
    await wholeWay(flow, { dimension: 1_024, long: 1 + 37 + 30 });
  }, { PARLEY_EMBEDDINGS: `onnx:${TINY}`, PARLEY_EMBED_SESSIONS: "1" }));

Deno.test("an endpoint of 1,024 dimensions fills every store and answers", () =>
  withEmbeddings({ dimension: 1_024, longest: 2_000 }, ({ host, asked }) =>
    withFlow(async (flow) => {
      await wholeWay(flow, { dimension: 1_024, long: 1 });
      assert.ok(asked.every(({ headers }) => headers.get("authorization") === "Bearer a key"));
    }, { PARLEY_EMBEDDINGS: `tei+http://${host}`, PARLEY_EMBEDDINGS_KEY: "a key" })));
