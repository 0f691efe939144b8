import assert from "node:assert/strict";
import { markRow, problemOf } from "../../../lib/sources/row_problem.ts";

Deno.test("problemOf() gives back what markRow() put on a row", () => {
  for (const problem of ["too_long", "not_utf8"] as const) {
    assert.deepEqual(problemOf(markRow('{"a":1}', problem)), { problem, row: '{"a":1}' });
  }
});

Deno.test("problemOf() takes no other row for a marked one", () => {
  for (const row of ["", '{"a":"not_utf8"}', "binary\0", "\0secret", "not_utf8"]) {
    assert.equal(problemOf(row), null);
  }
});
