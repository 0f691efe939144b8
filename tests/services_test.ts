import assert from "node:assert/strict";
import { builtInDags } from "../commands/engine.ts";
import { configuredModels, embedderOptions, modelUrl, resolveModel } from "../commands/models.ts";
import { refuseTestEmbedder } from "../commands/services.ts";
import { loadConfig } from "../lib/config.ts";
import { checkParams } from "../lib/dag/runs.ts";

const optionsOf = (env: Record<string, string>) => embedderOptions(loadConfig(env, "/home/some body"));

Deno.test("embedderOptions() passes on the configured URL unchanged", () => {
  const urls = {
    "onnx:./models/a b": "onnx:/home/some body/models/a b",
    "onnx:/opt/model?dtype=fp16": "onnx:/opt/model?dtype=fp16",
    "onnx:somebody/model?revision=v1": "onnx:somebody/model?revision=v1",
    "onnx:/C#/what?/100%/a%20b?dtype=q8": "onnx:/C#/what?/100%/a%20b?dtype=q8",
    "https://host/v1/embeddings?model=a%2Fb": "https://host/v1/embeddings?model=a%2Fb",
    "tei+http://host:8080": "tei+http://host:8080",
    "test:64": "test:64",
  };
  for (const [setting, url] of Object.entries(urls)) {
    assert.equal(optionsOf({ PARLEY_EMBEDDINGS: setting }).url, url);
  }
});

Deno.test("embedderOptions() has the key, the hub and what becomes of long texts", () => {
  const { key, hub, longTexts } = optionsOf({
    PARLEY_EMBEDDINGS: "tei+https://host:8080/a?batch=2",
    PARLEY_EMBEDDINGS_KEY: "secret",
    PARLEY_EMBED_LONG: "windows",
    HF_ENDPOINT: "https://hub.example",
  });
  assert.deepEqual([key, longTexts], [{ secret: "secret", origin: "https://host:8080" }, "windows"]);
  assert.equal(optionsOf({ PARLEY_EMBEDDINGS_KEY: "secret" }).key?.origin, null, "of the bundled model");
  assert.deepEqual(hub, {
    endpoint: "https://hub.example",
    token: null,
    cache: "/home/some body/.parley/models",
  });
  assert.throws(() => optionsOf({ PARLEY_EMBED_LONG: "drop" }), /PARLEY_EMBED_LONG is neither/);
});

Deno.test("refuseTestEmbedder() accepts models, and the test embedder if it is allowed", () => {
  const refuse = (env: Record<string, string>) => () => refuseTestEmbedder(loadConfig(env));
  assert.throws(refuse({ PARLEY_EMBEDDINGS: "test:8" }), {
    code: "invalid",
    message: /test:8 knows no meanings/,
  });
  refuse({ PARLEY_EMBEDDINGS: "test:8", PARLEY_ALLOW_TEST_EMBEDDER: "1" })();
  refuse({})();
});

Deno.test("reembed takes the param model as the setting, and says what is wrong with the param", () => {
  const config = loadConfig({});
  assert.equal(resolveModel(config, "onnx:./models/a b"), `onnx:${Deno.cwd()}/models/a b`);
  assert.equal(resolveModel(config, "test:64"), "test:64");
  const odd = "onnx:/C#/what?/100%/a%20b?dtype=q8";
  assert.equal(resolveModel(config, odd), odd, "a name is read as it is shown");
  const dag = builtInDags(config).get("reembed")!;
  const needed = /: model: name the new model as PARLEY_EMBEDDINGS would, such as onnx:.*$/;
  assert.equal(checkParams(dag, {})["model"], configuredModels(config)[0]);
  const refusals: [string | number, RegExp][] = [
    [7, needed],
    ["", /^the param model names no embedder/],
    ["foo", /^the param model names no embedder; use onnx:<folder>, .* or test:<dimension>$/],
    ["sqlite:./x.db", /^the param model names no embedder/],
    ["onnx:", /^the param model names no embedder/],
    ["https://user:se/cret@host/v1?model=m", /^the param model has a user, a password or a key with/],
  ];
  for (const [model, message] of refusals) {
    assert.throws(() => checkParams(dag, { model }), { code: "invalid", message });
  }
});

Deno.test("a model whose URL holds a secret is named without it, and opened by the settings alone", () => {
  const url = "https://host/v1/embeddings?model=m&api_key=s3cret";
  const name = "https://host/v1/embeddings?model=m&…";
  const config = loadConfig({
    PARLEY_EMBEDDINGS: "test:8",
    PARLEY_MODELS: `${url}, onnx:/opt/a b?dtype=fp16`,
  });
  assert.deepEqual(configuredModels(config), ["test:8", name, "onnx:/opt/a b?dtype=fp16"]);
  for (const given of [url, name]) assert.equal(resolveModel(config, given), name);
  assert.equal(modelUrl(config, name), url);
  assert.equal(modelUrl(config, "onnx:/opt/a b?dtype=fp16"), "onnx:/opt/a b?dtype=fp16");
  assert.equal(modelUrl(config, "test:16"), "test:16");
  for (const other of [url.replace("s3cret", "0ther"), "https://user:s3cret@host/v1?model=m", name]) {
    assert.throws(() => resolveModel(loadConfig({}), other), (error: Error) => {
      assert.match(error.message, /set PARLEY_MODELS to that URL/);
      return !/s3cret|0ther/.test(error.message);
    });
  }
  assert.throws(() => modelUrl(loadConfig({}), name), { code: "invalid", message: /PARLEY_MODELS/ });
});
