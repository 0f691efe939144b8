import assert from "node:assert/strict";
import { withCauses } from "../../../lib/core/errors.ts";
import { readModelConfig } from "../../../lib/embed/onnx/model_config.ts";
import { identify } from "../../../lib/embed/onnx/open_onnx.ts";

const BGE = new URL("../../../models/bge-small-en-v1.5", import.meta.url).pathname;

const FILES = {
  "modules.json": [
    { path: "", type: "sentence_transformers.models.Transformer" },
    { path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
  ],
  "1_Pooling/config.json": { word_embedding_dimension: 6, pooling_mode_mean_tokens: true },
  "sentence_bert_config.json": { max_seq_length: 128 },
  "tokenizer_config.json": { model_max_length: 512 },
  "config.json": { max_position_embeddings: 514 },
  "onnx/model.onnx": "weights",
};

/** Writes a model folder whose files are these, save for `changes`; null leaves a file out. */
async function folderWith(changes: Record<string, unknown>): Promise<string> {
  const dir = await Deno.makeTempDir();
  for (const [name, content] of Object.entries({ ...FILES, ...changes })) {
    if (content === null) continue;
    await Deno.mkdir(`${dir}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(
      `${dir}/${name}`,
      typeof content === "string" ? content : JSON.stringify(content),
    );
  }
  return dir;
}

function test(what: string, changes: Record<string, unknown>, body: (dir: string) => Promise<void>): void {
  Deno.test(`readModelConfig() ${what}`, async () => {
    const dir = await folderWith(changes);
    await body(dir);
    await Deno.remove(dir, { recursive: true });
  });
}

Deno.test("readLayout() and identify() describe the default model", async () => {
  const layout = await readModelConfig(BGE);
  const { dtype, dimension, pooling, max_tokens, lowercase } = layout;
  assert.deepEqual(
    { dtype, dimension, pooling, max_tokens, lowercase },
    { dtype: "q8", dimension: 384, pooling: "cls", max_tokens: 512, lowercase: true },
  );
  const identity = {
    name: "bge-small-en-v1.5",
    revision: "6c9c6101a956d62d+5c5bcdb7",
    dimension: 384,
    pooling: "cls",
  };
  assert.deepEqual(await identify(layout, "truncate"), identity);
  assert.deepEqual(await identify(layout, "windows"), { ...identity, pooling: "cls+windows" });
});

test("takes each figure from the file that states it", {}, async (dir) => {
  const layout = await readModelConfig(`${dir}/`);
  assert.equal(`${layout.parent}/${layout.name}`, await Deno.realPath(dir));
  const { dtype, dimension, pooling, max_tokens, lowercase } = layout;
  assert.deepEqual(
    { dtype, dimension, pooling, max_tokens, lowercase },
    { dtype: "fp32", dimension: 6, pooling: "mean", max_tokens: 128, lowercase: false },
  );
});

test(
  "takes the shorter of two maxima",
  { "sentence_bert_config.json": { max_seq_length: 513 } },
  async (dir) => {
    assert.equal((await readModelConfig(dir)).max_tokens, 512);
  },
);

test("prefers quantised weights", { "onnx/model_quantized.onnx": "weights" }, async (dir) => {
  assert.equal((await readModelConfig(dir)).dtype, "q8");
});

const MODEL_CARD = {
  "1_Pooling/config.json": { word_embedding_dimension: 1024, pooling_mode_mean_tokens: true },
  "sentence_bert_config.json": { max_seq_length: 128, do_lower_case: false },
  "tokenizer_config.json": { model_max_length: 512 },
  "config.json": { model_type: "roberta", max_position_embeddings: 514 },
  "config_sentence_transformers.json": { __version__: { sentence_transformers: "2.0.0" } },
  "onnx/model_O3.onnx": "weights",
  "onnx/model_qint8_avx512.onnx": "weights",
};

test("reads files like those of all-roberta-large-v1 as its card says", MODEL_CARD, async (dir) => {
  const { parent: _parent, name: _name, onnx: _onnx, ...rest } = await readModelConfig(dir);
  assert.deepEqual(rest, {
    dtype: "fp32",
    subfolder: "onnx",
    dimension: 1024,
    pooling: "mean",
    max_tokens: 128,
    lowercase: false,
    prompts: { query: "", document: "" },
  });
});

test("finds weights next to the other files", {
  "onnx/model.onnx": null,
  "model.onnx": "weights",
}, async (dir) => {
  const { dtype, subfolder, onnx } = await readModelConfig(dir);
  assert.deepEqual([dtype, subfolder, onnx.endsWith("/model.onnx")], ["fp32", "", true]);
});

test("takes the weights that are asked for", {
  "onnx/model_quantized.onnx": "weights",
  "onnx/model_fp16.onnx": "weights",
  "onnx/model_int8.onnx": "weights",
}, async (dir) => {
  for (const dtype of ["fp32", "fp16", "int8", "q8"] as const) {
    assert.equal((await readModelConfig(dir, dtype)).dtype, dtype);
  }
  await assert.rejects(readModelConfig(dir, "uint8"), {
    code: "not_found",
    message: /onnx\/model_uint8\.onnx/,
  });
});

test("takes prompts from the model's files, by either name for documents", {
  "config_sentence_transformers.json": { prompts: { query: "query: ", passage: "passage: " } },
}, async (dir) => {
  assert.deepEqual((await readModelConfig(dir)).prompts, { query: "query: ", document: "passage: " });
});

test("takes the default prompt if there is no other", {
  "config_sentence_transformers.json": { prompts: { sts: "alike: " }, default_prompt_name: "sts" },
}, async (dir) => {
  assert.deepEqual((await readModelConfig(dir)).prompts, { query: "alike: ", document: "alike: " });
});

test("identifies weights by all of their parts", { "onnx/model.onnx_data": "one" }, async (dir) => {
  const revision = async () => (await identify(await readModelConfig(dir), "truncate")).revision;
  const before = await revision();
  await Deno.writeTextFile(`${dir}/onnx/model.onnx_data`, "two");
  assert.notEqual(await revision(), before);
});

const REVISED: Record<string, [string, unknown]> = {
  "the longest input": ["sentence_bert_config.json", { max_seq_length: 127 }],
  "lower case": ["sentence_bert_config.json", { max_seq_length: 128, do_lower_case: true }],
  "a query's prompt": ["config_sentence_transformers.json", { prompts: { query: "query: " } }],
  "a document's prompt": ["config_sentence_transformers.json", { prompts: { document: "query: " } }],
  "the vocabulary": ["tokenizer.json", { model: { vocab: { a: 0 } } }],
  "the tokeniser's settings": ["tokenizer_config.json", { model_max_length: 512, do_lower_case: true }],
};
for (const [what, [file, content]] of Object.entries(REVISED)) {
  test(`and identify() tell models apart by ${what}`, { "tokenizer.json": "{}" }, async (dir) => {
    const revision = async () => (await identify(await readModelConfig(dir), "truncate")).revision;
    const before = await revision();
    await Deno.writeTextFile(`${dir}/README.md`, "changes no vector");
    assert.equal(await revision(), before);
    await Deno.writeTextFile(`${dir}/${file}`, JSON.stringify(content));
    const after = await revision();
    assert.notEqual(after, before);
    assert.equal(after.split("+")[0], before.split("+")[0]);
  });
}

const REFUSALS: Record<string, [Record<string, unknown>, string]> = {
  "a folder without weights": [{ "onnx/model.onnx": null }, "not_found"],
  "a folder without a pooling file": [{ "1_Pooling/config.json": null }, "not_found"],
  "a file that is not JSON": [{ "modules.json": "<html>" }, "invalid"],
  "a dimension that is no number": [
    { "1_Pooling/config.json": { word_embedding_dimension: "6" } },
    "invalid",
  ],
  "a module that it has no code for": [{
    "modules.json": [...FILES["modules.json"], {
      path: "2_Dense",
      type: "sentence_transformers.models.Dense",
    }],
  }, "unsupported"],
  "max pooling": [{
    "1_Pooling/config.json": { word_embedding_dimension: 6, pooling_mode_max_tokens: true },
  }, "unsupported"],
  "two poolings at once": [{
    "1_Pooling/config.json": {
      word_embedding_dimension: 6,
      pooling_mode_cls_token: true,
      pooling_mode_mean_tokens: true,
    },
  }, "unsupported"],
  "prompts that are not pooled": [{
    "1_Pooling/config.json": { ...FILES["1_Pooling/config.json"], include_prompt: false },
    "config_sentence_transformers.json": { prompts: { query: "query: " } },
  }, "unsupported"],
  "no maximum at all": [{ "sentence_bert_config.json": {}, "tokenizer_config.json": {} }, "invalid"],
  "neither a maximum nor a number of positions": [{
    "sentence_bert_config.json": {},
    "tokenizer_config.json": {},
    "config.json": {},
  }, "invalid"],
  "a maximum beyond the positions": [{
    "sentence_bert_config.json": {},
    "tokenizer_config.json": { model_max_length: 1e30 },
  }, "invalid"],
};

for (const [what, [changes, code]] of Object.entries(REFUSALS)) {
  test(`refuses ${what}`, changes, async (dir) => {
    await assert.rejects(readModelConfig(dir), { code });
  });
}

Deno.test("readLayout() says which folder is missing", async () => {
  const error = await readModelConfig("/nowhere/model").catch((error) => error);
  assert.equal(error.code, "not_found");
  // With its causes, as a run reports it: one sentence, and no line of code.
  assert.match(withCauses(error), /^the embedding model's \/nowhere\/model does not exist: look at [^\n]*$/);
});
