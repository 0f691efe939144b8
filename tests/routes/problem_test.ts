import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import { causeOf } from "../../routes/endpoint.ts";
import { problemOf } from "../../routes/problem.ts";

Deno.test("problemOf() gives each error code its status", () => {
  const status = (code: ConstructorParameters<typeof ParleyError>[0]) =>
    problemOf(new ParleyError(code, "a sentence"), "one").status;
  assert.deepEqual(
    (["invalid", "not_found", "unsupported", "unavailable", "conflict", "mismatch", "denied"] as const)
      .map(status),
    [400, 404, 501, 503, 409, 500, 403],
  );
});

Deno.test("problemOf() tells nothing of an unforeseen error", () => {
  const problem = problemOf(new TypeError("cannot read /etc/parley of null"), "one");
  assert.equal(problem.status, 500);
  assert.doesNotMatch(JSON.stringify(problem), /parley of null|TypeError/);
});

Deno.test("causeOf() names a foreign error and its place without its message", () => {
  const cause = causeOf(new SyntaxError(`"my card number is" is not valid JSON`));
  assert.match(cause, /^SyntaxError at .*problem_test\.ts/);
  assert.doesNotMatch(cause, /card number/);
});

Deno.test("causeOf() keeps the sentence of Parley's own error", () => {
  assert.equal(causeOf(new ParleyError("conflict", "somebody else runs")), "conflict: somebody else runs");
});
