import assert from "node:assert/strict";
import { ParleyError } from "../../../lib/core/errors.ts";
import { IdSigner, readShown, type RecommendationId } from "../../../lib/recommend/recommendation_id.ts";
import { MAX_SHOWN, ShownCampaigns } from "../../../lib/recommend/shown_campaigns.ts";

const SECRET = new Uint8Array(32).fill(7);
const signer = new IdSigner(SECRET);
const SEED = 0xfedcba98;

function parts(changes: Partial<RecommendationId> = {}): RecommendationId {
  return {
    version: 12,
    strategy: "personal",
    arm: "default",
    seed: SEED,
    generated_at: Date.parse("2026-05-01T00:00:00.000Z"),
    k: 10,
    offset: 20,
    intent: undefined,
    category: undefined,
    filter: undefined,
    diversity: undefined,
    user_id: "zoë@example.com",
    shown: new ShownCampaigns(SEED).with(["a", "b"]),
    ...changes,
  };
}

Deno.test("IdSigner.read() gives what sign() was given, in any process with the secret", () => {
  const rich = parts({
    arm: "control",
    intent: "cafés",
    category: "shoes",
    filter: 'metadata.price < 100 and title != "é.é"',
    diversity: 0.5,
  });
  for (const given of [parts(), rich, parts({ user_id: null, version: null, strategy: "popular" })]) {
    const id = signer.sign(given);
    assert.match(id, /^[\w-]+(\.[\w-]*){3}$/);
    assert.deepEqual(new IdSigner(SECRET.slice()).read(id), given);
    assert.equal(signer.sign(given), id);
  }
});

Deno.test("IdSigner.read() reads ids from before there were arms", () => {
  const id =
    "eyJ2IjoxLCJkIjoxMiwicyI6InBlcnNvbmFsIiwiYSI6ImRlZmF1bHQiLCJlIjo0Mjc1ODc4NTUyLCJ0IjoxNzc3NTkzNjAwMDAwLC" +
    "JrIjoxMCwibyI6MjB9.B4PqXUKHM8Y.69NJC43KbOHtBVfL2FfIShOSFVBsVcUWlMcM0Q4Gt2QBjxU2CcGiNsI6TRA.4Rpuv4A9E8w1XsyVuwZmVw";
  assert.deepEqual(signer.read(id), parts());
});

Deno.test("an id shows its facts to every reader, and neither the user nor what was shown", () => {
  const id = signer.sign(parts({ shown: new ShownCampaigns(SEED).with(["secret-campaign"]) }));
  const bytes = id.split(".").map((part) =>
    new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" }))
  );
  assert.equal(JSON.parse(bytes[0]!).d, 12);
  for (const text of [id, ...bytes]) assert.ok(!/zo|example|campaign/.test(text), text);
  assert.ok(id.length < 300, `${id.length}`);
});

Deno.test("IdSigner.read() refuses an id that was changed anywhere, cut, or signed with another secret", () => {
  const id = signer.sign(parts());
  const forged = [...id].map((letter, at) =>
    id.slice(0, at) + (letter === "A" ? "B" : "A") + id.slice(at + 1)
  );
  const others = [
    "",
    "x",
    "a.b.c.d",
    id.slice(0, -1),
    `${id}.`,
    `${id}AA`,
    new IdSigner(new Uint8Array(32)).sign(parts()),
  ];
  // The last letter of a part in base64url has bits that mean nothing.
  const isSame = (text: string) =>
    text.split(".").every((part, at) =>
      part.length === id.split(".")[at]!.length && part.slice(0, -1) === id.split(".")[at]!.slice(0, -1)
    );
  for (const text of [...forged.filter((text) => !isSame(text)), ...others]) {
    assert.throws(
      () => signer.read(text),
      (error) => error instanceof ParleyError && error.code === "invalid" && !error.message.includes("zo"),
      text,
    );
  }
});

Deno.test("two users, and one user in two answers, have nothing encrypted in common", () => {
  const user = (changes: Partial<RecommendationId>) => signer.sign(parts(changes)).split(".")[2]!;
  const all = [
    user({}),
    user({ user_id: "zoé@example.com" }),
    user({ generated_at: 1 }),
    user({ offset: 30 }),
  ];
  assert.equal(new Set(all.map((text) => text.slice(0, 16))).size, all.length);
});

Deno.test("the largest id fits into what events and cursors may carry", () => {
  const long = "🛒".repeat(128);
  const shown = new ShownCampaigns(SEED).with(Array.from({ length: MAX_SHOWN }, (_, n) => `campaign ${n}`));
  const given = parts({
    user_id: long,
    intent: long,
    category: long,
    filter: `title == "${"é".repeat(480)}"`,
    shown,
  });
  const id = signer.sign(given);
  assert.ok(id.length <= 8_192, `${id.length}`);
  assert.deepEqual(signer.read(id), given);
});

Deno.test("ShownCampaigns has what was shown, and of a large catalogue nothing else", () => {
  const ids = Array.from({ length: 200_000 }, (_, n) => `c-${n}`);
  for (const seed of [0, 1, SEED]) {
    const shown = new ShownCampaigns(seed).with(ids.slice(0, 200)).with(ids.slice(200, MAX_SHOWN));
    const read = ShownCampaigns.fromText(seed, shown.toText());
    assert.equal(read.size, MAX_SHOWN);
    assert.ok(ids.slice(0, MAX_SHOWN).every((id) => read.has(id)));
    // 500 of 2^32 hashes: 0.02 of 200,000 others are expected to be taken for one.
    assert.equal(ids.slice(MAX_SHOWN).filter((id) => read.has(id)).length, 0);
  }
});

Deno.test("readShown() gives what an answer and the pages before it showed, in order, and null for what is no id", () => {
  const { shown, offset } = readShown(signer.sign(parts({ offset: 1 })))!;
  assert.deepEqual(["a", "b", "c"].map((id) => shown.placeOf(id)), [1, 2, null]);
  assert.equal(offset, 1);
  for (const id of ["", "r1", "e30.", signer.sign(parts()).slice(3)]) assert.equal(readShown(id), null);
});
