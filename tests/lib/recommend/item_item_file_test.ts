import assert from "node:assert/strict";
import {
  type CampaignWeights,
  decodeItemWeights,
  encodeItemWeights,
} from "../../../lib/recommend/item_item_file.ts";

const WEIGHTS: CampaignWeights = {
  campaign_ids: ["a", "ключ", "🥾"],
  offsets: Uint32Array.of(0, 2, 2, 3),
  targets: Uint32Array.of(1, 2, 0),
  weights: Float32Array.of(0.5, -0.25, 1),
};
const refusal = (message: RegExp) => ({ name: "ParleyError", code: "mismatch", message });

Deno.test("decodeItemWeights() gives what encodeItemWeights() was given, wherever the bytes lie", async () => {
  const file = encodeItemWeights(WEIGHTS);
  assert.deepEqual(await decodeItemWeights(file), WEIGHTS);
  for (const offset of [1, 2, 3]) {
    const shifted = new Uint8Array(file.length + offset);
    shifted.set(file, offset);
    assert.deepEqual(await decodeItemWeights(shifted.subarray(offset)), WEIGHTS);
  }
  const none = {
    campaign_ids: [],
    offsets: Uint32Array.of(0),
    targets: new Uint32Array(),
    weights: new Float32Array(),
  };
  assert.deepEqual(await decodeItemWeights(encodeItemWeights(none)), none);
});

Deno.test("encodeItemWeights() gives equal bytes for equal weights", () => {
  assert.deepEqual(encodeItemWeights(WEIGHTS), encodeItemWeights(structuredClone(WEIGHTS)));
});

Deno.test("decodeItemWeights() refuses a file of any other length", async () => {
  const file = encodeItemWeights(WEIGHTS);
  for (let length = 0; length < file.length; length++) {
    await assert.rejects(
      () => decodeItemWeights(file.subarray(0, length)),
      refusal(/of item–item weights cannot be used: it has \d+/),
    );
  }
  await assert.rejects(
    () => decodeItemWeights(Uint8Array.of(...file, 0)),
    refusal(/it has \d+ of \d+ bytes; the next run/),
  );
});

Deno.test("decodeItemWeights() refuses a file with any one bit flipped", async () => {
  const file = encodeItemWeights(WEIGHTS);
  for (let at = 0; at < file.length; at++) {
    const flipped = file.slice();
    flipped[at]! ^= 1 << at % 8;
    await assert.rejects(() => decodeItemWeights(flipped), refusal(/cannot be used/), `byte ${at}`);
  }
});

Deno.test("decodeItemWeights() says so if a file is of another format", async () => {
  const file = encodeItemWeights(WEIGHTS);
  file[3] = 1;
  await assert.rejects(() => decodeItemWeights(file), refusal(/it is of another format, or none/));
});

/** {@link WEIGHTS} in format 3, as an earlier program wrote them. Another layout needs another number, and has another file here. */
const FILE =
  "UElXAwQAAAADAAAAAwAAADEAAAAfOX8qbD6ReyWtNwog1aBUIfyWN8oqSDMNa+usE8AymQAAAAACAAAAAgAAAAMAAAABAAAAAgAAAAAA" +
  "AAAAAAA/AACAvgAAgD97InRleHRzIjpbM10sImpzb24iOm51bGx9ClsiYSIsItC60LvRjtGHIiwi8J+lviJd";

Deno.test("item weights that an earlier program wrote are read, and written to the same bytes", async () => {
  assert.deepEqual(await decodeItemWeights(Uint8Array.fromBase64(FILE)), WEIGHTS);
  assert.equal(encodeItemWeights(WEIGHTS).toBase64(), FILE);
});
