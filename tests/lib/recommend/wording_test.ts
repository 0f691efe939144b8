import assert from "node:assert/strict";
import { countWords } from "../../../lib/core/text.ts";
import { TfIdf } from "../../../lib/evaluate/tf_idf.ts";
import { learnPostings, Wording } from "../../../lib/recommend/wording.ts";
import { decodeWording, encodeWording } from "../../../lib/recommend/wording_file.ts";
import { random } from "../../fixtures/rows.ts";

async function* rowsOf(texts: Readonly<Record<string, string>>) {
  for (const [conversation_id, text] of Object.entries(texts)) {
    yield { conversation_id, words: countWords(text) };
  }
}
const postingsOf = (texts: Readonly<Record<string, string>>) => learnPostings(rowsOf(texts));

/** Conversations of a few words out of many, rare ones and common ones. */
function texts(count: number): Record<string, string> {
  const next = random(7);
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [
    `c${1_000 + i}`,
    Array.from({ length: 12 }, () => `w${Math.floor(400 * next() ** 2)}`).join(" "),
  ]));
}

Deno.test("Wording ranks as cosines of tf-idf do", async () => {
  const all = texts(49);
  const wording = new Wording(await postingsOf(all));
  const reference = new TfIdf();
  for (const text of Object.values(all)) reference.add(text);
  for (const text of Object.values(texts(70)).slice(49)) {
    const cosines = reference.cosines(text);
    const expected = Object.keys(all).map((id, i) => ({ id, score: cosines[i]! }))
      .filter(({ score }) => score > 0).sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1)).slice(
        0,
        20,
      );
    const found = wording.nearest(countWords(text), 20);
    assert.deepEqual(found.map(({ id }) => id), expected.map(({ id }) => id));
    found.forEach(({ score }, i) => assert.ok(Math.abs(score - expected[i]!.score) < 1e-6));
  }
});

Deno.test("Wording gives the same whatever was asked before, ties by id, and nothing for words that no one said", async () => {
  const wording = new Wording(await postingsOf({ a: "red boots", b: "red boots", c: "blue rope" }));
  const asked = () => wording.nearest({ boots: 1 }, 10).map(({ id }) => id);
  assert.deepEqual([asked(), wording.nearest({ rope: 2, red: 1 }, 1)[0]?.id, asked()], [["a", "b"], "c", [
    "a",
    "b",
  ]]);
  assert.deepEqual(wording.nearest({ boots: 1 }, 1).map(({ id }) => id), ["a"]);
  assert.deepEqual(wording.nearest({ tent: 1 }, 10), []);
  assert.deepEqual(wording.nearest({}, 10), []);
  assert.deepEqual(new Wording(await postingsOf({})).nearest({ boots: 1 }, 10), []);
});

Deno.test("Wording uses the sixteen rarest words of the query", async () => {
  const rare = Array.from({ length: 16 }, (_, i) => `rare${i}`);
  const wording = new Wording(
    await postingsOf({ a: "common", b: "common", c: `${rare.join(" ")} common` }),
  );
  const found = wording.nearest(Object.fromEntries([...rare, "common"].map((word) => [word, 1])), 10);
  assert.deepEqual(found.map(({ id }) => id), ["c"]);
});

Deno.test("learnPostings() leaves out words of more than a fifth of many conversations", async () => {
  const of = (count: number) =>
    postingsOf(Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`c${100 + i}`, `word${i} ${i % 5 === 0 ? "fifth" : "most"}`]),
    ));
  const words = async (count: number) => {
    const postings = await of(count);
    return ["fifth", "most"].filter((word) => postings.words.includes(word));
  };
  assert.deepEqual(await words(40), ["fifth", "most"]);
  assert.deepEqual(await words(100), ["fifth"]);
});

Deno.test("learnPostings() takes words that objects have as properties", async () => {
  const wording = new Wording(await postingsOf({ a: "constructor __proto__ toString", b: "rope" }));
  assert.deepEqual(wording.nearest(countWords("a constructor"), 5).map(({ id }) => id), ["a"]);
});

Deno.test("decodeWording() gives what encodeWording() was given, and refuses another format", async () => {
  const content = { ...await postingsOf(texts(9)), named_are_known: true };
  assert.deepEqual(await decodeWording(encodeWording(content)), content);
  const bytes = encodeWording(content);
  bytes[0]! ^= 1;
  await assert.rejects(
    () => decodeWording(bytes),
    /the file of postings cannot be used: it is of another format/,
  );
});

/** Postings in format 2, as an earlier program wrote them. Another layout needs another number, and has another file here. */
const FILE =
  "UFdEAgMAAAADAAAAAwAAAFAAAAAAHXbmIY/YP+Hbjia8NbF+sM9plzaZjj+XucugSsqS6gAAAAACAAAAAwAAAAAAAAABAAAAAQAAAAAA" +
  "AD8AAIA/AACAPnsidGV4dHMiOlsyLDJdLCJqc29uIjp7Im5hbWVkX2FyZV9rbm93biI6dHJ1ZX19ClsiYzEiLCJjMiJdClsiYm9vdHMi" +
  "LCLQutC70Y7RhyJd";

Deno.test("postings that an earlier program wrote are read, and written to the same bytes", async () => {
  const content = {
    conversation_ids: ["c1", "c2"],
    words: ["boots", "ключ"],
    offsets: Uint32Array.of(0, 2, 3),
    conversations: Uint32Array.of(0, 1, 1),
    weights: Float32Array.of(0.5, 1, 0.25),
    named_are_known: true,
  };
  assert.deepEqual(await decodeWording(Uint8Array.fromBase64(FILE)), content);
  assert.equal(encodeWording(content).toBase64(), FILE);
});

Deno.test("decodeWording() reads a long file in parts, and notices damage in the last of them", async () => {
  const texts = Array.from({ length: 12_001 }, (_, i) => `text ${i}`);
  const content = {
    conversation_ids: texts,
    words: texts.toReversed(),
    offsets: new Uint32Array(12_002),
    conversations: new Uint32Array(600_000),
    weights: new Float32Array(600_000).fill(0.5),
    named_are_known: false,
  };
  const bytes = encodeWording(content);
  assert.deepEqual(await decodeWording(bytes), content);
  bytes[bytes.length - 2]! ^= 1;
  await assert.rejects(() => decodeWording(bytes), /it has other bytes than were written/);
});
