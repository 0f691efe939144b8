/** Whatever text a message may have, embedding it gives a vector: nothing that validates can fail a run later. */
import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import { meanVector, normalize } from "../../../lib/embed/vectors.ts";
import { parseRow } from "../../../lib/schema/row.ts";
import { timeWindow } from "../../../lib/schema/time.ts";
import { withEmbeddings } from "../../fixtures/embeddings.ts";
import { BGE, TINY } from "../../fixtures/models.ts";
import { pick, random } from "../../fixtures/rows.ts";
import { dot } from "../../fixtures/vectors.ts";

/** Pieces that have broken tokenisers, stores and JSON before, one a kind of trouble. */
const PIECES = [
  "",
  " ",
  "\u00a0\u2003\u3000",
  "\u200b\u200c\u200d\u2060",
  "\ufeff",
  "\u0000",
  "\u0001\u0008\u001b[31m\u007f\u0085",
  "\ud83d",
  "\udc4d",
  "\ufffe\uffff",
  "\u202eright to left\u202c",
  "שלום עולם",
  "مرحبا بالعالم",
  "映画を探しています",
  "我想看一部电影",
  "한국어 문장",
  "👩‍👩‍👧‍👦🏳️‍🌈👍🏽",
  "e\u0301\u0323\u0302".repeat(20),
  "İıſK",
  "[CLS] [SEP] [MASK] [PAD] <s> </s> <pad> <mask>",
  "<script>alert(1)</script>",
  "'; DROP TABLE messages; --",
  '{"a":[1,2,{"b":null}]}',
  "\\u0000 %s %n ${x} {{y}}",
  "https://example.org/?q=%00#frag",
  "x".repeat(500),
  "…—–“”‘’",
  "\r\n\t\v\f",
  "plain words",
];

const next = random(7);
const mixed = () => Array.from({ length: 1 + Math.floor(next() * 4) }, () => pick(next, PIECES)).join("");
const TEXTS = [...PIECES, ...Array.from({ length: 60 }, mixed), "a b\u0301 ".repeat(262_144)];

/** What messages with these texts hold once they are validated; the blank ones are refused with a reason. */
function validated(texts: readonly string[]): string[] {
  return texts.flatMap((message) => {
    // As a row comes in: through JSON.
    const value = JSON.parse(JSON.stringify({ user_id: "u", message, timestamp: "2026-01-01T00:00:00Z" }));
    const parsed = parseRow({ kind: "messages", value, window: timeWindow({ now: Date.now() }) });
    if (parsed.ok) return [parsed.row.message];
    assert.match(parsed.reason, /message is blank|message is longer than/);
    return [];
  });
}

async function embedsAll(embedder: Embedder, texts: readonly string[]): Promise<void> {
  try {
    const vectors = await embedder.embed({ texts });
    for (const vector of vectors) {
      assert.equal(vector.length, embedder.model.dimension);
      assert.ok(Math.abs(Math.sqrt(dot(vector, vector)) - 1) < 1e-5);
    }
  } finally {
    await embedder.close();
  }
}

const GOOD = validated(TEXTS);

Deno.test("blank texts and such of more than 1 MiB do not validate, and all others do", () => {
  const blank = TEXTS.filter((text) => text.trim() === "").length;
  assert.equal(GOOD.length, TEXTS.length - blank - 1);
  assert.ok(GOOD.includes("\u200b\u200c\u200d\u2060"));
});

Deno.test("OnnxEmbedder embeds every text that validates", async () =>
  embedsAll(await openEmbedder({ url: `onnx:${BGE}`, sessions: 1 }), GOOD));

Deno.test("OnnxEmbedder embeds every text that validates, by byte-level tokens and in windows", async () => {
  const megabyte = "words and more words ".repeat(49_932);
  const texts = [...GOOD, ...validated([megabyte])];
  await embedsAll(await openEmbedder({ url: `onnx:${TINY}`, sessions: 1, longTexts: "windows" }), texts);
});

Deno.test("HttpEmbedder embeds every text that validates, whatever its endpoint finds too long", () =>
  withEmbeddings({ longest: 200 }, async ({ host }) => {
    for (const long of ["truncate", "windows"] as const) {
      for (const url of [`http://${host}?model=m`, `tei+http://${host}`]) {
        await embedsAll(await openEmbedder({ url, longTexts: long }), GOOD);
      }
    }
  }));

Deno.test("DeterministicEmbedder embeds every text that validates", async () =>
  embedsAll(await openEmbedder({ url: "test:64" }), GOOD));

Deno.test("unit() and meanOf() refuse vectors without a direction", () => {
  for (const numbers of [[], [0, 0], [NaN, 1], [Infinity, 1], [1e200, 1e200]]) {
    assert.throws(() => normalize(numbers), RangeError);
  }
  assert.throws(() => meanVector([Float32Array.of(1, 0), Float32Array.of(-1, 0)]), RangeError);
  assert.deepEqual(
    meanVector([Float32Array.of(1, 0), Float32Array.of(0, 1)], [3, 4]),
    Float32Array.of(0.6, 0.8),
  );
});
