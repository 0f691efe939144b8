import assert from "node:assert/strict";
import { loadPg } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { clearServer } from "../../lib/stores/open.ts";
import type { VectorStore } from "../../lib/stores/vectors/port.ts";
import { PostgresVectorStores } from "../../lib/stores/vectors/postgres/postgres_vector_stores.ts";
import { SqliteVectorStores } from "../../lib/stores/vectors/sqlite/sqlite_vector_stores.ts";
import { vectorStoresContract } from "../contracts/vector_stores.ts";
import { vectorsContract } from "../contracts/vectors.ts";
import { vectorSearchContract } from "../contracts/vectors_search.ts";
import { handles } from "../fixtures/handles.ts";
import { ask, dropSchema, freshSchema, NEEDS_PGVECTOR, PGVECTOR } from "../fixtures/postgres.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";
import { until } from "../fixtures/until.ts";
import { bruteForce, campaign, clustered, profile } from "../fixtures/vectors.ts";

const MODEL = { name: "test", revision: "0", dimension: 16, pooling: "mean" } as const;
const axis = (at: number) => Float32Array.from({ length: 16 }, (_, d) => d === at ? 1 : 0);

if (PGVECTOR === undefined) {
  Deno.test.ignore(`PostgresVectors: ${NEEDS_PGVECTOR}`, () => {});
} else {
  const server = PGVECTOR;
  const open = async () => {
    const url = freshSchema(server);
    const { store: stores, ...rest } = await handles(
      () => new PostgresVectorStores({ url }),
      () => dropSchema(url),
    );
    return { stores, ...rest };
  };
  vectorsContract("PostgresVectors", open);
  vectorSearchContract("PostgresVectors", open);
  vectorStoresContract("PostgresVectorStores", open);
  adapterTests(server);
  faultTests(server);
  extensionTests(server);
}

async function withStore(
  server: string,
  body: (store: VectorStore, url: URL, stores: PostgresVectorStores) => Promise<void>,
): Promise<void> {
  const url = freshSchema(server);
  const stores = new PostgresVectorStores({ url });
  try {
    await body(await stores.forModel({ model: MODEL }), url, stores);
  } finally {
    await stores.close();
    await dropSchema(url);
  }
}

/** The same rows in an embedded store, with version 1 built. */
async function withEmbedded(
  fill: (store: VectorStore) => Promise<void>,
  body: (store: VectorStore) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const stores = new SqliteVectorStores(dir);
  try {
    const store = await stores.forModel({ model: MODEL });
    await fill(store);
    await body(store);
  } finally {
    await stores.close();
    await Deno.remove(dir, { recursive: true });
  }
}

const near = (store: VectorStore, version: number, vector: Float32Array, k = 1) =>
  store.search({ collection: "profiles", version, vector, k });

/** The tables of builds that a schema has. */
async function buildTables(url: URL): Promise<string[]> {
  const rows = await ask<{ name: string }>(
    url,
    `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relname ~ '^vector_(entries|members)_'
       AND relnamespace = '${url.searchParams.get("schema")}'::regnamespace`,
  );
  return rows.map(({ name }) => name).sort();
}

function adapterTests(server: string): void {
  const test = (what: string, body: (store: VectorStore, url: URL) => Promise<void>) =>
    Deno.test(`PostgresVectors ${what}`, () => withStore(server, body));

  /** Awkward in text formats: the smallest and largest of their kind, and a zero with a sign. */
  const AWKWARD = [2 ** -149, -(2 ** -126), 1e-30, -0, 0.1, 1 / 3, -1e-7];
  const IDS = ["plain", `it's "quoted" \\ {,}`, "😀 統一碼", "￮ after surrogates", "x".repeat(256)];

  test("gives each vector back to the bit, and has the digest of SqliteVectors", async (store) => {
    const vector = Float32Array.from([...AWKWARD, ...axis(0).slice(AWKWARD.length)]);
    vector[15] = Math.sqrt(1 - 0.01 - 1 / 9);
    const fill = async (store: VectorStore) => {
      const next = clustered({ dimension: 16, clusters: 5, seed: 3 });
      const rows = IDS.map((id, at) => profile(id, at === 0 ? vector : next()));
      await store.upsert({
        collection: "messages",
        rows: rows.map((row) => ({ ...row, role: "assistant" })),
      });
      await store.upsert({ collection: "profiles", rows });
      await store.upsert({ collection: "campaigns", rows: [campaign("k", vector)] });
      await store.upsert({ collection: "profiles", rows: [profile("plain", vector, { content_hash: "b" })] });
    };
    await fill(store);
    const stored = (await store.get({ collection: "profiles", ids: ["plain"] })).get("plain")!;
    assert.deepEqual(new Uint8Array(stored.buffer), new Uint8Array(vector.buffer));
    await withEmbedded(fill, async (embedded) => assert.equal(await store.digest(), await embedded.digest()));
  });

  test("search() of up to 2,000 vectors gives the hits and scores of SqliteVectors to the bit", async (store) => {
    const next = clustered({ dimension: 16, clusters: 20, seed: 1 });
    const vectors = Array.from({ length: 300 }, next);
    // Of each vector some are equal, and some differ in their last bits as means do.
    const rows = vectors.flatMap((vector, at) => {
      const close = vector.map((value) => value * (1 + 2 ** -22));
      return [0, 1, 2].map((n) => profile(`u${(at * 7 + n * 401) % 1_009}-${n}`, n === 2 ? close : vector));
    });
    const fill = async (store: VectorStore) => {
      await store.upsert({ collection: "profiles", rows });
      await store.build({ version: 1 });
    };
    await fill(store);
    const queries = [...Array.from({ length: 30 }, next), ...vectors.slice(0, 5), axis(3)];
    await withEmbedded(fill, async (embedded) => {
      for (const query of queries) {
        for (const k of [1, 10, 100]) {
          assert.deepEqual(await near(store, 1, query, k), await near(embedded, 1, query, k));
        }
      }
    });
  });

  test("search() puts equal scores in the order of ids, also at the end of an answer", async (store) => {
    const rows = Array.from({ length: 15 }, (_, at) => profile(`u${100 + at * 7 % 40}`, axis(at + 1)));
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 1 });
    for (const k of [1, 5, 15]) {
      const ids = rows.map(({ id }) => id).sort().slice(0, k);
      assert.deepEqual((await near(store, 1, axis(0), k)).map(({ id }) => id), ids);
    }
  });

  test("search() of a graph finds as many as were asked for, whatever was deleted since", async (store) => {
    const next = clustered({ dimension: 16, clusters: 50, seed: 4 });
    const rows = Array.from({ length: 3_000 }, (_, at) => profile(`u${at}`, next()));
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 1 });
    const query = rows[0]!.vector;
    const gone = bruteForce(rows, query, 1_000).map(({ id }) => id);
    assert.equal(await store.deleteUsers({ user_ids: gone }), 1_000);
    const left = rows.filter(({ id }) => !gone.includes(id));
    const hits = await near(store, 1, query, 300);
    const expected = new Set(bruteForce(left, query, 300).map(({ id }) => id));
    assert.equal(hits.length, 300);
    assert.ok(hits.filter(({ id }) => expected.has(id)).length >= 285);
  });

  test(
    "search() sees what another process built, replaced, dropped and erased, at once",
    async (store, url) => {
      const others = new PostgresVectorStores({ url });
      const reader = await others.forModel({ model: MODEL });
      try {
        await assert.rejects(near(reader, 1, axis(0)), { code: "not_found" });
        await store.upsert({
          collection: "profiles",
          rows: [profile("u1", axis(0)), profile("u2", axis(1))],
        });
        await store.build({ version: 1 });
        assert.equal((await near(reader, 1, axis(0)))[0]!.id, "u1");
        await store.deleteUsers({ user_ids: ["u1"] });
        assert.equal((await near(reader, 1, axis(0)))[0]!.id, "u2");
        await store.upsert({ collection: "profiles", rows: [profile("u3", axis(0))] });
        await store.build({ version: 1 });
        assert.equal((await near(reader, 1, axis(0)))[0]!.id, "u3");
        await store.dropVersionsExcept({ versions: [] });
        await assert.rejects(near(reader, 1, axis(0)), { code: "not_found" });
      } finally {
        await others.close();
      }
    },
  );

  test("build() misses no deletion that happens meanwhile", async (store, url) => {
    const next = clustered({ dimension: 16, clusters: 50, seed: 6 });
    const rows = Array.from({ length: 4_000 }, (_, at) => profile(`u${at}`, next()));
    await store.upsert({ collection: "profiles", rows });
    const building = store.build({ version: 1 });
    await until(async () => await creatingGraph(url) !== null);
    assert.equal(await store.deleteUsers({ user_ids: ["u7"] }), 1);
    // The same id with another vector is another row.
    await store.upsert({ collection: "profiles", rows: [profile("u7", axis(0))] });
    await building;
    const hits = await near(store, 1, rows[7]!.vector, 5);
    assert.ok(hits.length === 5 && hits.every(({ id }) => id !== "u7"));
  });

  /** How many vectors each table of entries has, in ascending order; empty ones are left out. */
  async function entriesIn(url: URL): Promise<number[]> {
    const tables = (await buildTables(url)).filter((name) => name.startsWith("vector_entries_"));
    const counts = tables.map((name) =>
      ask<{ size: number }>(
        url,
        `SELECT count(*)::int AS size FROM ${url.searchParams.get("schema")}.${name}`,
      )
    );
    return (await Promise.all(counts)).map(([row]) => row!.size).filter((size) => size > 0).sort((a, b) =>
      a - b
    );
  }

  test("build() adds what is new to a graph, and makes another if much has changed", async (store, url) => {
    const next = clustered({ dimension: 16, clusters: 50, seed: 9 });
    let rows = Array.from({ length: 3_000 }, (_, at) => profile(`u${at}`, next()));
    /** Changes every `nth` row, builds, and finds the nearest of the version as it then was. */
    const change = async (nth: number, version: number) => {
      rows = rows.map((row, at) =>
        at % nth ? row : { ...row, vector: next(), content_hash: `in ${version}` }
      );
      await store.upsert({ collection: "profiles", rows });
      await store.build({ version });
      const frozen = rows;
      return async () => {
        for (const query of [rows[0]!, rows[600]!, frozen[1_201]!].map(({ vector }) => vector)) {
          const expected = new Set(bruteForce(frozen, query, 50).map(({ id }) => id));
          const hits = await near(store, version, query, 50);
          assert.equal(hits.length, 50);
          const found = hits.filter(({ id }) => expected.has(id)).length;
          assert.ok(found >= 48, `version ${version}: ${found} of 50`);
        }
      };
    };
    const looks = [await change(1, 1), await change(20, 2)];
    assert.deepEqual(await entriesIn(url), [3_150]);
    looks.push(await change(20, 3));
    assert.deepEqual(await entriesIn(url), [3_300]);
    for (const look of looks) await look();
    await store.dropVersionsExcept({ versions: [2, 3] });
    assert.deepEqual(await entriesIn(url), [3_150]);
    for (const look of looks.slice(1)) await look();
    looks.push(await change(3, 4));
    assert.deepEqual(await entriesIn(url), [3_000, 3_150]);
    await store.dropVersionsExcept({ versions: [3, 4] });
    assert.deepEqual(await entriesIn(url), [3_000, 3_000]);
    for (const look of looks.slice(2)) await look();
    assert.equal(await store.deleteUsers({ user_ids: rows.slice(0, 100).map(({ id }) => id) }), 100);
    assert.deepEqual(await entriesIn(url), [2_900, 2_900]);
    await store.dropVersionsExcept({ versions: [4] });
    assert.deepEqual(await entriesIn(url), [2_900]);
  });

  test(
    "build() has a vector that is erased with its only owner meanwhile, and is another user's too",
    async (store, url) => {
      const next = clustered({ dimension: 16, clusters: 50, seed: 10 });
      const rows = Array.from({ length: 3_000 }, (_, at) => profile(`u${at}`, next()));
      const { vector } = rows[5]!;
      await store.upsert({ collection: "profiles", rows });
      await store.build({ version: 1 });
      await store.upsert({ collection: "profiles", rows: [profile("twin", vector)] });
      const { Client } = await loadPg();
      const other = new Client({ connectionString: new URL("/", url).href.replace(/\/$/, url.pathname) });
      await other.connect();
      await other.query(`BEGIN; SELECT 1 FROM ${url.searchParams.get("schema")}.vector_models FOR SHARE`);
      const building = store.build({ version: 2 });
      await until(async () => {
        const waiting =
          "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR NO KEY UPDATE'";
        return (await ask(url, waiting)).length > 0;
      });
      assert.equal(await store.deleteUsers({ user_ids: ["u5"] }), 1);
      assert.deepEqual(await entriesIn(url), [2_999]);
      await other.query("COMMIT");
      await other.end();
      await building;
      assert.deepEqual(await entriesIn(url), [3_000]);
      assert.deepEqual((await near(store, 2, vector, 1)).map(({ id }) => id), ["twin"]);
      assert.notEqual((await near(store, 1, vector, 1))[0]!.id, "u5");
    },
  );

  test("dropVersionsExcept(), drop() and clearServer leave no tables of builds", async (store, url) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    for (const version of [1, 1, 2]) await store.build({ version });
    const three = 3 * 2;
    assert.equal((await buildTables(url)).length, 2 * three);
    await store.dropVersionsExcept({ versions: [2] });
    assert.equal((await buildTables(url)).length, three);
    await clearServer.vectors(url);
    assert.deepEqual(await buildTables(url), []);
    await assert.rejects(near(store, 2, axis(0)), { code: "not_found" });
    assert.equal((await store.counts()).profiles, 0);
  });

  test("faults(), byHash() and build() leave out vectors that something else damaged", async (store, url) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0)), profile("u2", axis(1))] });
    const schema = url.searchParams.get("schema");
    await ask(url, `UPDATE ${schema}.vectors SET vector = '[2${",0".repeat(15)}]' WHERE id = 'u1'`);
    assert.deepEqual(await store.faults({ limit: 5 }), ["u1"]);
    const found = await store.byHash({ collection: "profiles", hashes: ["hash of u1", "hash of u2"] });
    assert.deepEqual([...found.keys()], ["hash of u2"]);
    await store.build({ version: 1 });
    assert.deepEqual((await near(store, 1, axis(0), 5)).map(({ id }) => id), ["u2"]);
    assert.equal(await store.dropFaults(), 1);
    assert.deepEqual(await store.faults({ limit: 5 }), []);
    assert.equal((await store.counts()).profiles, 1);
  });

  test("verify() and search() say that tables or the graph of a build are missing", async (store, url) => {
    const next = clustered({ dimension: 16, clusters: 50, seed: 7 });
    const rows = Array.from({ length: 2_100 }, (_, at) => profile(`u${at}`, next()));
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 1 });
    const schema = url.searchParams.get("schema");
    const [entries] = await buildTables(url);
    assert.deepEqual(await store.verify({ version: 1 }), []);
    await ask(url, `DROP INDEX ${schema}.${entries}_graph`);
    const missing = (what: string) => [{
      text: `the index profiles-1 is damaged: ${what} missing`,
      rebuilt: false,
    }];
    assert.deepEqual(await store.verify({ version: 1 }), missing("its graph is"));
    const exact = await near(store, 1, rows[5]!.vector, 3);
    assert.deepEqual(exact.map(({ id }) => id), bruteForce(rows, rows[5]!.vector, 3).map(({ id }) => id));
    await ask(url, `DROP TABLE ${schema}.${entries}`);
    assert.deepEqual(await store.verify({ version: 1 }), missing("its tables are"));
    await assert.rejects(near(store, 1, axis(0)), {
      code: "unavailable",
      message: missing("its tables are")[0]!.text,
    });
    await store.build({ version: 1 });
    assert.equal((await near(store, 1, rows[5]!.vector))[0]!.id, "u5");
  });

  for (
    const [dimension, graph] of [[2_000, "vector_ip_ops"], [3_072, "halfvec_ip_ops"], [4_100, null]] as const
  ) {
    Deno.test(`PostgresVectors searches ${dimension} dimensions by ${graph ?? "a scan"}`, () =>
      withStore(server, async (_, url, stores) => {
        const store = await stores.forModel({ model: { ...MODEL, dimension } });
        const next = clustered({ dimension, clusters: 20, seed: 5 });
        const rows = Array.from({ length: 2_050 }, (_, at) => profile(`u${at}`, next()));
        await store.upsert({ collection: "profiles", rows });
        await store.build({ version: 1 });
        const [found] = await ask<{ graphs: number }>(
          url,
          `SELECT count(*)::int AS graphs FROM pg_indexes
           WHERE schemaname = '${url.searchParams.get("schema")}' AND indexdef LIKE '%${
            graph ?? "USING hnsw"
          }%'`,
        );
        assert.equal(found!.graphs, graph === null ? 0 : 1);
        for (const at of [0, 700, 2_049]) {
          const [best] = await near(store, 1, rows[at]!.vector);
          assert.equal(best!.id, `u${at}`);
          assert.ok(Math.abs(best!.score - 1) < 1e-5, `score ${best!.score}`);
        }
      }));
  }
}

/** The process of the server that indexes a build in this schema; null if none does. */
async function creatingGraph(url: URL): Promise<number | null> {
  const rows = await ask<{ pid: number }>(
    url,
    `SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid) JOIN pg_namespace n
       ON n.nspname = '${url.searchParams.get("schema")}'
     JOIN pg_class c ON c.oid = l.relation AND c.relnamespace = n.oid AND c.relname = 'vector_models'
     WHERE a.state = 'active' AND a.query LIKE '%USING hnsw%' AND a.pid <> pg_backend_pid()`,
  );
  return rows[0]?.pid ?? null;
}

function faultTests(server: string): void {
  /** The same users with other vectors in each version. */
  const rows = (version: number) => {
    const next = clustered({ dimension: 16, clusters: 50, seed: version });
    return Array.from(
      { length: 8_000 },
      (_, at) => profile(`u${at}`, next(), { content_hash: `${at} in ${version}` }),
    );
  };
  const ends: [
    string,
    (options: { url: URL; pid: number; abort: () => void; cut: () => void }) => unknown,
    object,
  ][] = [
    ["that is aborted", ({ abort }) => abort(), { name: "AbortError" }],
    ["whose server process is ended", ({ url, pid }) => ask(url, `SELECT pg_terminate_backend(${pid})`), {
      code: "unavailable",
    }],
    ["whose connection is cut", ({ cut }) => cut(), { code: "unavailable" }],
  ];
  for (const [what, end, error] of ends) {
    Deno.test(`PostgresVectors.build() ${what} leaves nothing, and the version before it serves`, () =>
      withStore(server, async (direct, url) => {
        await direct.upsert({ collection: "profiles", rows: rows(1) });
        await direct.build({ version: 1 });
        const before = await buildTables(url);
        await direct.upsert({ collection: "profiles", rows: rows(2) });
        const { url: through, proxy } = proxied(url, 5_432);
        const stores = new PostgresVectorStores({ url: through });
        try {
          const store = await stores.forModel({ model: MODEL });
          const controller = new AbortController();
          const ended = assert.rejects(store.build({ version: 2, signal: controller.signal }), error);
          let pid: number | null = null;
          await until(async () => (pid = await creatingGraph(url)) !== null);
          await end({ url, pid: pid!, abort: () => controller.abort(), cut: () => proxy.cut() });
          await ended;
          await until(async () => await creatingGraph(url) === null);
          await until(async () => (await buildTables(url)).length === before.length);
          await assert.rejects(near(store, 2, axis(0)), { code: "not_found" });
          assert.equal((await near(store, 1, rows(1)[9]!.vector))[0]!.id, "u9");
          await store.build({ version: 2 });
          assert.equal((await near(store, 2, rows(2)[9]!.vector))[0]!.id, "u9");
        } finally {
          await stores.close();
          await proxy.close();
        }
      }));
  }

  Deno.test("PostgresVectors say when a server is down or silent, and continue when it is back", () =>
    withStore(server, async (direct, url) => {
      await direct.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
      await direct.build({ version: 1 });
      const { url: through, proxy } = proxied(url, 5_432);
      const stores = new PostgresVectorStores({ url: through });
      try {
        const store = await stores.forModel({ model: MODEL });
        const search = (signal?: AbortSignal) =>
          store.search({
            collection: "profiles",
            version: 1,
            vector: axis(0),
            k: 1,
            ...signal && { signal },
          });
        assert.equal((await search()).length, 1);
        proxy.hang(true);
        await assert.rejects(search(AbortSignal.timeout(50)), { name: "TimeoutError" });
        await assert.rejects(search(), { code: "unavailable", message: /did not answer in time/ });
        proxy.hang(false);
        assert.equal((await search()).length, 1);
        proxy.down();
        await assert.rejects(search(), {
          code: "unavailable",
          message: /cannot be reached|broke the connection/,
        });
        await proxy.up();
        assert.equal((await search()).length, 1);
      } finally {
        await stores.close();
        await proxy.close();
      }
    }));
}

function extensionTests(server: string): void {
  /** A database without the extension, and a role that owns a schema in it and nothing else. */
  async function withDatabase(
    body: (options: { admin: URL; poor: URL; name: string }) => Promise<void>,
  ): Promise<void> {
    const name = `parley_test_${crypto.randomUUID().slice(0, 8)}`;
    await ask(new URL(server), `CREATE DATABASE ${name}`);
    await ask(new URL(server), `CREATE ROLE ${name} LOGIN PASSWORD 'secret'`);
    const admin = new URL(server), poor = new URL(server);
    for (const url of [admin, poor]) url.pathname = `/${name}`;
    [poor.username, poor.password] = [name, "secret"];
    try {
      await ask(admin, `CREATE SCHEMA parley AUTHORIZATION ${name}`);
      await body({ admin, poor, name });
    } finally {
      await ask(new URL(server), `DROP DATABASE ${name} WITH (FORCE)`);
      await ask(new URL(server), `DROP ROLE ${name}`);
    }
  }

  async function fails(url: URL, code: string, sentence: RegExp): Promise<void> {
    const stores = new PostgresVectorStores({ url });
    try {
      await assert.rejects(stores.health(), (error: unknown) => {
        assert.ok(error instanceof ParleyError, String(error));
        assert.equal(error.code, code, error.message);
        assert.match(error.message, sentence);
        assert.doesNotMatch(Deno.inspect(error), /secret|parley-test/);
        return true;
      });
    } finally {
      await stores.close();
    }
  }

  async function works(url: URL): Promise<void> {
    const stores = new PostgresVectorStores({ url });
    try {
      const store = await stores.forModel({ model: MODEL });
      await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
      await store.build({ version: 1 });
      assert.equal((await near(store, 1, axis(0)))[0]!.id, "u1");
    } finally {
      await stores.close();
    }
  }

  Deno.test("PostgresVectors says who creates the extension, and opens once it exists, in whichever schema", () =>
    withDatabase(async ({ admin, poor, name }) => {
      await fails(
        poor,
        "denied",
        /^this user of PostgreSQL at \S+ may not create the extension vector \(pgvector\): have an administrator run CREATE EXTENSION vector in this database$/,
      );
      await ask(
        admin,
        `CREATE SCHEMA "My extensions"; GRANT USAGE ON SCHEMA "My extensions" TO ${name};
        CREATE EXTENSION vector SCHEMA "My extensions"`,
      );
      await works(poor);
    }));

  Deno.test("PostgresVectors creates the extension as an administrator", () =>
    withDatabase(async ({ admin }) => {
      await Promise.all(["one", "two"].map((schema) => {
        const url = new URL(admin);
        url.searchParams.set("schema", schema);
        return works(url);
      }));
    }));

  Deno.test("PostgresVectors refuses a pgvector that is too old", () =>
    withDatabase(async ({ admin, poor }) => {
      await ask(
        admin,
        `CREATE EXTENSION vector; SET allow_system_table_mods = on;
        UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'`,
      );
      await fails(
        poor,
        "mismatch",
        /has pgvector 0\.7\.4: install 0\.8\.0 or newer on the server, then .* ALTER EXTENSION vector UPDATE/,
      );
    }));
}
