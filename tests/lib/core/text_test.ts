import assert from "node:assert/strict";
import { compareText, counted } from "../../../lib/core/text.ts";

Deno.test("compareText() orders by code point, as UTF-8 does", () => {
  const ordered = ["", "a", "ab", "b", "\ud7ff", "\uffff", "\u{10000}", "\u{10ffff}"];
  assert.deepEqual(ordered.toReversed().sort(compareText), ordered);
  assert.equal(compareText("x", "x"), 0);
});

Deno.test("counted() has a plural for all counts but one", () => {
  assert.deepEqual([0, 1, 2].map((count) => counted(count, "row")), ["0 rows", "1 row", "2 rows"]);
});
