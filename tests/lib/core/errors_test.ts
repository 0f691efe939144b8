import assert from "node:assert/strict";
import { causeOf, ParleyError, withCauses } from "../../../lib/core/errors.ts";

Deno.test("causeOf() names a foreign error and its place without its message", () => {
  const cause = causeOf(new SyntaxError(`"my card number is" is not valid JSON`));
  assert.match(cause, /^SyntaxError at .*errors_test\.ts/);
  assert.doesNotMatch(cause, /card number/);
});

Deno.test("causeOf() keeps the sentence of Parley's own error", () => {
  assert.equal(causeOf(new ParleyError("conflict", "somebody else runs")), "conflict: somebody else runs");
});

Deno.test("withCauses() tells the sentence and what caused it, of foreign errors without their message", () => {
  const foreign = new TypeError("ann said hello");
  const store = new ParleyError("unavailable", "the store is gone", { cause: foreign });
  const text = withCauses(new Error("the task failed", { cause: store }));
  assert.match(text, /^the task failed\ncaused by unavailable: the store is gone\ncaused by TypeError at /);
  assert.doesNotMatch(text, /ann/);
  const round = new Error("round");
  round.cause = round;
  assert.equal(withCauses(round).split("\n").length, 6);
  assert.equal(withCauses("text"), "text");
});
