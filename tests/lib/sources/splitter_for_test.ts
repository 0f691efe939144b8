import assert from "node:assert/strict";
import { LineSplitter } from "../../../lib/sources/splitter_for.ts";
import { NotJson } from "../../../lib/sources/splitter.ts";

const lines = (count: number, length: number) => `${"x".repeat(length)}\n`.repeat(count);

Deno.test("LineSplitter gives each line unchanged, also the last one without a line feed", () => {
  const splitter = new LineSplitter();
  assert.deepEqual([splitter.push('{"a":'), splitter.push("1}\n nonsense\n\n{}"), splitter.end()], [
    [],
    ['{"a":1}', " nonsense", ""],
    ["{}"],
  ]);
  assert.equal(splitter.line, 4);
});

Deno.test("LineSplitter takes a text for no JSON after 100 lines and 1 MiB without an object, and not before", () => {
  const long = new LineSplitter();
  assert.equal(long.push(lines(99, 20_000)).length, 99);
  assert.throws(() => long.push(lines(1, 1)), NotJson);
  const short = new LineSplitter();
  assert.equal(short.push(lines(1_024, 1_024)).length, 1_024);
  assert.throws(() => short.push(lines(1, 1)), NotJson);
});

Deno.test("LineSplitter takes a text for lines of JSON once one of them is an object, however late", () => {
  const late = new LineSplitter();
  late.push(lines(99, 20_000));
  assert.deepEqual(late.push("{}\n"), ["{}"]);
  assert.equal(late.push(lines(200, 20_000)).length, 200);
  assert.deepEqual(late.end(), []);
});

Deno.test("LineSplitter takes a text for no JSON at its end if no line was an object, unless all were blank", () => {
  for (const text of ["x", "x\n", "\n[]\n", "{not so}"]) {
    const splitter = new LineSplitter();
    splitter.push(text);
    assert.throws(() => splitter.end(), NotJson, JSON.stringify(text));
  }
  const blank = new LineSplitter();
  assert.deepEqual([blank.push("\n  \n"), blank.end()], [["", "  "], []]);
});
