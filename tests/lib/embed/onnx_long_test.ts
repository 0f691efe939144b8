import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import type { EmbedderOptions } from "../../../lib/embed/open.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import { BGE, copyOfModel, TINY } from "../../fixtures/models.ts";
import { dot, normalise } from "../../fixtures/vectors.ts";

async function using(options: EmbedderOptions, body: (embedder: Embedder) => Promise<void>): Promise<void> {
  const embedder = await openEmbedder({ sessions: 1, ...options });
  try {
    await body(embedder);
  } finally {
    await embedder.close();
  }
}

/** For the tests that leave them as they are: the bundled model, which cuts long texts, or reads them in windows. */
let cutting: Embedder, inWindows: Embedder;
Deno.test.beforeAll(async () => {
  cutting = await openEmbedder({ url: `onnx:${BGE}`, sessions: 1 });
  inWindows = await openEmbedder({ url: `onnx:${BGE}`, sessions: 1, longTexts: "windows" });
});
Deno.test.afterAll(async () => {
  await cutting.close();
  await inWindows.close();
});

const words = (word: string, count: number) => `${word} `.repeat(count);
const LONG = words("guitar", 510) + words("movie", 300);

Deno.test("OnnxEmbedder embed() counts the texts that are longer than the model reads, each once", async () => {
  const counts: number[] = [];
  const onLong = (count: number) => void counts.push(count);
  await cutting.embed({ texts: ["short", words("word", 510)], onLong });
  assert.deepEqual(counts, []);
  const texts = [words("word", 511), "short", "y".repeat(100_000), words("word", 511)];
  await cutting.embed({ texts, onLong });
  assert.deepEqual(counts, [2]);
});

Deno.test("OnnxEmbedder embed() reads a long text in windows to its end, if configured", async () => {
  assert.equal(inWindows.model.pooling, "cls+windows");
  const counts: number[] = [];
  const [guitar, movie, both] = await inWindows.embed({
    texts: [words("guitar", 510), words("movie", 510), LONG],
    onLong: (count) => void counts.push(count),
  });
  assert.deepEqual(counts, [1]);
  assert.ok(dot(both!, movie!) > dot(guitar!, movie!) + 0.05);
  const [cut, short] = await cutting.embed({ texts: [LONG, words("guitar", 510)] });
  assert.deepEqual(cut, guitar);
  assert.deepEqual(short, guitar);
});

Deno.test("OnnxEmbedder embed() that is aborted leaves the sessions free, whatever they were reading", async () => {
  const [before] = await inWindows.embed({ texts: [LONG] });
  const controller = new AbortController();
  const reason = new Error("stop");
  const megabyte = "words and more words ".repeat(49_932);
  const asked = ["a", "b", "c", "d"].map((end) =>
    inWindows.embed({ texts: [megabyte + end, `short ${end}`], signal: controller.signal })
  );
  setTimeout(() => controller.abort(reason), 500);
  const outcomes = await Promise.allSettled(asked);
  const aborted = performance.now();
  outcomes.forEach((outcome) => assert.equal(outcome.status === "rejected" && outcome.reason, reason));
  const [after] = await inWindows.embed({ texts: [LONG] });
  assert.deepEqual(after, before);
  // Their 256 windows would have taken more than half a minute.
  assert.ok(performance.now() - aborted < 10_000, `it took ${performance.now() - aborted} ms`);
});

Deno.test(
  "OnnxEmbedder embed() takes the mean of full windows that overlap by a quarter",
  () =>
    using({ url: `onnx:${TINY}`, longTexts: "windows" }, async (embedder) => {
      const whole = Array.from({ length: 200 }, (_, at) => at % 2 ? "?" : "!").join("");
      const [long, ...windows] = await embedder.embed({
        texts: [whole, whole.slice(0, 126), whole.slice(74)],
      });
      const mean = normalise(windows[0]!.map((value, at) => value + windows[1]![at]!));
      assert.ok(dot(long!, mean) > 0.999999, `${dot(long!, mean)}`);
    }),
);

Deno.test("OnnxEmbedder embed() puts the prompts of the model's files before texts and windows", async () => {
  const dir = await copyOfModel(TINY);
  const prompts = { prompts: { query: "?", passage: "!" } };
  await Deno.writeTextFile(`${dir}/config_sentence_transformers.json`, JSON.stringify(prompts));
  try {
    await using({ url: `onnx:${dir}` }, (prompted) =>
      using({ url: `onnx:${TINY}` }, async (plain) => {
        const texts = ["!! hello", "so long"];
        const asked = await prompted.embed({ texts });
        assert.deepEqual(asked, await plain.embed({ texts: texts.map((text) => `?${text}`) }));
        const kept = await prompted.embed({ texts, as: "document" });
        assert.deepEqual(kept, await plain.embed({ texts: texts.map((text) => `!${text}`) }));
      }));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("OnnxEmbedder embed() finds weights next to the other files", async () => {
  const dir = await copyOfModel(TINY);
  await Deno.rename(`${dir}/onnx/model.onnx`, `${dir}/model.onnx`);
  try {
    await using(
      { url: `onnx:${dir}?dtype=fp32` },
      (moved) =>
        using({ url: `onnx:${TINY}` }, async (plain) => {
          const texts = ["hello"];
          assert.deepEqual(await moved.embed({ texts }), await plain.embed({ texts }));
        }),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
