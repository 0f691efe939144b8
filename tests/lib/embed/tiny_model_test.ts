import assert from "node:assert/strict";
import { TINY } from "../../fixtures/models.ts";
import { tinyFiles, tinyWeights } from "../../fixtures/tiny_model.ts";

Deno.test("the files of tests/fixtures/tiny-roberta-1024 are those that tiny_model.ts writes", () => {
  for (const [path, value] of Object.entries(tinyFiles())) {
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(`${TINY}/${path}`)), value, path);
  }
  assert.deepEqual(Deno.readFileSync(`${TINY}/onnx/model.onnx`), tinyWeights());
});
