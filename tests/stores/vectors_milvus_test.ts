import assert from "node:assert/strict";
import type { VectorRow, VectorStore } from "../../lib/stores/vectors/port.ts";
import { MilvusVectorStores } from "../../lib/stores/vectors/milvus/milvus_vector_stores.ts";
import { parseMilvusUrl } from "../../lib/stores/vectors/milvus/url.ts";
import { modelTag } from "../../lib/stores/vectors/names.ts";
import { SqliteVectorStores } from "../../lib/stores/vectors/sqlite/sqlite_vector_stores.ts";
import { vectorStoresContract } from "../contracts/vector_stores.ts";
import { vectorsContract } from "../contracts/vectors.ts";
import { vectorSearchContract } from "../contracts/vectors_search.ts";
import { handles } from "../fixtures/handles.ts";
import { dropMilvus, emptyMilvus, MILVUS, withSdk } from "../fixtures/milvus.ts";
import { runCode } from "../fixtures/run.ts";
import { campaign, clustered, normalise, profile } from "../fixtures/vectors.ts";

const MODEL = { name: "test", revision: "0", dimension: 16, pooling: "mean" } as const;
const next = clustered({ dimension: 16, clusters: 20, seed: 1 });

/** The prefix of the collections of {@link MODEL}. */
const prefixIn = (url: URL) => `${parseMilvusUrl(url).prefix}m${modelTag(MODEL)}_`;

function test(what: string, body: (store: VectorStore, url: URL) => Promise<void>): void {
  Deno.test(`MilvusVectors ${what}`, async () => {
    const { url, done } = emptyMilvus();
    const stores = new MilvusVectorStores({ url });
    try {
      await body(await stores.forModel({ model: MODEL }), url);
    } finally {
      await stores.close();
      await done();
    }
  });
}

const near = (store: VectorStore, version: number, vector: Float32Array, k = 1) =>
  store.search({ collection: "profiles", version, vector, k });

/** Awkward in a filter, in a page and in an order. */
const IDS = [
  "plain",
  `"quoted" or id != ""`,
  `it's \\ back\\\\slashed\\"`,
  "Ünï cödé 統一碼",
  "😀😀",
  "\uffee after surrogates",
  "x".repeat(256),
  "統".repeat(256),
];

if (MILVUS === undefined) {
  Deno.test({ name: "MilvusVectors: PARLEY_TEST_MILVUS is not set", ignore: true, fn() {} });
} else {
  const open = async () => {
    const { url, done } = emptyMilvus();
    const { store: stores, ...rest } = await handles(() => new MilvusVectorStores({ url }), done);
    return { stores, ...rest };
  };
  vectorsContract("MilvusVectors", open);
  vectorSearchContract("MilvusVectors", open);
  vectorStoresContract("MilvusVectorStores", open);
  adapterTests();
  Deno.test.afterAll(dropMilvus);
}

function adapterTests(): void {
  test("digest() equals that of SqliteVectors for the same rows", async (store) => {
    const dir = await Deno.makeTempDir();
    const embedded = new SqliteVectorStores(dir);
    try {
      const sqlite = await embedded.forModel({ model: MODEL });
      for (const each of [store, sqlite]) {
        const rows = IDS.map((id, at) => profile(id, axis(at)));
        await each.upsert({
          collection: "messages",
          rows: rows.map((row) => ({ ...row, role: "assistant" })),
        });
        await each.upsert({ collection: "profiles", rows });
        await each.build({ version: 1 });
        await each.upsert({
          collection: "profiles",
          rows: [{ ...rows[0]!, content_hash: "b", vector: axis(9) }],
        });
        await each.upsert({ collection: "campaigns", rows: [campaign("k", axis(1))] });
      }
      assert.equal(await store.digest(), await sqlite.digest());
      await store.deleteUsers({ user_ids: [IDS[1]!] });
      assert.notEqual(await store.digest(), await sqlite.digest());
    } finally {
      await embedded.close();
      await Deno.remove(dir, { recursive: true });
    }
  });

  test("takes any id unchanged, in each query", async (store) => {
    const rows = IDS.map((id, at) => profile(id, axis(at), { content_hash: `hash ${at}` }));
    await store.upsert({ collection: "messages", rows });
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 1 });
    const ids = [...IDS, `nobody" or key != "`];
    assert.deepEqual([...(await store.get({ collection: "profiles", ids })).keys()].sort(), IDS.toSorted());
    for (const [at, id] of IDS.entries()) {
      const found = await store.get({ collection: "messages", ids: [id] });
      assert.deepEqual(found.get(id), rows[at]!.vector);
      const hits = await store.search({
        collection: "profiles",
        version: 1,
        vector: axis(at),
        k: 9,
        exclude: [id],
      });
      assert.equal(hits.length, IDS.length - 1);
      assert.ok(hits.every((hit) => hit.id !== id));
    }
    assert.equal(await store.deleteUsers({ user_ids: ids.slice(1) }), 2 * (IDS.length - 1));
    assert.deepEqual(await store.counts(), { messages: 1, profiles: 1, conversations: 0, campaigns: 0 });
  });

  test("upsert() of one id twice in a call keeps the last", async (store) => {
    const rows = [
      profile("u1", axis(0)),
      profile("u1", axis(0)),
      profile("u1", axis(2), { content_hash: "b" }),
    ];
    const counts = await store.upsert({ collection: "profiles", rows });
    assert.deepEqual(counts, { inserted: 1, changed: 1, same: 1 });
    assert.deepEqual((await store.get({ collection: "profiles", ids: ["u1"] })).get("u1"), axis(2));
    assert.equal((await store.counts()).profiles, 1);
  });

  test(
    "deleteExcept() and faults() go through pages, whatever is in memory or on disk",
    async (store, url) => {
      const rows = (from: number): VectorRow[] =>
        Array.from(
          { length: 1_500 },
          (_, at) => profile(`m${10_000 + 2 * at + from}`, next(), { user_id: "u" }),
        );
      await store.upsert({ collection: "messages", rows: rows(0) });
      await withSdk(url, (client) => client.flushSync({ collection_names: [`${prefixIn(url)}messages`] }));
      await store.upsert({ collection: "messages", rows: rows(1) });
      const ids = [...rows(0), ...rows(1)].map(({ id }) => id).slice(0, -1);
      const of = { collection: "messages", user_ids: ["u"] } as const;
      assert.equal(await store.deleteExcept({ ...of, ids }), 1);
      assert.equal((await store.counts()).messages, 2_999);

      const bad = rows(0).at(-1)!;
      await withSdk(url, async (client) => {
        const { id, user_id, role, timestamp, content_hash } = bad;
        const row = { key: id, id, user_id: user_id!, role, timestamp: timestamp!, content_hash };
        const vector = [...bad.vector].map((value) => 2 * value);
        const data = [{ ...row, born: 1, gone: Number.MAX_SAFE_INTEGER, vector }];
        return await client.upsert({ collection_name: `${prefixIn(url)}messages`, data });
      });
      assert.deepEqual(await store.faults({ limit: 5 }), [bad.id]);
      const hashes = [bad.content_hash];
      assert.equal((await store.byHash({ collection: "messages", hashes })).size, 0);
      assert.equal(await store.dropFaults(), 1);
      assert.deepEqual(await store.faults({ limit: 5 }), []);
      assert.equal((await store.counts()).messages, 2_998);
    },
  );

  test("search() puts equal vectors in order of their ids, wherever they are stored", async (store, url) => {
    const vector = next();
    const twins = Array.from({ length: 40 }, (_, at) => profile(`u${100 + at * 7 % 40}`, vector));
    await store.upsert({ collection: "profiles", rows: twins.slice(0, 20) });
    await withSdk(url, (client) => client.flushSync({ collection_names: [`${prefixIn(url)}profiles`] }));
    await store.upsert({ collection: "profiles", rows: twins.slice(20) });
    await store.build({ version: 1 });
    const query = normalise(vector.map((value, at) => at === 0 ? value + 0.3 : value));
    const hits = await near(store, 1, query, 40);
    assert.deepEqual(hits.map(({ id }) => id), twins.map(({ id }) => id).sort());
    assert.equal(new Set(hits.map(({ score }) => score)).size, 1);
  });

  test("search() sees what another connection built, dropped and erased", async (store, url) => {
    const others = new MilvusVectorStores({ url });
    const reader = await others.forModel({ model: MODEL });
    try {
      await assert.rejects(near(reader, 1, axis(0)), { code: "not_found" });
      await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0)), profile("u2", axis(1))] });
      await store.build({ version: 1 });
      assert.equal((await near(reader, 1, axis(0)))[0]!.id, "u1");
      await store.deleteUsers({ user_ids: ["u1"] });
      assert.equal((await near(reader, 1, axis(0)))[0]!.id, "u2");
      await store.dropVersionsExcept({ versions: [] });
      await new Promise((resume) => setTimeout(resume, 1_100));
      await assert.rejects(near(reader, 1, axis(0)), { code: "not_found" });
    } finally {
      await others.close();
    }
  });

  test("dropVersionsExcept() and deleteUsers() take replaced rows away", async (store, url) => {
    const rows = ["a", "b", "c"].map((id, at) => profile(id, axis(at)));
    for (const version of [1, 2, 3]) {
      const changed = rows.map((row) => ({ ...row, content_hash: `${version}` }));
      await store.upsert({ collection: "profiles", rows: changed });
      await store.build({ version });
    }
    const held = async () => {
      let rows = 0;
      await withSdk(url, async (client) => {
        const output_fields = ["count(*)"];
        const answer = await client.query({
          collection_name: `${prefixIn(url)}profiles`,
          filter: "",
          output_fields,
        });
        rows = Number(answer.data[0]!["count(*)"]);
        return answer;
      });
      return rows;
    };
    assert.equal(await held(), 9);
    await store.dropVersionsExcept({ versions: [2, 3] });
    assert.equal(await held(), 6);
    assert.equal(await store.deleteUsers({ user_ids: ["a"] }), 1);
    assert.equal(await held(), 4);
    await store.dropVersionsExcept({ versions: [3] });
    assert.equal(await held(), 2);
  });

  test("makes the collection of conversations of a model that was stored without", async (store, url) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    await store.build({ version: 1 });
    const collection_name = `${prefixIn(url)}conversations`;
    await withSdk(url, (client) => client.dropCollection({ collection_name }));
    const stores = new MilvusVectorStores({ url });
    const later = await stores.forModel({ model: MODEL });
    try {
      const counts = { messages: 0, profiles: 1, conversations: 0, campaigns: 0 };
      assert.deepEqual(await later.counts(), counts);
      const search = (version: number) =>
        later.search({ collection: "conversations", version, vector: axis(0), k: 1 });
      assert.deepEqual(await search(1), []);
      assert.equal(await later.deleteUsers({ user_ids: ["u2"] }), 0);
      await later.upsert({ collection: "conversations", rows: [profile("v1", axis(0), { user_id: "u1" })] });
      assert.deepEqual(await later.build({ version: 2 }), { ...counts, conversations: 1 });
      assert.equal((await search(2))[0]?.id, "v1");
      assert.equal((await near(later, 1, axis(0)))[0]?.id, "u1");
    } finally {
      await stores.close();
    }
  });

  test("byHash() gets past a text that thousands of rows share", async (store) => {
    const common = Array.from(
      { length: 1_200 },
      (_, at) => profile(`a${at}`, axis(1), { content_hash: "hi" }),
    );
    await store.upsert({
      collection: "messages",
      rows: [...common, profile("z", axis(2), { content_hash: "rare" })],
    });
    const found = await store.byHash({ collection: "messages", hashes: ["hi", "rare", "none", "hi"] });
    assert.deepEqual(found, new Map([["hi", axis(1)], ["rare", axis(2)]]));
  });

  test("search() loads a released collection", async (store, url) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    await store.build({ version: 7 });
    await withSdk(
      url,
      (client) => client.releaseCollection({ collection_name: `${prefixIn(url)}profiles` }),
    );
    assert.equal((await near(store, 7, axis(0)))[0]!.id, "u1");
  });

  test("close() twice and during use ends calls, and refuses later ones", async (store, url) => {
    const stores = new MilvusVectorStores({ url });
    const other = await stores.forModel({ model: MODEL });
    const calls = [other.counts(), other.digest(), stores.models()].map((call) =>
      call.catch((error) => error)
    );
    await Promise.all([stores.close(), stores.close()]);
    for (const ended of await Promise.all(calls)) {
      if (ended instanceof Error) assert.equal((ended as Error & { code: string }).code, "unavailable");
    }
    await assert.rejects(other.counts(), { code: "unavailable", message: "the vector store is closed" });
    await new MilvusVectorStores({ url }).close();
    assert.equal((await store.counts()).profiles, 0);
  });

  test("needs network, read and env only", async (store, url) => {
    await store.build({ version: 1 });
    const module = JSON.stringify(
      new URL("../../lib/stores/vectors/milvus/milvus_vector_stores.ts", import.meta.url),
    );
    const code = `
      import { MilvusVectorStores } from ${module};
      const stores = new MilvusVectorStores({ url: new URL(${JSON.stringify(url.href)}) });
      const [{ name }] = await stores.models();
      await stores.close();
      console.log(name);`;
    const permissions = ["--allow-net", "--allow-read", "--allow-env"];
    assert.equal(await runCode({ code, permissions }), "test");
  });
}

function axis(at: number): Float32Array {
  return Float32Array.from({ length: MODEL.dimension }, (_, i) => i === at ? 1 : 0);
}
