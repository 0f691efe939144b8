import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import { embedderContract } from "../../contracts/embedder.ts";

for (const dimension of [64, 384]) {
  embedderContract(`DeterministicEmbedder of ${dimension}`, async () => {
    const embedder = await openEmbedder({ url: `test:${dimension}` });
    return { embedder, close: () => embedder.close() };
  });
}

Deno.test("DeterministicEmbedder keeps its vectors from release to release", async () => {
  const embedder = await openEmbedder({ url: "test:4" });
  const [vector] = await embedder.embed({ texts: ["One, two: ONE"] });
  assert.deepEqual(Array.from(vector!, (value) => value.toFixed(4)), [
    "0.0000",
    "0.0000",
    "-0.4472",
    "0.8944",
  ]);
  assert.equal(embedder.model.revision, "hashing-1");
});

Deno.test("DeterministicEmbedder distinguishes texts whose features cancel", async () => {
  const embedder = await openEmbedder({ url: "test:1" });
  const texts = Array.from({ length: 200 }, (_, at) => `word${at} word${at + 1} other${at}`);
  for (const vector of await embedder.embed({ texts })) assert.equal(Math.abs(vector[0]!), 1);
});
