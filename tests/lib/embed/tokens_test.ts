import assert from "node:assert/strict";
import { specialTokens, tokenWindows } from "../../../lib/embed/onnx/tokens.ts";

const tokens = (count: number) => Array.from({ length: count }, (_, at) => at);

Deno.test("specialTokens() separates the tokens before a text from those after it", () => {
  const encode =
    (before: number[], after: number[]) => (_: string, options: { add_special_tokens: boolean }) =>
      options.add_special_tokens ? [...before, 7, 8, ...after] : [7, 8];
  assert.deepEqual(specialTokens(encode([1], [2])), { before: [1], after: [2] });
  assert.deepEqual(specialTokens(encode([], [2])), { before: [], after: [2] });
  assert.deepEqual(specialTokens(encode([1, 3], [])), { before: [1, 3], after: [] });
});

Deno.test("windowsOf() leaves a text that fits whole", () => {
  assert.deepEqual(tokenWindows({ tokens: tokens(10), windowSize: 10, maxWindows: 5, promptTokens: [] }), [
    tokens(10),
  ]);
  assert.deepEqual(tokenWindows({ tokens: [], windowSize: 10, maxWindows: 5, promptTokens: [] }), [[]]);
});

Deno.test("windowsOf() covers every token with full windows that overlap", () => {
  for (const count of [11, 17, 18, 19, 100, 1_001]) {
    const windows = tokenWindows({
      tokens: tokens(count),
      windowSize: 10,
      maxWindows: 1_000,
      promptTokens: [],
    });
    assert.ok(windows.every((window) => window.length === 10));
    assert.deepEqual([...new Set(windows.flat())], tokens(count));
    assert.equal(windows.at(-1)!.at(-1), count - 1);
    assert.equal(new Set(windows.map(String)).size, windows.length);
  }
});

Deno.test("windowsOf() begins each window with the prompt, and stops at the given limit", () => {
  const windows = tokenWindows({ tokens: tokens(100), windowSize: 10, maxWindows: 3, promptTokens: [0, 1] });
  assert.deepEqual(windows.map((window) => window.slice(0, 3)), [[0, 1, 2], [0, 1, 8], [0, 1, 14]]);
  assert.deepEqual(
    tokenWindows({ tokens: tokens(100), windowSize: 10, maxWindows: 1, promptTokens: [0, 1] }),
    [tokens(10)],
  );
});
