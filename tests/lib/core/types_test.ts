import assert from "node:assert/strict";
import {
  allows,
  type ModelIdentity,
  modelKey,
  parseModelKey,
  type Scope,
  SCOPES,
} from "../../../lib/core/types.ts";

Deno.test("parseModelKey() reads what modelKey() wrote, whatever the name is", () => {
  const names = ["bge-small-en-v1.5", "org/model", "me@host/v1", "a b/4/mean", "模型\n2"];
  for (const name of names) {
    const model: ModelIdentity = { name, revision: "0a1b/2", dimension: 1_024, pooling: "cls" };
    assert.deepEqual(parseModelKey(modelKey(model)), model);
  }
});

Deno.test("parseModelKey() refuses text that is no key", () => {
  for (const text of ["", "none", "name@1/0/mean", "name@1/x/mean", "name/384/mean", "@1/384/mean"]) {
    assert.throws(() => parseModelKey(text), { code: "invalid" }, text);
  }
});

Deno.test("allows() includes in each scope those before it", () => {
  const given = (scope: Scope) => SCOPES.filter((each) => allows([scope], each));
  assert.deepEqual(given("read"), ["read"]);
  assert.deepEqual(given("write"), ["read", "write"]);
  assert.deepEqual(given("admin"), ["read", "write", "admin"]);
  assert.equal(allows([], "read"), false);
  assert.equal(allows(["read", "write"], "admin"), false);
});
