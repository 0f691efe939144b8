import assert from "node:assert/strict";
import { healthy } from "./health.ts";
import type { Message } from "../../lib/core/types.ts";
import { SetDigest } from "../../lib/stores/engines/set_digest.ts";
import type { DocumentStore } from "../../lib/stores/documents/port.ts";
import type { Handles } from "../fixtures/handles.ts";
import { collect, message, minute, pick, random } from "../fixtures/rows.ts";
import { cancellationContract, type Opened } from "./cancellation.ts";
import { DOCUMENT_CALLS } from "./documents_calls.ts";
import { classifying } from "./documents_classified.ts";
import { quarantining } from "./documents_quarantine.ts";
import { checkTombstones } from "./tombstones.ts";
import { DOCUMENTS, handlesContract } from "./handles.ts";

type Open = () => Promise<Handles<DocumentStore>>;

/**
 * What every document store does. `open` gives a fresh, empty store each time; so does `behindProxy`, for one that is
 * on a server.
 */
export function documentsContract(
  name: string,
  open: Open,
  behindProxy: () => Promise<Opened<DocumentStore>> = async () => ({ ...await open(), hang: null }),
): void {
  const test = (title: string, body: (store: DocumentStore) => Promise<void>) =>
    Deno.test(`${name}: ${title}`, async () => {
      const { store, close } = await open();
      try {
        await body(store);
      } finally {
        await close();
      }
    });
  writing(test);
  touching(test);
  reading(test);
  classifying(test);
  quarantining(test);
  erasing(test);
  handlesContract(name, open, DOCUMENTS);
  cancellationContract(name, { open: behindProxy, calls: DOCUMENT_CALLS, first: "counts" });
}

type Test = (title: string, body: (store: DocumentStore) => Promise<void>) => void;

const FULL: Message = {
  message_id: "ид-1-🙂",
  user_id: "Zoë O'Neil; DROP TABLE messages --",
  message: "naïve 👩‍👩‍👧‍👦 \n\t\"quoted\" 'single' \\ \u202e العربية",
  timestamp: "2026-02-28T23:59:59.999Z",
  conversation_id: "c/1?x=%00",
  role: "assistant",
  intent: "refund.late",
  campaign_id: "spring 🌸",
  metadata: { nested: { list: [1, 2.5, -0.001, null, true, "x"], "ключ": {} }, "": "", "a.b": 1e21 },
};

function digestOf(messages: readonly Message[]): string {
  const digest = new SetDigest();
  for (const row of messages) digest.add({ ...row });
  return digest.hex();
}

async function everything(store: DocumentStore): Promise<Message[]> {
  return await collect((after, limit) => store.page({ after, limit }), (row) => row.message_id);
}

function writing(test: Test): void {
  test("upsert() keeps every field", async (store) => {
    const rows = [FULL, message(), message({ message: "x".repeat(1_048_576) }), message({ metadata: {} })];
    await store.upsert({ messages: rows });
    const byId = new Map((await everything(store)).map((row) => [row.message_id, row]));
    for (const row of rows) assert.deepEqual(byId.get(row.message_id), row);
    assert.equal(byId.size, rows.length);
  });

  test("upsert() counts inserted, changed and same rows", async (store) => {
    const [a, b, c] = [message(), message(), message()];
    assert.deepEqual(await store.upsert({ messages: [a, b] }), { inserted: 2, changed: 0, same: 0 });
    const changed = { ...b, message: "otherwise" };
    assert.deepEqual(await store.upsert({ messages: [a, changed, c] }), { inserted: 1, changed: 1, same: 1 });
    assert.deepEqual(await everything(store), sorted([a, changed, c]));
    assert.deepEqual(await store.upsert({ messages: [] }), { inserted: 0, changed: 0, same: 0 });
  });

  test("upsert() detects a change of any field", async (store) => {
    await store.upsert({ messages: [FULL] });
    const others = {
      ...message(),
      message_id: FULL.message_id,
      intent: null,
      campaign_id: null,
      role: "user",
    };
    for (const field of Object.keys(FULL).filter((key) => key !== "message_id")) {
      const changed = { ...FULL, [field]: others[field as keyof Message] } as Message;
      assert.equal((await store.upsert({ messages: [changed] })).changed, 1, field);
      assert.deepEqual(await everything(store), [changed]);
      assert.equal((await store.upsert({ messages: [FULL] })).changed, 1, field);
    }
  });

  test("upsert() ignores the order of metadata's keys", async (store) => {
    await store.upsert({ messages: [message({ message_id: "m", user_id: "u", metadata: { a: 1, b: 2 } })] });
    const [row] = await everything(store);
    const turned = { ...row!, metadata: { b: 2, a: 1 } };
    assert.equal((await store.upsert({ messages: [turned] })).same, 1);
  });

  test("upsert() of thousands of rows twice changes nothing", async (store) => {
    const rows = many(3_000);
    assert.deepEqual(await store.upsert({ messages: rows }), { inserted: 3_000, changed: 0, same: 0 });
    const before = await store.digest();
    assert.deepEqual(await store.upsert({ messages: rows.toReversed() }), {
      inserted: 0,
      changed: 0,
      same: 3_000,
    });
    assert.equal(await store.digest(), before);
    assert.equal((await store.counts()).messages, 3_000);
  });

  test("digest() is the sum over the stored messages", async (store) => {
    assert.equal(await store.digest(), digestOf([]));
    const rows = [FULL, ...many(20)];
    await store.upsert({ messages: rows.toReversed() });
    assert.equal(await store.digest(), digestOf(rows));
    await store.upsert({ messages: [{ ...FULL, intent: null }] });
    assert.notEqual(await store.digest(), digestOf(rows));
  });
}

function touching(test: Test): void {
  const users = async (store: DocumentStore) =>
    (await store.listDirtyUsers({ after: null, limit: 100 })).map((touch) => touch.user_id);

  test("upsert() marks users of inserted and changed rows as dirty, and no others", async (store) => {
    const [a, b] = [message({ user_id: "a" }), message({ user_id: "b" })];
    await store.upsert({ messages: [a, b] });
    assert.deepEqual(await users(store), ["a", "b"]);
    await store.clearDirty({ users: await store.listDirtyUsers({ after: null, limit: 100 }) });
    assert.deepEqual(await users(store), []);
    await store.upsert({ messages: [a, { ...b, message: "otherwise" }] });
    assert.deepEqual(await users(store), ["b"]);
  });

  test("upsert() marks both users as dirty if a message moves from one to the other", async (store) => {
    const row = message({ user_id: "old" });
    await store.upsert({ messages: [row] });
    await store.clearDirty({ users: await store.listDirtyUsers({ after: null, limit: 100 }) });
    await store.upsert({ messages: [{ ...row, user_id: "new" }] });
    assert.deepEqual(await users(store), ["new", "old"]);
  });

  test("markDirty() marks users with and without messages, and gives them a new token", async (store) => {
    await store.upsert({ messages: [message({ user_id: "a" })] });
    const stale = await store.listDirtyUsers({ after: null, limit: 100 });
    await store.markDirty({ user_ids: ["gone", "a", "a"] });
    await store.clearDirty({ users: stale });
    assert.deepEqual(await users(store), ["a", "gone"]);
    await store.markDirty({ user_ids: [] });
  });

  test("upsert() reports what became of each row", async (store) => {
    const outcomes: string[] = [];
    const onOutcome = (id: string, outcome: string, owner_before: string | null) =>
      void outcomes.push(`${id} ${outcome} ${owner_before}`);
    const [a, b] = ["a", "b"].map((message_id) => message({ message_id, user_id: "old" })) as [
      Message,
      Message,
    ];
    await store.upsert({ messages: [a], onOutcome });
    await store.upsert({ messages: [b, { ...a, message: "otherwise" }], onOutcome });
    await store.upsert({ messages: [b, { ...a, user_id: "new" }], onOutcome });
    assert.deepEqual(outcomes.sort(), [
      "a changed old",
      "a changed old",
      "a inserted null",
      "b inserted null",
      "b same null",
    ]);
  });

  test("findDirtyUsers() reads those of some users that are dirty, with the tokens that clear them", async (store) => {
    await store.upsert({ messages: ["a", "b", "c"].map((user_id) => message({ user_id })) });
    assert.deepEqual(await store.findDirtyUsers({ user_ids: [] }), []);
    const found = await store.findDirtyUsers({ user_ids: ["b", "unknown", "a"] });
    assert.deepEqual(found.map(({ user_id }) => user_id).sort(), ["a", "b"]);
    await store.clearDirty({ users: found });
    assert.deepEqual(await users(store), ["c"]);
  });

  test("clearDirty() keeps a user who was marked again", async (store) => {
    await store.upsert({ messages: [message({ user_id: "a" }), message({ user_id: "b" })] });
    const stale = await store.listDirtyUsers({ after: null, limit: 100 });
    await store.upsert({ messages: [message({ user_id: "a" })] });
    await store.clearDirty({ users: stale });
    assert.deepEqual(await users(store), ["a"]);
  });

  test("clearDirty() never clears a mark that is newer than its token", async (store) => {
    await store.upsert({ messages: [message({ user_id: "a" })] });
    const stale = await store.listDirtyUsers({ after: null, limit: 1 });
    await store.clearDirty({ users: stale });
    await store.upsert({ messages: [message({ user_id: "a" })] });
    await store.clearDirty({ users: stale });
    assert.deepEqual(await users(store), ["a"]);
  });

  test("markAllDirty() marks every user with messages, however many", async (store) => {
    await store.markAllDirty();
    assert.deepEqual(await users(store), []);
    const ids = Array.from({ length: 1_200 }, (_, n) => `user-${1_000 + n}`);
    await store.upsert({ messages: ids.map((user_id) => message({ user_id })) });
    const stale = await store.listDirtyUsers({ after: null, limit: 2_000 });
    await store.clearDirty({ users: stale.slice(1) });
    await store.markAllDirty();
    await store.clearDirty({ users: stale });
    const touched = await store.listDirtyUsers({ after: null, limit: 2_000 });
    assert.deepEqual(touched.map(({ user_id }) => user_id), ids);
    await store.clearDirty({ users: touched });
    assert.deepEqual(await users(store), []);
  });

  test("listDirtyUsers() pages users in ascending id", async (store) => {
    const ids = ["B", "a", "a1", "b", "z"];
    await store.upsert({ messages: ids.toReversed().map((user_id) => message({ user_id })) });
    const paged = await collect(
      (after, limit) => store.listDirtyUsers({ after, limit }),
      (row) => row.user_id,
      2,
    );
    assert.deepEqual(paged.map((touch) => touch.user_id), ids);
  });
}

function reading(test: Test): void {
  test("page() returns each message once, in ascending id, while others are written", async (store) => {
    const rows = many(300);
    await store.upsert({ messages: rows });
    const seen = await collect(
      async (after, limit) => {
        await store.upsert({ messages: [message({ message_id: `0-${after}` }), message()] });
        return await store.page({ after, limit });
      },
      (row) => row.message_id,
      50,
    );
    const ids = seen.map((row) => row.message_id);
    assert.deepEqual(ids, [...new Set(ids)].sort());
    assert.deepEqual(rows.filter((row) => !ids.includes(row.message_id)), []);
  });

  test("page() and intentCounts() of users equal a scan", async (store) => {
    const rows = many(400);
    await store.upsert({ messages: rows });
    for (const user_ids of [["user-1"], ["user-3", "user-0", "nobody"], ["user-2", "user-2"], []]) {
      const own = sorted(rows.filter((row) => user_ids.includes(row.user_id)));
      const page = (after: string | null, limit: number) => store.page({ after, limit, user_ids });
      assert.deepEqual(await collect(page, (row) => row.message_id, 7), own);
      assert.deepEqual(await store.intentCounts({ user_ids }), intentsOf(own));
    }
  });

  test("an empty store returns empty results", async (store) => {
    assert.deepEqual(await store.page({ after: null, limit: 10 }), []);
    assert.deepEqual(await store.listDirtyUsers({ after: null, limit: 10 }), []);
    assert.deepEqual(await store.intentCounts({ user_ids: ["nobody"] }), []);
    assert.deepEqual(await store.quarantined({ limit: 10, offset: 0 }), []);
    assert.deepEqual(await store.counts(), { messages: 0, users: 0, quarantined: 0 });
    await store.clearDirty({ users: [{ user_id: "nobody", token: "1" }] });
    assert.equal(await store.deleteUsers({ user_ids: ["nobody"] }), 0);
  });

  test("counts() counts messages and their users", async (store) => {
    await store.upsert({ messages: ["a", "a", "b"].map((user_id) => message({ user_id })) });
    assert.deepEqual(await store.counts(), { messages: 3, users: 2, quarantined: 0 });
  });

  test("health() names the engine", async (store) => {
    healthy(await store.health());
  });
}

function erasing(test: Test): void {
  test("deleteUsers() removes all rows of these users and no others", async (store) => {
    const empty = await store.digest();
    const rows = many(1_500);
    await store.upsert({ messages: rows });
    const users = [...new Set(rows.map((row) => row.user_id))];
    const others = rows.filter((row) => row.user_id !== "user-1");
    assert.equal(await store.deleteUsers({ user_ids: ["user-1", "nobody"] }), rows.length - others.length);
    assert.equal(await store.digest(), digestOf(others));
    const touched = await store.listDirtyUsers({ after: null, limit: 100 });
    assert.ok(!touched.some((touch) => touch.user_id === "user-1"));
    assert.equal(await store.deleteUsers({ user_ids: users }), others.length);
    assert.deepEqual(await store.counts(), { messages: 0, users: 0, quarantined: 0 });
    assert.deepEqual(await store.listDirtyUsers({ after: null, limit: 100 }), []);
    assert.equal(await store.digest(), empty);
  });

  test("tombstones are sets of hashes, and compact() leaves every row", async (store) => {
    await checkTombstones(store.tombstones);
    await store.upsert({ messages: many(50) });
    const before = await store.digest();
    await store.compact();
    assert.equal(await store.digest(), before);
  });

  test("upsert() after deleteUsers() inserts the rows", async (store) => {
    const row = message();
    await store.upsert({ messages: [row] });
    await store.deleteUsers({ user_ids: [row.user_id] });
    assert.equal((await store.upsert({ messages: [row] })).inserted, 1);
    assert.equal((await store.listDirtyUsers({ after: null, limit: 1 })).length, 1);
  });
}

/** Messages of seven users, in random order of id, with every combination of role and intent. */
function many(count: number): Message[] {
  const next = random(count);
  return Array.from({ length: count }, (_, i) =>
    message({
      message_id: `${Math.floor(next() * 1e9).toString(36)}-${i}`,
      user_id: `user-${Math.floor(next() * 7)}`,
      timestamp: minute(Math.floor(next() * 100)),
      role: pick(next, ["user", "user", "assistant"]),
      intent: pick(next, [null, "buy", "return", "ask"]),
    }));
}

function sorted(rows: readonly Message[]): Message[] {
  return rows.toSorted((a, b) => a.message_id < b.message_id ? -1 : 1);
}

function intentsOf(rows: readonly Message[]) {
  const own = rows.filter((row) => row.role === "user" && row.intent !== null);
  return Object.entries(Object.groupBy(own, (row) => `${row.user_id} ${row.intent}`)).sort()
    .map(([key, group = []]) => {
      const [user_id, intent] = key.split(" ");
      return { user_id, intent, count: group.length, last: group.map((row) => row.timestamp).sort().at(-1) };
    });
}
