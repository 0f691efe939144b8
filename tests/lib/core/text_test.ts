import assert from "node:assert/strict";
import { compareText, counted, countWords, wordsOf } from "../../../lib/core/text.ts";

Deno.test("compareText() orders by code point, as UTF-8 does", () => {
  const ordered = ["", "a", "ab", "b", "\ud7ff", "\uffff", "\u{10000}", "\u{10ffff}"];
  assert.deepEqual(ordered.toReversed().sort(compareText), ordered);
  assert.equal(compareText("x", "x"), 0);
});

Deno.test("counted() has a plural for all counts but one", () => {
  assert.deepEqual([0, 1, 2].map((count) => counted(count, "row")), ["0 rows", "1 row", "2 rows"]);
});

Deno.test("wordsOf() keeps words of every script whole, and takes pairs of letters in scripts without spaces", () => {
  const cases: [string, string[]][] = [
    ["Don't  stop: Café 42!", ["don", "t", "stop", "café", "42"]],
    ["मुझे पसंद है", ["मुझे", "पसंद", "है"]],
    ["أريدُ الخبز", ["أريدُ", "الخبز"]],
    ["我想学。面包", ["我想", "想学", "面包"]],
    ["トーストon鉄", ["トー", "ース", "スト", "on", "鉄"]],
    ["ต้ม", ["ต้", "้ม"]],
    ["🥖 🏃‍♀️ ?!", []],
  ];
  for (const [text, words] of cases) assert.deepEqual(wordsOf(text), words, text);
});

Deno.test("countWords() counts words that objects have as properties", () => {
  assert.deepEqual(Object.entries(countWords("__proto__ constructor constructor")), [
    ["proto", 1],
    ["constructor", 2],
  ]);
});
