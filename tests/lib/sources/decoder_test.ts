import assert from "node:assert/strict";
import { decoderFor, Utf8Decoder } from "../../../lib/sources/decoder.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Decodes bytes in chunks of so many. */
function decode(bytes: Bytes, size: number): { text: string; invalidAt: number | null } {
  const decoder = new Utf8Decoder();
  let text = "";
  for (let at = 0; at < bytes.length; at += size) text += decoder.push(bytes.slice(at, at + size));
  text += decoder.end();
  return { text, invalidAt: decoder.invalidAt };
}

/** A generator of numbers below `limit`: the same ones each time. */
function numbers(): (limit: number) => number {
  let state = 1;
  return (limit) => (state = Math.imul(state, 48_271) >>> 1) % limit;
}

const CHARACTERS = ["a", "\n", '"', "é", "߿", "ࠀ", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"];

Deno.test("Utf8Decoder() reads the same text through any chunk boundary", () => {
  const text = CHARACTERS.join("").repeat(3);
  const bytes = new TextEncoder().encode(text);
  for (let size = 1; size <= bytes.length; size++) {
    assert.deepEqual(decode(bytes, size), { text, invalidAt: null }, `chunks of ${size}`);
  }
});

Deno.test("Utf8Decoder() finds what TextDecoder finds not to be UTF-8, and all text around it", () => {
  const next = numbers();
  const strict = new TextDecoder("utf-8", { fatal: true }), lenient = new TextDecoder();
  let invalid = 0;
  for (let round = 0; round < 3_000; round++) {
    const parts = Array.from(
      { length: 6 },
      () =>
        next(3) === 0
          ? [...crypto.getRandomValues(new Uint8Array(1))]
          : [...new TextEncoder().encode(CHARACTERS[next(CHARACTERS.length)])],
    );
    const bytes = Uint8Array.from(parts.flat());
    const { text, invalidAt } = decode(bytes, 1 + next(8));
    const what = bytes.join(" ");
    assert.equal(text.replace(/\udc80+/g, "?"), lenient.decode(bytes).replace(/\ufffd+/g, "?"), what);
    if (invalidAt === null) assert.equal(strict.decode(bytes), text);
    else {
      invalid++;
      assert.throws(() => strict.decode(bytes), what);
      assert.equal(strict.decode(bytes.subarray(0, invalidAt)), text.slice(0, text.indexOf("\udc80")), what);
    }
  }
  assert.ok(invalid > 1_000);
});

Deno.test("decoderFor() leaves out one byte order mark, at the beginning", () => {
  for (const size of [1, 2, 3, 100]) {
    const bytes = new TextEncoder().encode('\ufeff\ufeff{"a":1}');
    assert.equal(decode(bytes, size).text, '\ufeff{"a":1}');
  }
  assert.equal(
    decoderFor(Uint8Array.of(0xff, 0xfe, 0x41, 0x00)).push(Uint8Array.of(0xff, 0xfe, 0x41, 0x00)),
    "A",
  );
});
