import assert from "node:assert/strict";
import { type ModelIdentity, modelKey, parseModelKey } from "../../../lib/core/types.ts";

Deno.test("parseModelKey() reads what modelKey() wrote, whatever the name is", () => {
  const names = ["bge-small-en-v1.5", "org/model", "me@host/v1", "a b/4/mean", "模型\n2"];
  for (const name of names) {
    const model: ModelIdentity = { name, revision: "0a1b/2", dimension: 1_024, pooling: "cls" };
    assert.deepEqual(parseModelKey(modelKey(model)), model);
  }
});

Deno.test("parseModelKey() refuses what is no key", () => {
  for (const text of ["", "none", "name@1/0/mean", "name@1/x/mean", "name/384/mean", "@1/384/mean"]) {
    assert.throws(() => parseModelKey(text), { code: "invalid" }, text);
  }
});
