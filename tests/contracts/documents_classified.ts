import assert from "node:assert/strict";
import { SetDigest } from "../../lib/stores/engines/set_digest.ts";
import type { Classification, DocumentStore } from "../../lib/stores/documents/port.ts";
import { collect, message, minute } from "../fixtures/rows.ts";

const found = (message_id: string, intent: string | null, classifier = "one"): Classification => ({
  message_id,
  intent,
  score: intent === null ? 0.25 : 0.875,
  classifier,
});

/** Unlabelled messages `m-a`, `m-b` … of one user each, none of whom is dirty. */
async function withMessages(store: DocumentStore, names: readonly string[]): Promise<void> {
  const messages = names.map((name) => message({ message_id: `m-${name}`, user_id: name }));
  await store.upsert({ messages });
  await settle(store);
}

async function settle(store: DocumentStore): Promise<void> {
  await store.clearDirty({ users: await store.listDirtyUsers({ after: null, limit: 100 }) });
}

async function dirtyUsers(store: DocumentStore): Promise<string[]> {
  return (await store.listDirtyUsers({ after: null, limit: 100 })).map(({ user_id }) => user_id);
}

/** The part of the documents contract that is about intents which a classifier found. */
export function classifying(
  test: (title: string, body: (store: DocumentStore) => Promise<void>) => void,
): void {
  const missing = async (store: DocumentStore, classifier: string) =>
    (await collect(
      (after, limit) => store.unclassified({ classifier, after, limit }),
      (row) => row.message_id,
      2,
    )).map(({ message_id }) => message_id);

  test("classify() marks users as dirty whose message has a new intent, and counts them", async (store) => {
    await withMessages(store, ["a", "b", "c"]);
    const rows = [found("m-a", "buy"), found("m-b", null), found("gone", "buy")];
    assert.equal(await store.classify({ rows }), 1);
    assert.deepEqual(await dirtyUsers(store), ["a"]);
    await settle(store);
    assert.equal(await store.classify({ rows: rows.map((row) => ({ ...row, classifier: "two" })) }), 0);
    assert.deepEqual(await dirtyUsers(store), []);
    assert.equal(await store.classify({ rows: [found("m-a", null, "two"), found("m-b", "ask", "two")] }), 2);
    assert.deepEqual(await dirtyUsers(store), ["a", "b"]);
    assert.equal(await store.classify({ rows: [] }), 0);
    assert.deepEqual(await store.classifications({ message_ids: ["m-b", "m-a", "m-c", "gone"] }), [
      found("m-a", null, "two"),
      found("m-b", "ask", "two"),
    ]);
  });

  test("unclassified() returns messages by users, without a given intent, that a classifier has not labelled", async (store) => {
    await withMessages(store, ["a", "b", "c", "d", "e"]);
    await store.upsert({
      messages: [
        message({ message_id: "m-f", intent: "buy" }),
        message({ message_id: "m-g", role: "assistant" }),
      ],
    });
    await store.classify({ rows: [found("m-b", "buy"), found("m-d", null)] });
    assert.deepEqual(await missing(store, "one"), ["m-a", "m-c", "m-e"]);
    assert.deepEqual(await missing(store, "two"), ["m-a", "m-b", "m-c", "m-d", "m-e"]);
    const unlabelled = await store.unlabelled({ after: "m-a", limit: 2 });
    assert.deepEqual(unlabelled.map(({ message_id }) => message_id), ["m-c", "m-d"]);
    const [page] = await store.page({ after: "m-a", limit: 1 });
    assert.deepEqual(await store.unclassified({ classifier: "two", after: "m-a", limit: 1 }), [page]);
  });

  test("a message loses its classification if its text changes, and keeps it if another field changes", async (store) => {
    const row = message({ message_id: "m", user_id: "a", message: "before" });
    await store.upsert({ messages: [row] });
    await store.classify({ rows: [found("m", "buy")] });
    assert.equal((await store.upsert({ messages: [row] })).same, 1);
    assert.equal((await store.upsert({ messages: [{ ...row, timestamp: minute(9_999) }] })).changed, 1);
    assert.deepEqual(await store.classifications({ message_ids: ["m"] }), [found("m", "buy")]);
    await store.upsert({ messages: [{ ...row, message: "after" }] });
    assert.deepEqual(await store.classifications({ message_ids: ["m"] }), []);
    assert.deepEqual(await store.intentCounts({ user_ids: ["a"] }), []);
  });

  test("intentCounts() counts the given intent, else the classified one", async (store) => {
    const said = (message_id: string, at: number, intent: string | null) =>
      message({ message_id, user_id: "a", timestamp: minute(at), intent });
    const reply = { ...said("m-4", 4, null), role: "assistant" as const };
    await store.upsert({
      messages: [said("m-1", 1, "buy"), said("m-2", 2, null), said("m-3", 3, null), reply],
    });
    await store.classify({
      rows: [found("m-1", "ask"), found("m-2", "buy"), found("m-3", null), found("m-4", "buy")],
    });
    const expected = [{ user_id: "a", intent: "buy", count: 2, last: minute(2) }];
    assert.deepEqual(await store.intentCounts({ user_ids: ["a"] }), expected);
  });

  test("classifierCounts() counts messages per classifier, out-of-scope ones too", async (store) => {
    assert.deepEqual(await store.classifierCounts(), []);
    await withMessages(store, ["a", "b", "c", "d"]);
    await store.classify({ rows: [found("m-a", null), found("m-b", "buy"), found("m-c", null, "two")] });
    assert.deepEqual(await store.classifierCounts(), [
      { classifier: "one", messages: 2, out_of_scope: 1 },
      { classifier: "two", messages: 1, out_of_scope: 1 },
    ]);
  });

  test("digest() includes classifications", async (store) => {
    await withMessages(store, ["a", "b"]);
    const digest = new SetDigest();
    for (const row of await store.page({ after: null, limit: 10 })) digest.add({ ...row });
    assert.equal(await store.digest(), digest.hex());
    for (const row of [found("m-a", null), found("m-b", "buy")]) {
      await store.classify({ rows: [row] });
      digest.add(["classification", { ...row }]);
    }
    assert.equal(await store.digest(), digest.hex());
  });

  test("labelled() returns the newest messages by users with a given intent", async (store) => {
    const said = (message_id: string, at: number, intent = "buy") =>
      message({ message_id, timestamp: minute(at), intent });
    await store.upsert({
      messages: [
        said("m-2", 5),
        said("m-1", 5),
        said("m-3", 9),
        said("m-4", 1),
        said("m-5", 9, "ask"),
        { ...said("m-6", 9), role: "assistant" },
      ],
    });
    assert.deepEqual(await store.labelled({ intent: "buy", limit: 3 }), ["m-3", "m-1", "m-2"]);
    assert.deepEqual(await store.labelled({ intent: "none", limit: 3 }), []);
  });

  test("saveClassifier() stores a classifier completely, and its examples as long as they are unchanged", async (store) => {
    assert.equal(await store.classifier(), null);
    const labelled = ["a", "b", "c", "d"].map((name) =>
      message({ message_id: `m-${name}`, user_id: name, intent: "buy" })
    );
    await store.upsert({ messages: labelled });
    const ids = labelled.map(({ message_id }) => message_id);
    await store.saveClassifier({ classifier: { key: "one", body: "1" }, examples: ids });
    const two = { key: "two", body: JSON.stringify(Array.from({ length: 900_000 }, (_, n) => n % 1_000)) };
    await store.saveClassifier({ classifier: two, examples: ids.slice(1) });
    await store.saveClassifier({ classifier: two, examples: ids.slice(1) });
    assert.deepEqual(await store.classifier(), two);
    await store.upsert({ messages: [{ ...labelled[1]!, message: "otherwise" }] });
    await store.deleteUsers({ user_ids: ["c"] });
    const examples = await store.examples({ classifier: "two" });
    assert.deepEqual(examples, [{ message_id: "m-d", intent: "buy" }]);
  });
}
