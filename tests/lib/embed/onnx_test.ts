import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import { embedderContract } from "../../contracts/embedder.ts";
import { dot } from "../../fixtures/vectors.ts";

const BGE = new URL("../../../models/bge-small-en-v1.5", import.meta.url).pathname;
const URL_OF_BGE = `onnx:${BGE}`;

embedderContract("OnnxEmbedder", async () => {
  const embedder = await openEmbedder({ url: URL_OF_BGE, sessions: 2 });
  return { embedder, close: () => embedder.close() };
});

function test(what: string, body: (embedder: Embedder) => Promise<void>, sessions = 1): void {
  Deno.test(`OnnxEmbedder ${what}`, async () => {
    const embedder = await openEmbedder({ url: URL_OF_BGE, sessions });
    try {
      await body(embedder);
    } finally {
      await embedder.close();
    }
  });
}

test("embed() agrees with the model's published similarities", async (embedder) => {
  const texts = ["That is a happy person", "That is a very happy person", "Today is a sunny day"];
  const [happy, very, sunny] = await embedder.embed({ texts });
  assert.ok(Math.abs(dot(happy!, very!) - 0.96) < 0.03, `${dot(happy!, very!)}`);
  assert.ok(dot(happy!, sunny!) < 0.7, `${dot(happy!, sunny!)}`);
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
  await embedder.embed({ texts: ["load"] });
  const texts = Array.from({ length: 2_000 }, (_, at) => `text ${at}`);
  const controller = new AbortController();
  const reason = new Error("stop");
  const start = performance.now();
  const embedding = embedder.embed({ texts, signal: controller.signal });
  setTimeout(() => controller.abort(reason), 50);
  await assert.rejects(embedding, reason);
  assert.ok(performance.now() - start < 1_500, "aborting took as long as embedding all");
});

test("embed() leaves the event loop free", async (embedder) => {
  await embedder.embed({ texts: ["load"] });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const start = performance.now();
  await embedder.embed({ texts: ["word ".repeat(510), "word ".repeat(509), "word ".repeat(508)] });
  clearInterval(timer);
  const due = (performance.now() - start) / 5;
  assert.ok(ticks > due / 4, `a timer had ${ticks} of ${due} turns`);
});

test("close() rejects what is under way, and what comes later", async (embedder) => {
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

Deno.test("OnnxEmbedder runs a mean-pooled fp32 model of another family", async (t) => {
  const folder = new URL("../../../../shared/models/tiny-roberta-1024", import.meta.url).pathname;
  const found = await Deno.stat(folder).then(() => true, () => false);
  await t.step({
    name: found ? "with tiny-roberta-1024" : "skipped: no tiny-roberta-1024",
    ignore: !found,
    fn: () => runTiny(folder),
  });
});

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
  } finally {
    await embedder.close();
  }
}

Deno.test("OnnxEmbedder says why a model does not load, and tries again at the next call", async () => {
  const dir = await Deno.makeTempDir();
  for await (const { name, isFile } of Deno.readDir(BGE)) {
    if (isFile) await Deno.copyFile(`${BGE}/${name}`, `${dir}/${name}`);
  }
  await Deno.mkdir(`${dir}/1_Pooling`);
  await Deno.mkdir(`${dir}/onnx`);
  await Deno.copyFile(`${BGE}/1_Pooling/config.json`, `${dir}/1_Pooling/config.json`);
  await Deno.writeTextFile(`${dir}/onnx/model_quantized.onnx`, "not a model");
  const embedder = await openEmbedder({ url: `onnx:${dir}`, sessions: 2 });
  const texts = Array.from({ length: 40 }, (_, at) => `secret ${at}`);
  for (let time = 0; time < 2; time++) {
    await assert.rejects(embedder.embed({ texts }), (error: Error) => {
      assert.equal("code" in error && error.code, "unavailable");
      return /failed with .*protobuf/i.test(error.message) && !error.message.includes("secret");
    });
  }
  await Deno.copyFile(`${BGE}/onnx/model_quantized.onnx`, `${dir}/onnx/model_quantized.onnx`);
  assert.equal((await embedder.embed({ texts })).length, 40);
  await embedder.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("OnnxEmbedder needs read, env and ffi only", async () => {
  const dir = await Deno.makeTempDir();
  const module = new URL("../../../lib/embed/open.ts", import.meta.url);
  await Deno.writeTextFile(
    `${dir}/run.ts`,
    `const { openEmbedder } = await import(${JSON.stringify(module)});
     const embedder = await openEmbedder({ url: ${JSON.stringify(URL_OF_BGE)}, sessions: 1 });
     const [vector] = await embedder.embed({ texts: ["hello"] });
     await embedder.close();
     console.log(vector.length);`,
  );
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--config",
      config,
      "--allow-read",
      "--allow-env",
      "--allow-ffi",
    ]
      .concat(`${dir}/run.ts`),
  }).output();
  assert.equal(new TextDecoder().decode(stdout).trim(), "384", new TextDecoder().decode(stderr));
  await Deno.remove(dir, { recursive: true });
});
