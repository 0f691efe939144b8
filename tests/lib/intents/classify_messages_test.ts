import assert from "node:assert/strict";
import type { Message } from "../../../lib/core/types.ts";
import { openEmbedder } from "../../../lib/embed/open.ts";
import { type Catalogue, parseCatalogue } from "../../../lib/intents/catalogue.ts";
import { classify } from "../../../lib/intents/classifier.ts";
import { type Classifier, openClassifier } from "../../../lib/intents/classifier_store.ts";
import { type ClassifiedCounts, classifyMessages } from "../../../lib/intents/classify_messages.ts";
import { train } from "../../../lib/intents/train.ts";
import { sha256 } from "../../../lib/core/hash.ts";
import { SqliteDocuments } from "../../../lib/stores/documents/sqlite/sqlite_documents.ts";
import type { VectorStore, VectorStores } from "../../../lib/stores/vectors/port.ts";
import { SqliteVectorStores } from "../../../lib/stores/vectors/sqlite/sqlite_vector_stores.ts";
import { message, minute } from "../../fixtures/rows.ts";

const EMBEDDER = await openEmbedder({ url: "test:64" });
const NOUNS = ["parcel", "garden", "boots", "bread"];
const text = (noun: string, n: number) =>
  `${noun} talk ${["now", "please", "again", "today", "soon"][n % 5]} ${n}`;
const CATALOGUE = parseCatalogue({
  source: "test",
  text: JSON.stringify(
    NOUNS.map((noun) => ({ intent: noun, examples: [0, 1, 2, 3, 4].map((n) => text(noun, n)) })),
  ),
});

interface World {
  readonly documents: SqliteDocuments;
  readonly vectors: VectorStores;
  readonly store: VectorStore;
  /** Writes messages with the vectors of their texts. */
  add(messages: readonly Message[]): Promise<void>;
  train(catalogue?: Catalogue): Promise<Classifier>;
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const documents = new SqliteDocuments({ path: `${dir}/documents.db` });
  const vectors = new SqliteVectorStores(`${dir}/vectors.db`);
  const store = await vectors.forModel({ model: EMBEDDER.model });
  const add = async (messages: readonly Message[]) => {
    await documents.upsert({ messages });
    const made = await EMBEDDER.embed({ texts: messages.map((row) => row.message) });
    await store.upsert({
      collection: "messages",
      rows: messages.map(({ message_id: id, user_id, role, timestamp, message: said }, n) => ({
        id,
        user_id,
        role,
        timestamp,
        content_hash: sha256(said),
        vector: made[n]!,
      })),
    });
  };
  const retrain = async (catalogue = CATALOGUE) => {
    await train({ catalogue, documents, vectors: store, embedder: EMBEDDER });
    return (await openClassifier({ documents, vectors }))!;
  };
  try {
    await body({ documents, vectors, store, add, train: retrain });
  } finally {
    await Promise.all([documents.close(), vectors.close()]);
    await Deno.remove(dir, { recursive: true });
  }
}

function said(count: number, overrides: Partial<Message> = {}): Message[] {
  return Array.from({ length: count }, (_, n) =>
    message({
      message_id: `m-${String(n).padStart(5, "0")}`,
      user_id: `u-${n % 9}`,
      message: text(NOUNS[n % 4]!, 100 + n),
      timestamp: minute(n),
      conversation_id: null,
      ...overrides,
    }));
}

Deno.test("classifyMessages() classifies each message once, and nothing the second time", () =>
  withWorld(async ({ documents, store: vectors, add, train }) => {
    await add(said(1_200));
    const classifier = await train();
    const done = await classifyMessages({ classifier, documents, vectors });
    assert.equal(done.classified, 1_200);
    assert.equal(done.changed, done.classified - done.out_of_scope);
    const digest = await documents.digest();
    const repeated = await classifyMessages({ classifier: await train(), documents, vectors });
    assert.deepEqual(repeated, { classified: 0, out_of_scope: 0, changed: 0, waiting: 0 });
    assert.equal(await documents.digest(), digest);
    const [found] = await documents.classifications({ message_ids: ["m-00000"] });
    assert.equal(found?.intent, "parcel");
    assert.equal(found?.classifier, classifier.key);
  }));

Deno.test("classifyMessages() that is stopped in the middle continues where it stopped, with the same result", async () => {
  const digests: string[] = [];
  for (const stopped of [true, false]) {
    await withWorld(async ({ documents, store: vectors, add, train }) => {
      await add(said(1_700));
      const classifier = await train();
      const reason = new Error("killed");
      if (stopped) {
        const killer = new AbortController();
        const onPage = ({ classified }: ClassifiedCounts) => void (classified >= 500 && killer.abort(reason));
        const { signal } = killer;
        await assert.rejects(classifyMessages({ classifier, documents, vectors, signal, onPage }), reason);
      }
      const done = await classifyMessages({ classifier, documents, vectors });
      assert.equal(done.classified, stopped ? 1_200 : 1_700);
      digests.push(await documents.digest());
    });
  }
  assert.equal(digests[0], digests[1]);
});

Deno.test("classifyMessages() postpones messages without a vector of their text", () =>
  withWorld(async ({ documents, store: vectors, add, train }) => {
    const rows = said(20);
    await add(rows);
    const classifier = await train();
    await documents.upsert({
      messages: [{ ...rows[0]!, message: "new words" }, message({ message_id: "without" })],
    });
    const done = await classifyMessages({ classifier, documents, vectors });
    assert.deepEqual([done.classified, done.waiting], [19, 2]);
    assert.deepEqual(await documents.classifications({ message_ids: ["m-00000", "without"] }), []);
  }));

Deno.test("train() learns given labels, each text once, and its key identifies them", () =>
  withWorld(async ({ documents, store: vectors, add, train: retrain }) => {
    const plain = await retrain();
    const [asked] = await EMBEDDER.embed({ texts: ["zebra violin 7"] });
    const ranked = ({ fitted }: Classifier) =>
      classify(fitted, asked!, { top: 4 }).intents.map(({ intent }) => intent);
    const [last] = ranked(plain).slice(-1);
    const odd = said(3, { intent: last! }).map((row, n) => ({ ...row, message: `zebra violin ${n}` }));
    const known = message({ message_id: "x", intent: "bread", message: text("bread", 1) });
    await add([...odd, known, message({ message_id: "y", intent: "elsewhere" })]);
    const { examples, key } = await train({ catalogue: CATALOGUE, documents, vectors, embedder: EMBEDDER });
    assert.deepEqual(examples, { catalogue: 20, labelled: 3 });
    assert.notEqual(key, plain.key);
    assert.ok(key.includes(CATALOGUE.version) && key.includes(EMBEDDER.model.name));
    const labelled = await retrain();
    assert.equal(labelled.key, key);
    assert.equal(ranked(labelled)[0], last);
  }));

Deno.test("a classifier forgets the examples of an erased user", () =>
  withWorld(async ({ documents, vectors, store, add, train }) => {
    await add(said(8, { user_id: "erased", intent: "bread" }));
    const rows = ({ fitted }: Classifier) => fitted.learnt.examples.rows;
    const before = await train();
    await documents.deleteUsers({ user_ids: ["erased"] });
    await store.deleteUsers({ user_ids: ["erased"] });
    const after = await openClassifier({ documents, vectors });
    assert.equal(rows(before) - rows(after!), 8);
    assert.equal(after!.key, before.key);
    assert.equal(rows(after!), CATALOGUE.intents.length * 5);
  }));

Deno.test("train() reports its progress, and quotes no text", () =>
  withWorld(async ({ documents, store }) => {
    const [lines, told]: [string[], (readonly [number, number])[]] = [[], []];
    await train({
      catalogue: CATALOGUE,
      documents,
      vectors: store,
      embedder: EMBEDDER,
      log: (line) => lines.push(line),
      onProgress: (done, total) => told.push([done, total]),
    });
    assert.deepEqual(lines, [
      "embedding 20 examples of the catalogue",
      "learning 4 intents from 20 examples",
    ]);
    assert.deepEqual(told[0], [20, 20]);
    assert.deepEqual(new Set(told.slice(1).map(([, total]) => total)), new Set([100]), "in percent");
    const shares = told.slice(1).map(([done, total]) => done / total);
    assert.deepEqual(shares, shares.toSorted((a, b) => a - b));
    assert.ok(shares.length > 20 && shares.at(-1)! > 0.9, `${shares}`);
  }));
