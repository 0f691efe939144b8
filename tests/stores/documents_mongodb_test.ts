import assert from "node:assert/strict";
import { loadMongo } from "../../deps.ts";
import type { Message } from "../../lib/core/types.ts";
import { MongoDocuments } from "../../lib/stores/documents/mongodb/mongo_documents.ts";
import { MongoConnection } from "../../lib/stores/documents/mongodb/connection.ts";
import { MongoDirtyUsers } from "../../lib/stores/documents/mongodb/dirty_users.ts";
import { SqliteDocuments } from "../../lib/stores/documents/sqlite/sqlite_documents.ts";
import { documentsContract } from "../contracts/documents.ts";
import { handles } from "../fixtures/handles.ts";
import { message } from "../fixtures/rows.ts";
import { proxied, tcpProxy } from "../fixtures/tcp_proxy.ts";

const SERVER = Deno.env.get("PARLEY_TEST_MONGODB");

if (SERVER === undefined) {
  Deno.test({
    name: "MongoDocuments: PARLEY_TEST_MONGODB, the URL of a MongoDB, is not set",
    ignore: true,
    fn() {},
  });
} else {
  documentsContract("MongoDocuments", () => {
    const url = ownDatabase();
    return handles(() => new MongoDocuments({ url }), () => drop(url));
  }, () => {
    const { url, proxy } = proxied(ownDatabase(), 27_017);
    const store = new MongoDocuments({ url });
    const close = async () => {
      proxy.hang(false);
      await store.close();
      await proxy.close();
      const direct = new URL(SERVER!);
      direct.pathname = url.pathname;
      await drop(direct);
    };
    return Promise.resolve({ store, hang: proxy.hang, close });
  });
  keeping();
  racing();
  failing();
}

/** The server's URL with a database that no other test uses. */
function ownDatabase(): URL {
  const url = new URL(SERVER!);
  url.pathname = `/parley_test_${crypto.randomUUID().slice(0, 8)}`;
  return url;
}

async function drop(url: URL): Promise<void> {
  const { MongoClient } = await loadMongo();
  const client = new MongoClient(url.href);
  await client.db().dropDatabase();
  await client.close();
}

/** Registers a test with a database of its own, dropped afterwards. */
function test(title: string, body: (url: URL) => Promise<void>): void {
  Deno.test(title, async () => {
    const url = ownDatabase();
    try {
      await body(url);
    } finally {
      await drop(url);
    }
  });
}

async function withStores(url: URL, count: number, body: (stores: MongoDocuments[]) => Promise<void>) {
  const stores = Array.from({ length: count }, () => new MongoDocuments({ url }));
  try {
    await body(stores);
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
}

function keeping(): void {
  test("MongoDocuments.digest() is SqliteDocuments' for the same messages", async (url) => {
    const sqlite = new SqliteDocuments({ path: ":memory:" });
    const metadata = { "$ref": "a", "$id": 1, _bsontype: "ObjectId", "a.b": { "": [1e21, -0.5, null] } };
    const rows = [
      message({ message: "naïve 👩‍👩‍👧‍👦", metadata }),
      ...Array.from({ length: 600 }, () => message()),
    ];
    await sqlite.upsert({ messages: rows });
    await withStores(url, 1, async ([store]) => {
      await store!.upsert({ messages: rows.toReversed() });
      assert.equal(await store!.digest(), await sqlite.digest());
      assert.deepEqual(await store!.counts(), await sqlite.counts());
    });
    await sqlite.close();
  });

  test("MongoDocuments.upsert() takes a lone surrogate for U+FFFD, and for the same again", async (url) => {
    await withStores(url, 1, async ([store]) => {
      const row = message({ message_id: "cut \ud83d", message: "cut \ud83d" });
      await store!.upsert({ messages: [row] });
      const [kept] = await store!.page({ after: null, limit: 1 });
      assert.deepEqual(kept, { ...row, message_id: "cut \ufffd", message: "cut \ufffd" });
      assert.deepEqual(await store!.upsert({ messages: [row] }), { inserted: 0, changed: 0, same: 1 });
    });
  });
}

function racing(): void {
  test("MongoDocuments: a run that derives while others write misses no row of a settled user", async (url) => {
    await withStores(url, 3, async ([first, second, deriver]) => {
      const derived = new Map<string, readonly Message[]>();
      const dirtyUsers = () => deriver!.listDirtyUsers({ after: null, limit: 10_000 });
      let writing = true;
      const derive = async () => {
        const users = await dirtyUsers();
        const rows = Map.groupBy(await everything(deriver!), (row) => row.user_id);
        for (const { user_id } of users) derived.set(user_id, rows.get(user_id) ?? []);
        await deriver!.clearDirty({ users: users });
      };
      const deriving = (async () => {
        while (writing) await derive();
      })();
      for (let round = 0; round < 2; round++) await moveAbout(first!, second!, round);
      writing = false;
      await deriving;
      const open = new Set((await dirtyUsers()).map((one) => one.user_id));
      const rows = Map.groupBy(await everything(deriver!), (row) => row.user_id);
      for (const user_id of [...derived.keys(), ...rows.keys()].filter((id) => !open.has(id))) {
        assert.deepEqual(ids(derived.get(user_id)), ids(rows.get(user_id)), user_id);
      }
      await derive();
      assert.deepEqual(await dirtyUsers(), []);
    });
  });

  test("MongoTouches.page() gives no token that settles while a write is under way", async (url) => {
    const connection = new MongoConnection({ url, prepare: () => Promise.resolve() });
    const dirtyUsers = new MongoDirtyUsers(connection);
    const user = new Set(["u"]);
    const listed = () => dirtyUsers.page({ after: null, limit: 10 });
    const first = await dirtyUsers.begin(user);
    const second = await dirtyUsers.begin(user);
    await dirtyUsers.commit(user, second);
    const [open] = await listed();
    assert.notEqual(open?.token, second);
    await dirtyUsers.clear([open!]);
    await dirtyUsers.commit(user, first);
    await dirtyUsers.clear([open!]);
    const sealed = await listed();
    assert.deepEqual(sealed, [{ user_id: "u", token: second }]);
    await dirtyUsers.clear(sealed);
    assert.deepEqual(await listed(), []);
    await connection.close();
  });

  test("MongoDirtyUsers.clear() forgets what a write that died marked, once it is old", async (url) => {
    const connection = new MongoConnection({ url, prepare: () => Promise.resolve() });
    const dirtyUsers = new MongoDirtyUsers(connection);
    const token = await dirtyUsers.begin(new Set(["u"]));
    const age = { $set: { writing: [{ token, at: new Date(Date.now() - 61_000) }] } };
    await connection.run((db) => db.collection<{ _id: string }>("touched").updateOne({ _id: "u" }, age));
    const marked = await dirtyUsers.page({ after: null, limit: 10 });
    await dirtyUsers.clear(marked);
    assert.deepEqual(await dirtyUsers.page({ after: null, limit: 10 }), []);
    await connection.close();
  });
}

function failing(): void {
  const through = (url: URL, port: number) => {
    const proxied = new URL(url);
    proxied.host = `127.0.0.1:${port}`;
    return proxied;
  };
  const target = () => ({
    hostname: new URL(SERVER!).hostname,
    port: Number(new URL(SERVER!).port || 27017),
  });

  test("MongoDocuments works again within seconds after its connections were cut, or hung", async (url) => {
    const proxy = tcpProxy(target());
    const store = new MongoDocuments({ url: through(url, proxy.port), call_ms: 3_000 });
    await store.upsert({ messages: [message()] });
    proxy.cut();
    assert.equal((await store.page({ after: null, limit: 10 })).length, 1);
    proxy.hang(true);
    const start = performance.now();
    await assert.rejects(store.page({ after: null, limit: 10 }), {
      code: "unavailable",
      message: /within 3 s/,
    });
    assert.ok(performance.now() - start < 10_000);
    proxy.hang(false);
    assert.equal((await store.page({ after: null, limit: 10 })).length, 1);
    await store.close();
    await proxy.close();
  });

  test("MongoDocuments.close() during calls ends them, and is complete", async (url) => {
    const store = new MongoDocuments({ url });
    await store.health();
    const calls = Array.from({ length: 10 }, () => store.upsert({ messages: [message(), message()] }));
    const ended = Promise.allSettled(calls);
    await store.close();
    await store.close();
    for (const call of await ended) {
      if (call.status === "rejected") assert.match(String(call.reason), /has been closed/);
    }
    await assert.rejects(store.counts(), { code: "unavailable", message: /has been closed/ });
  });
}

const ids = (rows: readonly Message[] = []) => rows.map((row) => row.message_id);

function everything(store: MongoDocuments): Promise<Message[]> {
  return store.page({ after: null, limit: 10_000 });
}

/** One store moves many messages to other users at once, while another moves some of these elsewhere, one by one. */
async function moveAbout(one: MongoDocuments, other: MongoDocuments, round: number): Promise<void> {
  const said = (n: number, user: string) =>
    message({ message_id: `${round}-${n}`, user_id: `${round}-${user}-${n}` });
  const rows = (user: string, count: number) => Array.from({ length: count }, (_, n) => said(n, user));
  await other.upsert({ messages: rows("first", 300) });
  await Promise.all([
    other.upsert({ messages: rows("second", 300) }),
    (async () => {
      for (const row of rows("third", 12)) await one.upsert({ messages: [row] });
    })(),
  ]);
}
