import assert from "node:assert/strict";
import { SetDigest } from "../../../lib/stores/engines/set_digest.ts";
import type { Json } from "../../../lib/core/types.ts";

function digestOf(...rows: Json[]): string {
  const digest = new SetDigest();
  for (const row of rows) digest.add(row);
  return digest.hex();
}

Deno.test("SetDigest of nothing is 64 zeros", () => {
  assert.equal(digestOf(), "0".repeat(64));
});

Deno.test("SetDigest of one row is the SHA-256 of its canonical JSON", () => {
  // printf '{"a":1,"b":[null,"é"]}' | sha256sum
  const expected = "0d0af69a31cfe64c51900019607e8220873cef687da9d9b6491e687c64b19058";
  assert.equal(digestOf({ b: [null, "é"], a: 1 }), expected);
});

Deno.test("SetDigest depends on rows, not on their order", () => {
  assert.equal(digestOf("a", "b", { c: 1 }), digestOf({ c: 1 }, "b", "a"));
  assert.notEqual(digestOf("a", "b"), digestOf("ab"));
  assert.notEqual(digestOf("a"), digestOf("a", "a"));
});
