import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import { problemOf } from "../../routes/http/problem.ts";

Deno.test("problemOf() gives each error code its status", () => {
  const status = (code: ConstructorParameters<typeof ParleyError>[0]) =>
    problemOf(new ParleyError(code, "a sentence"), "one").status;
  assert.deepEqual(
    (["invalid", "not_found", "unsupported", "unavailable", "conflict", "mismatch", "denied"] as const)
      .map(status),
    [400, 404, 501, 503, 409, 500, 403],
  );
});

Deno.test("problemOf() gives no details of an unexpected error", () => {
  const problem = problemOf(new TypeError("cannot read /etc/parley of null"), "one");
  assert.equal(problem.status, 500);
  assert.doesNotMatch(JSON.stringify(problem), /parley of null|TypeError/);
});
