import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import { embedderContract } from "../../contracts/embedder.ts";
import { BGE, copyOfModel, TINY } from "../../fixtures/models.ts";
import { TRIPLES } from "../../fixtures/pairs.ts";
import { runCode } from "../../fixtures/run.ts";
import { dot } from "../../fixtures/vectors.ts";

const PERMISSIONS = ["--allow-read", "--allow-env", "--allow-ffi"];
const URL_OF_BGE = `onnx:${BGE}`;

async function open() {
  const embedder = await openEmbedder({ url: URL_OF_BGE, sessions: 2 });
  return { embedder, close: () => embedder.close() };
}

/** For all tests that leave it as it is, with its sessions loaded. */
let shared: Embedder;
Deno.test.beforeAll(async () => {
  shared = (await open()).embedder;
  await shared.embed({ texts: ["load", "both"] });
});
Deno.test.afterAll(() => shared.close());

embedderContract("OnnxEmbedder", open, () => Promise.resolve({ embedder: shared, close: async () => {} }));

function test(what: string, body: (embedder: Embedder) => Promise<void>): void {
  Deno.test(`OnnxEmbedder ${what}`, () => body(shared));
}

/** The library's own answer, pooled as the model's card says. */
async function reference(
  options: { folder: string; dtype: "q8" | "fp32"; pooling: "cls" | "mean"; text: string },
): Promise<Float32Array> {
  const split = options.folder.lastIndexOf("/") + 1;
  const code = `
    import { loadTransformers } from ${JSON.stringify(new URL("../../../deps.ts", import.meta.url))};
    const { env, pipeline } = await loadTransformers();
    Object.assign(env, { allowLocalModels: true, allowRemoteModels: false });
    env.localModelPath = ${JSON.stringify(options.folder.slice(0, split))};
    const name = ${JSON.stringify(options.folder.slice(split))};
    const extract = await pipeline("feature-extraction", name, { dtype: "${options.dtype}" });
    const output = await extract(${
    JSON.stringify(options.text)
  }, { pooling: "${options.pooling}", normalize: true });
    console.log(JSON.stringify([...output.data]));`;
  return Float32Array.from(JSON.parse(await runCode({ code, permissions: PERMISSIONS })));
}

test("embed() agrees with the library's own pipeline, pooled by the first token", async (embedder) => {
  const text = "Any comedies my whole family would enjoy?";
  const [vector] = await embedder.embed({ texts: [text] });
  const expected = await reference({ folder: BGE, dtype: "q8", pooling: "cls", text });
  assert.ok(dot(vector!, expected) > 0.9999, `${dot(vector!, expected)}`);
});

test("embed() ignores case and white space around a text, as the model's files say", async (embedder) => {
  const [plain, padded] = await embedder.embed({ texts: ["good morning", "  Good MORNING\n"] });
  assert.deepEqual(padded, plain);
});

test("embed() cuts a long text to what fits and still ends it", async (embedder) => {
  const [fits, cut, shorter] = await embedder.embed({
    texts: ["word ".repeat(510), "word ".repeat(700), "word ".repeat(509)],
  });
  assert.deepEqual(cut, fits);
  assert.notDeepEqual(shorter, fits);
});

test("embed() stops between messages when it is aborted", async (embedder) => {
  const texts = Array.from({ length: 20_000 }, (_, at) => `text ${at}`);
  const controller = new AbortController();
  const reason = new Error("stop");
  const start = performance.now();
  const embedding = embedder.embed({ texts, signal: controller.signal });
  setTimeout(() => controller.abort(reason), 50);
  await assert.rejects(embedding, reason);
  assert.ok(performance.now() - start < 10_000, "aborting took as long as embedding all");
});

test("embed() leaves the event loop free", async (embedder) => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const start = performance.now();
  await embedder.embed({ texts: ["word ".repeat(510), "word ".repeat(509), "word ".repeat(508)] });
  clearInterval(timer);
  const due = (performance.now() - start) / 5;
  assert.ok(ticks > due / 4, `a timer had ${ticks} of ${due} turns`);
});

Deno.test("OnnxEmbedder close() rejects calls in progress and later ones", async () => {
  const { embedder } = await open();
  const embeddings = [1, 2, 3].map((at) => embedder.embed({ texts: [`text ${at}`, `text ${at + 10}`] }));
  const outcomes = Promise.allSettled(embeddings);
  await embedder.close();
  for (const outcome of await outcomes) {
    assert.ok(outcome.status === "rejected");
    assert.equal(outcome.reason.code, "unavailable");
    assert.match(outcome.reason.message, /closed/);
  }
  await assert.rejects(embedder.embed({ texts: ["text"] }), { code: "unavailable" });
});

Deno.test("OnnxEmbedder runs a mean-pooled fp32 model of another family", () => runTiny(TINY));

async function runTiny(folder: string): Promise<void> {
  const embedder = await openEmbedder({ url: `onnx:${folder}`, sessions: 1 });
  try {
    assert.equal(embedder.model.dimension, 1024);
    assert.equal(embedder.model.pooling, "mean");
    const texts = ["!?".repeat(63), "!?".repeat(300), "!?".repeat(62)];
    const [fits, cut, shorter] = await embedder.embed({ texts });
    assert.ok(Math.abs(dot(fits!, fits!) - 1) < 1e-5);
    assert.deepEqual(cut, fits);
    assert.notDeepEqual(shorter, fits);
    const text = "Any comedies my whole family would enjoy?";
    const [vector] = await embedder.embed({ texts: [text] });
    const expected = await reference({ folder, dtype: "fp32", pooling: "mean", text });
    assert.ok(dot(vector!, expected) > 0.9999, `${dot(vector!, expected)}`);
  } finally {
    await embedder.close();
  }
}

/** Checks a sentence about a failed model, which must not quote the text. */
function unavailable(pattern: RegExp): (error: Error) => boolean {
  return (error) => {
    assert.equal("code" in error && error.code, "unavailable");
    assert.match(error.message, pattern);
    return !error.message.includes("secret");
  };
}

const SECRETS = Array.from({ length: 4 }, (_, at) => `secret ${at}`);

Deno.test("OnnxEmbedder leaves the browser's cache alone, which two sessions cannot create at once", async () => {
  const name = "transformers-cache";
  await caches.delete(name);
  const embedder = await openEmbedder({ url: `onnx:${BGE}`, sessions: 1 });
  await embedder.embed({ texts: ["a"] });
  await embedder.close();
  assert.equal(await caches.has(name), false);
});

Deno.test("OnnxEmbedder says why a model does not load, and tries again at the next call", async () => {
  const dir = await copyOfModel(BGE);
  const weights = `${dir}/onnx/model_quantized.onnx`;
  await Deno.remove(weights);
  await Deno.writeTextFile(weights, "not a model");
  const embedder = await openEmbedder({ url: `onnx:${dir}`, sessions: 1 });
  await assert.rejects(embedder.embed({ texts: SECRETS }), unavailable(/did not load: .*protobuf/i));
  await assert.rejects(embedder.embed({ texts: SECRETS }), unavailable(/did not load: .*protobuf/i));
  await Deno.copyFile(`${BGE}/onnx/model_quantized.onnx`, weights);
  assert.equal((await embedder.embed({ texts: SECRETS })).length, SECRETS.length);
  await embedder.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("OnnxEmbedder refuses states that do not fit the dimension in the model's files", async () => {
  const dir = await copyOfModel(BGE);
  const pooling = { word_embedding_dimension: 385, pooling_mode_cls_token: true };
  await Deno.writeTextFile(`${dir}/1_Pooling/config.json`, JSON.stringify(pooling));
  const embedder = await openEmbedder({ url: `onnx:${dir}`, sessions: 1 });
  await assert.rejects(embedder.embed({ texts: SECRETS }), unavailable(/failed with RangeError/));
  await embedder.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("OnnxEmbedder needs read, env and ffi only, and names a denied permission", async () => {
  const code = `
    import { openEmbedder } from ${JSON.stringify(new URL("../../../lib/embed/open.ts", import.meta.url))};
    const embedder = await openEmbedder({ url: ${JSON.stringify(URL_OF_BGE)}, sessions: 1 });
    const said = embedder.embed({ texts: ["hello"] }).then(([vector]) => vector.length, (e) => e.message);
    console.log(await said);
    await embedder.close();`;
  assert.equal(await runCode({ code, permissions: PERMISSIONS }), "384");
  const without = PERMISSIONS.filter((permission) => permission !== "--allow-ffi");
  assert.match(await runCode({ code, permissions: without }), /bge-small-en-v1.5 did not load: .*ffi access/);
});

test("embed() puts a paraphrase nearer than a sentence that shares its words, in English", async (embedder) => {
  const triples = TRIPLES["English"]!;
  const vectors = await embedder.embed({ texts: triples.flat() });
  const right = triples.filter((_, at) => {
    const [text, alike, other] = vectors.slice(3 * at, 3 * at + 3);
    return dot(text!, alike!) > dot(text!, other!);
  });
  assert.ok(right.length >= 7, `${right.length} of ${triples.length}`);
});
