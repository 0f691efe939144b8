import assert from "node:assert/strict";
import { causeOf, ParleyError } from "../../../lib/core/errors.ts";

Deno.test("causeOf() names a foreign error and its place without its message", () => {
  const cause = causeOf(new SyntaxError(`"my card number is" is not valid JSON`));
  assert.match(cause, /^SyntaxError at .*errors_test\.ts/);
  assert.doesNotMatch(cause, /card number/);
});

Deno.test("causeOf() keeps the sentence of Parley's own error", () => {
  assert.equal(causeOf(new ParleyError("conflict", "somebody else runs")), "conflict: somebody else runs");
});
