import assert from "node:assert/strict";
import type { VectorRow, VectorStore } from "../../lib/stores/vectors/port.ts";
import { Milvus, type MilvusClient } from "../../lib/stores/vectors/milvus_client.ts";
import { MilvusVectorStores } from "../../lib/stores/vectors/milvus_stores.ts";
import { parseMilvusUrl } from "../../lib/stores/vectors/milvus_url.ts";
import { modelTag } from "../../lib/stores/vectors/names.ts";
import { SqliteVectorStores } from "../../lib/stores/vectors/sqlite_stores.ts";
import { vectorStoresContract } from "../contracts/vector_stores.ts";
import { vectorsContract } from "../contracts/vectors.ts";
import { runCode } from "../fixtures/run.ts";
import { campaign, clustered, normalise, profile } from "../fixtures/vectors.ts";

const SERVER = Deno.env.get("PARLEY_TEST_MILVUS");
const MODEL = { name: "test", revision: "0", dimension: 16, pooling: "mean" } as const;
const next = clustered({ dimension: 16, clusters: 20, seed: 1 });

/** A URL under which nothing is yet. */
function freshUrl(): URL {
  const url = new URL(SERVER!);
  url.searchParams.set("prefix", `t${crypto.randomUUID().slice(0, 8)}_`);
  return url;
}

/** The SDK itself, for what no method does. `prefix` stands before the collections of {@link MODEL}. */
async function withSdk<T>(
  url: URL,
  use: (client: MilvusClient, prefix: string) => Promise<T>,
): Promise<void> {
  const address = parseMilvusUrl(url);
  const milvus = new Milvus(address, 60_000);
  try {
    await milvus.call((client) => use(client, `${address.prefix}m${modelTag(MODEL)}_`));
  } finally {
    await milvus.close();
  }
}

async function dropAll(url: URL): Promise<void> {
  const { prefix } = parseMilvusUrl(url);
  await withSdk(url, async (client) => {
    const { data } = await client.showCollections();
    const names = data.map(({ name }) => name).filter((name) => name.startsWith(prefix));
    await Promise.all(names.map((collection_name) => client.dropCollection({ collection_name })));
    return { error_code: "Success" };
  });
}

function test(what: string, body: (store: VectorStore, url: URL) => Promise<void>): void {
  Deno.test(`MilvusVectors ${what}`, async () => {
    const url = freshUrl();
    const stores = new MilvusVectorStores({ url });
    try {
      await body(await stores.of({ model: MODEL }), url);
    } finally {
      await stores.close();
      await dropAll(url);
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

if (SERVER === undefined) {
  Deno.test({ name: "MilvusVectors: PARLEY_TEST_MILVUS is not set", ignore: true, fn() {} });
} else {
  const open = () => {
    const url = freshUrl();
    const stores = new MilvusVectorStores({ url });
    return Promise.resolve({
      stores,
      close: async () => {
        await stores.close();
        await dropAll(url);
      },
    });
  };
  vectorsContract("MilvusVectors", open);
  vectorStoresContract("MilvusVectorStores", open);
  adapterTests();
}

function adapterTests(): void {
  test("digest() equals that of SqliteVectors for the same rows", async (store) => {
    const dir = await Deno.makeTempDir();
    const embedded = new SqliteVectorStores(dir);
    try {
      const sqlite = await embedded.of({ model: MODEL });
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

  test("takes any id as it is, in each question", async (store) => {
    const rows = IDS.map((id, at) => profile(id, axis(at), { content_hash: `hash ${at}` }));
    await store.upsert({ collection: "messages", rows });
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 1 });
    const ids = [...IDS, `nobody" or key != "`];
    assert.deepEqual([...(await store.get({ collection: "profiles", ids })).keys()].sort(), IDS.toSorted());
    for (const [at, id] of IDS.entries()) {
      const [message] = await store.messagesOf({ user_id: id, after: null, limit: 5 });
      assert.deepEqual(message, rows[at]);
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
    assert.deepEqual(await store.counts(), { messages: 1, profiles: 1, campaigns: 0 });
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

  test("upsert() loses no row of writers at one time", async (store, url) => {
    const others = [1, 2, 3].map(() => new MilvusVectorStores({ url }));
    try {
      const write = (each: VectorStore, writer: number) => {
        const rows = Array.from({ length: 200 }, (_, at) => profile(`u${writer}-${at}`, next()));
        return each.upsert({ collection: "profiles", rows });
      };
      const theirs = await Promise.all(others.map((each) => each.of({ model: MODEL })));
      await Promise.all([store, ...theirs].map(write));
      assert.equal((await store.counts()).profiles, 800);
    } finally {
      await Promise.all(others.map((each) => each.close()));
    }
  });

  test("messagesOf() and faults() go through pages, whatever is in memory or on disk", async (store, url) => {
    const rows = (from: number): VectorRow[] =>
      Array.from(
        { length: 1_500 },
        (_, at) => profile(`m${10_000 + 2 * at + from}`, next(), { user_id: "u" }),
      );
    await store.upsert({ collection: "messages", rows: rows(0) });
    await withSdk(url, (client, prefix) => client.flushSync({ collection_names: [`${prefix}messages`] }));
    await store.upsert({ collection: "messages", rows: rows(1) });
    const found = await store.messagesOf({ user_id: "u", after: "m10001", limit: 2_500 });
    assert.deepEqual(found.map(({ id }) => id), Array.from({ length: 2_500 }, (_, at) => `m${10_002 + at}`));

    const bad = rows(0).at(-1)!;
    await withSdk(url, async (client, prefix) => {
      const { id, user_id, role, timestamp, content_hash } = bad;
      const row = { key: id, id, user_id: user_id!, role, timestamp: timestamp!, content_hash };
      const vector = [...bad.vector].map((value) => 2 * value);
      const data = [{ ...row, born: 1, gone: Number.MAX_SAFE_INTEGER, vector }];
      return await client.upsert({ collection_name: `${prefix}messages`, data });
    });
    assert.deepEqual(await store.faults({ limit: 5 }), [bad.id]);
  });

  test("search() puts equal vectors in order of their ids, wherever they are stored", async (store, url) => {
    const vector = next();
    const twins = Array.from({ length: 40 }, (_, at) => profile(`u${100 + at * 7 % 40}`, vector));
    await store.upsert({ collection: "profiles", rows: twins.slice(0, 20) });
    await withSdk(url, (client, prefix) => client.flushSync({ collection_names: [`${prefix}profiles`] }));
    await store.upsert({ collection: "profiles", rows: twins.slice(20) });
    await store.build({ version: 1 });
    const query = normalise(vector.map((value, at) => at === 0 ? value + 0.3 : value));
    const hits = await near(store, 1, query, 40);
    assert.deepEqual(hits.map(({ id }) => id), twins.map(({ id }) => id).sort());
    assert.equal(new Set(hits.map(({ score }) => score)).size, 1);
  });

  test("search() sees what another connection built, dropped and erased", async (store, url) => {
    const others = new MilvusVectorStores({ url });
    const reader = await others.of({ model: MODEL });
    try {
      await assert.rejects(near(reader, 1, axis(0)), { code: "not_found" });
      await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0)), profile("u2", axis(1))] });
      await store.build({ version: 1 });
      assert.equal((await near(reader, 1, axis(0)))[0]!.id, "u1");
      await store.deleteUsers({ user_ids: ["u1"] });
      assert.equal((await near(reader, 1, axis(0)))[0]!.id, "u2");
      await store.keep({ versions: [] });
      await new Promise((resume) => setTimeout(resume, 1_100));
      await assert.rejects(near(reader, 1, axis(0)), { code: "not_found" });
    } finally {
      await others.close();
    }
  });

  test("keep() and deleteUsers() take replaced rows away", async (store, url) => {
    const rows = ["a", "b", "c"].map((id, at) => profile(id, axis(at)));
    for (const version of [1, 2, 3]) {
      const changed = rows.map((row) => ({ ...row, content_hash: `${version}` }));
      await store.upsert({ collection: "profiles", rows: changed });
      await store.build({ version });
    }
    const held = async () => {
      let rows = 0;
      await withSdk(url, async (client, prefix) => {
        const output_fields = ["count(*)"];
        const answer = await client.query({
          collection_name: `${prefix}profiles`,
          filter: "",
          output_fields,
        });
        rows = Number(answer.data[0]!["count(*)"]);
        return answer;
      });
      return rows;
    };
    assert.equal(await held(), 9);
    await store.keep({ versions: [2, 3] });
    assert.equal(await held(), 6);
    assert.equal(await store.deleteUsers({ user_ids: ["a"] }), 1);
    assert.equal(await held(), 4);
    await store.keep({ versions: [3] });
    assert.equal(await held(), 2);
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

  test("keeps rows, model and versions over a reopening, and loads what was released", async (store, url) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    await store.build({ version: 7 });
    await withSdk(
      url,
      (client, prefix) => client.releaseCollection({ collection_name: `${prefix}profiles` }),
    );
    assert.equal((await near(store, 7, axis(0)))[0]!.id, "u1");
    const again = new MilvusVectorStores({ url });
    try {
      assert.deepEqual(await again.models(), [MODEL]);
      assert.equal((await near(await again.of({ model: MODEL }), 7, axis(0)))[0]!.id, "u1");
    } finally {
      await again.close();
    }
  });

  test("close() twice and during use ends calls, and refuses later ones", async (store, url) => {
    const stores = new MilvusVectorStores({ url });
    const other = await stores.of({ model: MODEL });
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
    const module = JSON.stringify(new URL("../../lib/stores/vectors/milvus_stores.ts", import.meta.url));
    const code = `
      import { MilvusVectorStores } from ${module};
      const stores = new MilvusVectorStores({ url: new URL(${JSON.stringify(url.href)}) });
      const [{ name }] = await stores.models();
      await stores.close();
      console.log(name);`;
    const permissions = ["--allow-net", "--allow-read", "--allow-env"];
    assert.equal(await runCode({ code, permissions }), "test");
  });

  Deno.test("MilvusVectors names a database that is not there", async () => {
    const url = new URL(SERVER!);
    url.pathname = "/no_such_database";
    await refuses(url, "not_found", /has no database no_such_database: create it/);
  });

  Deno.test("MilvusVectors says when TLS meets a server without it", async () => {
    const url = new URL(SERVER!.replace(/^milvus:/, "milvuss:").replace("127.0.0.1", "localhost"));
    await refuses(url, "unavailable", /cannot be reached: if it does not speak TLS write milvus:\/\//);
  });

  const { username } = new URL(SERVER!);
  const unknown = { ignore: username === "" };
  Deno.test(
    "MilvusVectors says when the password is wrong (needs a server with login)",
    unknown,
    async () => {
      const url = new URL(SERVER!);
      url.password = "s3cret-and-wrong";
      await refuses(url, "denied", /refuses the user, password or token/);
    },
  );
}

Deno.test("MilvusVectors says when nothing listens", async () => {
  await refuses(
    new URL("milvus://me:s3cret@127.0.0.1:1"),
    "unavailable",
    /at 127\.0\.0\.1:1 .* start it, or/,
  );
  await refuses(new URL("milvus://me:s3cret@nowhere.invalid"), "unavailable", /at nowhere\.invalid:19530 /);
});

Deno.test("MilvusVectors gives up on a server that accepts and never answers", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) taken.push(connection);
  })();
  const start = performance.now();
  try {
    await refuses(
      new URL(`milvus://127.0.0.1:${listener.addr.port}`),
      "unavailable",
      /did not answer in time/,
    );
  } finally {
    listener.close();
    for (const connection of taken) connection.close();
    await accepting;
  }
  const took = performance.now() - start;
  assert.ok(took < 15_000, `it took ${took} ms`);
});

Deno.test("parseMilvusUrl() reads hosts, credentials, databases and prefixes", () => {
  const plain = parseMilvusUrl(new URL("milvus://127.0.0.1"));
  assert.deepEqual(plain, {
    host: "127.0.0.1:19530",
    tls: false,
    credentials: { username: "", password: "" },
    database: "default",
    prefix: "parley_",
    managed: false,
  });
  const full = parseMilvusUrl(new URL("milvuss://root:a%40b@db.example:1953/parley?prefix=x_"));
  assert.deepEqual(full, {
    host: "db.example:1953",
    tls: true,
    credentials: { username: "root", password: "a@b" },
    database: "parley",
    prefix: "x_",
    managed: false,
  });
  const cloud = parseMilvusUrl(new URL("https://key@in01.cloud.zilliz.com"));
  assert.deepEqual([cloud.host, cloud.tls, cloud.managed], ["in01.cloud.zilliz.com:443", true, true]);
  assert.deepEqual(cloud.credentials, { token: "key" });
  for (const prefix of ["", "1x", "a-b", 'a" or "', "x".repeat(65)]) {
    const url = new URL("milvus://127.0.0.1");
    url.searchParams.set("prefix", prefix);
    assert.throws(() => parseMilvusUrl(url), { code: "invalid" }, prefix);
  }
});

/** The first call fails so, and its sentence holds no secret. */
async function refuses(url: URL, code: string, sentence: RegExp): Promise<void> {
  const store = new MilvusVectorStores({ url, timeout_ms: 2_000 });
  try {
    const error: Error = await store.health().then(() => assert.fail("it connected"), (thrown) => thrown);
    assert.equal((error as Error & { code?: string }).code, code, error.message);
    assert.match(error.message, sentence);
    assert.ok(!Deno.inspect(error).includes("s3cret"), "the password is shown");
  } finally {
    await store.close();
    // gRPC forgets a refused connection by a timer of its own, which does not keep a process alive.
    await new Promise((resume) => setTimeout(resume, 300));
  }
}

function axis(at: number): Float32Array {
  return Float32Array.from({ length: MODEL.dimension }, (_, i) => i === at ? 1 : 0);
}
