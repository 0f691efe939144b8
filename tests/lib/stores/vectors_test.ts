import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openVectors } from "../../../lib/stores/open.ts";
import { modelFile } from "../../../lib/stores/vectors/names.ts";
import type { VectorRow, VectorStore, VectorStores } from "../../../lib/stores/vectors/port.ts";
import { SqliteVectorStores } from "../../../lib/stores/vectors/sqlite/sqlite_vector_stores.ts";
import { vectorStoresContract } from "../../contracts/vector_stores.ts";
import { vectorsContract } from "../../contracts/vectors.ts";
import { vectorSearchContract } from "../../contracts/vectors_search.ts";
import { handles } from "../../fixtures/handles.ts";
import { runCode } from "../../fixtures/run.ts";
import { until } from "../../fixtures/until.ts";
import { bruteForce, clustered, profile, recallOf } from "../../fixtures/vectors.ts";

const DIMENSION = 16;
const MODEL = { name: "test", revision: "0", dimension: DIMENSION, pooling: "mean" } as const;
const next = clustered({ dimension: DIMENSION, clusters: 20, seed: 1 });

/** Where {@link MODEL}'s vectors are below a folder: the database with `.db`, the index files in a folder without. */
const FILES = modelFile(MODEL);

async function opened() {
  const dir = await Deno.makeTempDir();
  const { store: stores, ...rest } = await handles(
    () => new SqliteVectorStores(dir),
    () => Deno.remove(dir, { recursive: true }),
  );
  return { stores, dir, ...rest };
}

vectorsContract("SqliteVectors", opened);
vectorSearchContract("SqliteVectors", opened);
vectorStoresContract("SqliteVectorStores", opened);

function test(
  what: string,
  body: (store: VectorStore, dir: string, stores: VectorStores) => Promise<void>,
): void {
  Deno.test(`SqliteVectors ${what}`, async () => {
    const { stores, dir, close } = await opened();
    try {
      await body(await stores.forModel({ model: MODEL }), dir, stores);
    } finally {
      await close();
    }
  });
}

function profiles(count: number, from = 0): VectorRow[] {
  return Array.from({ length: count }, (_, at) => profile(`u${from + at}`, next()));
}

async function nearest(store: VectorStore, version: number, vector: Float32Array, k = 1) {
  return await store.search({ collection: "profiles", version, vector, k });
}

/** Sets the bytes of a stored vector as no method would. */
function change(dir: string, id: string, bytes: Uint8Array): void {
  const db = new DatabaseSync(`${dir}/${FILES}.db`);
  db.prepare("UPDATE vectors SET vector = ? WHERE id = ?").run(bytes, id);
  db.close();
}

/** The path of the file that a build wrote. */
async function indexFile(dir: string, name: string): Promise<string> {
  const found = (await namesIn(`${dir}/${FILES}`)).filter((each) => each.startsWith(`${name}.`));
  assert.equal(found.length, 1, `files of ${name}: ${found}`);
  return `${dir}/${FILES}/${found[0]}`;
}

/** Names of the files under a folder that have a vector, as floats or as 16-bit numbers relative to its largest. */
async function filesWith(dir: string, vector: Float32Array): Promise<string[]> {
  const largest = Math.max(...vector.map(Math.abs));
  const codes = Int16Array.from(vector, (value) => Math.round(value / largest * 32_767));
  const needles = [vector, codes].map(({ buffer }) => new Uint8Array(buffer).toHex());
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    if (isDirectory) found.push(...await filesWith(`${dir}/${name}`, vector));
    else {
      const content = (await Deno.readFile(`${dir}/${name}`)).toHex();
      if (needles.some((needle) => content.includes(needle))) found.push(name);
    }
  }
  return found.sort();
}

test("build() of many rows starts from the previous version", async (store, dir) => {
  const rows = profiles(5_000);
  await store.upsert({ collection: "profiles", rows });
  await store.build({ version: 1 });
  const moved = rows.map((row, at) => at % 5 ? row : { ...row, vector: next(), content_hash: "moved" });
  const all = [...moved, ...profiles(200, 5_000)];
  await store.upsert({ collection: "profiles", rows: all });
  // A row that changed behind the store's back stays as the earlier file has it.
  change(dir, "u1", new Uint8Array(next().buffer));
  assert.equal((await store.build({ version: 2 })).profiles, 5_200);

  const queries = Array.from({ length: 30 }, next);
  const recall = await recallOf({ rows: all, queries, k: 10 }, (query) => nearest(store, 2, query, 10));
  assert.ok(recall >= 0.95, `recall@10 is ${recall}`);
  for (const at of [0, 1, 5, 5_199]) {
    const [hit] = await nearest(store, 2, all[at]!.vector);
    assert.equal(hit!.id, `u${at}`);
    assert.ok(hit!.score > 0.9999, `${hit!.score}`);
  }
  assert.equal((await nearest(store, 1, rows[0]!.vector))[0]!.id, "u0");
  const files = await filesWith(`${dir}/${FILES}`, rows[0]!.vector);
  assert.deepEqual(files.map((name) => name.split(".")[0]), ["profiles-1"], "a replaced vector lingers");
});

test("build() grows from a plain block to codes", async (store) => {
  const rows = profiles(2_050);
  await store.upsert({ collection: "profiles", rows: rows.slice(0, 1_990) });
  await store.build({ version: 1 });
  await store.upsert({ collection: "profiles", rows });
  await store.build({ version: 2 });
  for (const [version, held] of [[1, rows.slice(0, 1_990)], [2, rows]] as const) {
    const ids = (await nearest(store, version, rows[2_000]!.vector, 5)).map((hit) => hit.id);
    assert.deepEqual(ids, bruteForce(held, rows[2_000]!.vector, 5).map((hit) => hit.id));
  }
});

test("build() lets others have their turn", async (store) => {
  await store.upsert({ collection: "profiles", rows: profiles(3_000) });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await store.build({ version: 1 });
  clearInterval(timer);
  assert.ok(ticks > 20, `a timer had ${ticks} turns`);
});

test("build() starts from the rows if the file before is gone, and says so", async (store, dir) => {
  const rows = profiles(2_100);
  await store.upsert({ collection: "profiles", rows });
  await store.build({ version: 1 });
  await Deno.remove(await indexFile(dir, "profiles-1"));
  const lines: string[] = [];
  assert.equal((await store.build({ version: 2, log: (line) => lines.push(line) })).profiles, 2_100);
  assert.deepEqual(lines, [
    "the index profiles-1 is damaged: its file is missing; the index of version 2 is built without it",
  ]);
  assert.equal((await nearest(store, 2, rows[9]!.vector))[0]!.id, "u9");
});

for (const count of [50, 2_100]) {
  test(
    `deleteUsers() leaves no byte after build() and dropVersionsExcept(), with ${count} rows`,
    async (store, dir) => {
      const rows = profiles(count);
      const [erased] = rows;
      await store.upsert({ collection: "profiles", rows });
      await store.build({ version: 1 });
      assert.ok((await filesWith(dir, erased!.vector)).some((name) => name.startsWith("profiles-1.")));
      await store.deleteUsers({ user_ids: [erased!.id] });
      assert.ok((await filesWith(dir, erased!.vector)).every((name) => name.startsWith("profiles-1.")));
      assert.notEqual((await nearest(store, 1, erased!.vector))[0]!.id, erased!.id);
      await store.build({ version: 2 });
      await store.dropVersionsExcept({ versions: [2] });
      assert.deepEqual(await filesWith(dir, erased!.vector), []);
      assert.equal((await nearest(store, 2, erased!.vector, count)).length, count - 1);
    },
  );

  test(
    `search() sees what another connection built and rebuilt, with ${count} rows`,
    async (store, dir) => {
      const others = new SqliteVectorStores(dir);
      const reader = await others.forModel({ model: MODEL });
      try {
        const rows = profiles(count);
        await store.upsert({ collection: "profiles", rows });
        await store.build({ version: 1 });
        assert.equal((await nearest(reader, 1, rows[3]!.vector))[0]!.id, "u3");
        const added = { ...profile("late", next()) };
        await store.upsert({ collection: "profiles", rows: [added] });
        await store.build({ version: 1 });
        assert.equal((await nearest(reader, 1, added.vector))[0]!.id, "late");
        await store.dropVersionsExcept({ versions: [] });
        await assert.rejects(nearest(reader, 1, added.vector), { code: "not_found" });
      } finally {
        await others.close();
      }
    },
  );
}

test("search() fills up from codes although many of the nearest are gone", async (store) => {
  const rows = profiles(2_500);
  await store.upsert({ collection: "profiles", rows });
  await store.build({ version: 1 });
  const ids = bruteForce(rows, rows[0]!.vector, 210).map((hit) => hit.id);
  await store.deleteUsers({ user_ids: ids.slice(0, 200) });
  const hits = await nearest(store, 1, rows[0]!.vector, 10);
  assert.deepEqual(hits.map((hit) => hit.id), ids.slice(200));
});

for (const y of [0.8, -0.8]) {
  test(`search() orders rows of vectors with equal scores by id, however many have that of ${y}`, async (store) => {
    const vector = (...values: number[]) => Float32Array.of(...values, ...Array(DIMENSION - 2).fill(0));
    const many = Array.from({ length: 200 }, (_, n) => profile(`u${1_000 + n}`, vector(0.6, y)));
    await store.upsert({ collection: "profiles", rows: [...many, profile("a", vector(0.6, -y))] });
    await store.build({ version: 1 });
    assert.deepEqual((await nearest(store, 1, vector(1, 0), 2)).map(({ id }) => id), ["a", "u1000"]);
  });
}

test("search() gives the first by id of many with one vector, and fills up past those that are gone", async (store) => {
  const [same, other] = [next(), next()];
  const rows = Array.from({ length: 3_000 }, (_, at) => profile(`u${10_000 + at}`, same));
  await store.upsert({ collection: "profiles", rows: [...rows.toReversed(), profile("other", other)] });
  assert.equal((await store.build({ version: 1 })).profiles, 3_001);
  const ids = rows.map(({ id }) => id);
  const found = async (k: number, exclude: string[] = []) => {
    const question = { collection: "profiles", version: 1, vector: same, k, exclude } as const;
    return (await store.search(question)).map(({ id }) => id);
  };
  assert.deepEqual(await found(5), ids.slice(0, 5));
  assert.deepEqual(await found(5, ids.slice(0, 500)), ids.slice(500, 505));
  await store.deleteUsers({ user_ids: ids.slice(0, 2_000) });
  assert.deepEqual(await found(5), ids.slice(2_000, 2_005));
  assert.deepEqual(await found(2_000), [...ids.slice(2_000), "other"]);
  assert.deepEqual(await found(2, ids), ["other"]);
});

test("build() counts vectors that differ by rounding as one", async (store, dir) => {
  const same = next();
  // As the mean of equal vectors may, each differs in its last bits.
  const rows = Array.from({ length: 200 }, (_, at) => {
    const vector = same.map((value, d) => value * (1 + ((at >> d % 8) & 1) * 2 ** -23));
    return profile(`u${at}`, vector);
  });
  await store.upsert({ collection: "profiles", rows: [...rows, ...profiles(20, 200)] });
  await store.build({ version: 1 });
  const { size } = await Deno.stat(await indexFile(dir, "profiles-1"));
  assert.ok(size <= 22 * (8 + 4 * DIMENSION), `${size} bytes hold more than 22 vectors`);
  assert.equal((await nearest(store, 1, same, 200)).length, 200);
});

test("reads and rebuilds what the schema before wrote", async (store, dir) => {
  const rows = profiles(2_100);
  await writeFormer(`${dir}/${FILES}.db`, rows);
  assert.deepEqual(await store.counts(), { messages: 0, profiles: 2_100, conversations: 0, campaigns: 0 });
  assert.deepEqual((await store.verify({ version: 3 })).map(({ text }) => text), [
    "the index profiles-3 is damaged: it was built by another version of Parley",
    "no index of campaigns was built for version 3",
  ]);
  await assert.rejects(nearest(store, 3, rows[5]!.vector), { code: "unavailable" });
  await until(() => nearest(store, 3, rows[5]!.vector).then(([hit]) => hit!.id === "u5", () => false));
  const conversations = { collection: "conversations", version: 3, vector: rows[5]!.vector, k: 5 } as const;
  assert.deepEqual(await store.search(conversations), []);
  assert.equal((await store.build({ version: 4 })).profiles, 2_100);
  assert.equal((await nearest(store, 4, rows[7]!.vector))[0]!.id, "u7");
  assert.equal((await store.upsert({ collection: "profiles", rows })).same, 2_100);
});

test("dropVersionsExcept() removes what an interrupted build left", async (store, dir) => {
  await store.build({ version: 2 });
  await Deno.writeTextFile(`${dir}/${FILES}/profiles-1.cafe.usearch.part`, "");
  await Deno.mkdir(`${dir}/${FILES}/campaigns-1.cafe.flat/full`, { recursive: true });
  await Deno.writeTextFile(`${dir}/${FILES}/note.txt`, "");
  await store.dropVersionsExcept({ versions: [2] });
  const names = (await Array.fromAsync(Deno.readDir(`${dir}/${FILES}`))).map(({ name }) => name).sort();
  assert.deepEqual(names.map((name) => name.split(".")[0]), [
    "campaigns-2",
    "conversations-2",
    "note",
    "profiles-2",
  ]);
});

test("build() leaves out damaged rows", async (store, dir) => {
  const rows = profiles(2_100);
  await store.upsert({ collection: "profiles", rows });
  change(dir, "u1", new Uint8Array(63));
  change(dir, "u2", new Uint8Array(new Float32Array(DIMENSION).fill(NaN).buffer));
  await store.build({ version: 1 });
  assert.equal((await nearest(store, 1, rows[3]!.vector))[0]!.id, "u3");
  assert.ok((await nearest(store, 1, rows[1]!.vector, 9)).every(({ id }) => !["u1", "u2"].includes(id)));
});

test(
  "faults() names damaged rows, up to its limit, and dropFaults() removes all of them",
  async (store, dir) => {
    await store.upsert({ collection: "profiles", rows: profiles(6) });
    const blobs = {
      u1: new Float32Array(DIMENSION).fill(NaN),
      u2: new Float32Array(3),
      u4: next().map((v) => v * 2),
    };
    for (const [id, vector] of Object.entries(blobs)) change(dir, id, new Uint8Array(vector.buffer));
    change(dir, "u5", new Uint8Array(63));
    assert.deepEqual(await store.faults({ limit: 10 }), ["u1", "u2", "u4", "u5"]);
    assert.deepEqual(await store.faults({ limit: 2 }), ["u1", "u2"]);
    const hashes = profiles(6).map(({ content_hash }) => content_hash);
    assert.equal((await store.byHash({ collection: "profiles", hashes })).size, 2);
    assert.equal(await store.dropFaults(), 4);
    assert.deepEqual(await store.faults({ limit: 10 }), []);
    assert.equal((await store.counts()).profiles, 2);
  },
);

test(
  "faults() looks again at rows that were written since, by any process, and at no others",
  async (store, dir) => {
    const unverified = () => {
      const db = new DatabaseSync(`${dir}/${FILES}.db`);
      const rows = db.prepare("SELECT row FROM unverified").all().length;
      db.close();
      return rows;
    };
    await store.upsert({ collection: "profiles", rows: profiles(600) });
    assert.equal(unverified(), 600);
    assert.deepEqual(await store.faults({ limit: 10 }), []);
    assert.equal(unverified(), 0);
    change(dir, "u7", new Uint8Array(63));
    for (let n = 0; n < 2; n++) assert.deepEqual(await store.faults({ limit: 10 }), ["u7"]);
    assert.equal(unverified(), 1);
    assert.equal(await store.dropFaults(), 1);
    assert.deepEqual(await store.faults({ limit: 10 }), []);
    assert.equal(unverified(), 0);
  },
);

test("needs read, and write in its folder only", async (store, dir) => {
  await store.upsert({ collection: "profiles", rows: profiles(2_100) });
  const code = `
    import { SqliteVectorStores } from ${
    JSON.stringify(new URL("../../../lib/stores/vectors/sqlite/sqlite_vector_stores.ts", import.meta.url))
  };
    const stores = new SqliteVectorStores("${dir}");
    const store = await stores.forModel({ model: ${JSON.stringify(MODEL)} });
    await store.build({ version: 1 });
    const vector = (await store.get({ collection: "profiles", ids: ["u70"] })).get("u70");
    const [hit] = await store.search({ collection: "profiles", version: 1, vector, k: 1 });
    await stores.close();
    console.log(hit.id);`;
  const permissions = ["--allow-read", `--allow-write=${dir}`];
  assert.equal(await runCode({ code, permissions }), "u70");
});

/** Writes a database as version 1 of its schema had it, with a built index that has no checksum. */
async function writeFormer(path: string, rows: readonly VectorRow[]): Promise<void> {
  const schema = await Deno.readTextFile(new URL("../../fixtures/vectors_schema_1.sql", import.meta.url));
  using db = new DatabaseSync(path);
  db.exec(schema);
  db.prepare("INSERT INTO model VALUES (1, ?, ?, ?, ?)").run("test", "0", DIMENSION, "mean");
  const insert = db.prepare(
    `INSERT INTO vectors (collection, id, user_id, role, timestamp, content_hash, rev, vector)
     VALUES ('profiles', ?, ?, 'user', ?, ?, 1, ?)`,
  );
  db.exec("BEGIN");
  for (const { id, user_id, timestamp, content_hash, vector } of rows) {
    insert.run(id, user_id, timestamp, content_hash, new Uint8Array(vector.buffer));
  }
  db.exec(`INSERT INTO indexes VALUES (1, 'profiles', 3, 'usearch', 1, 0); COMMIT`);
}

/** All names below a folder. */
async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
}

Deno.test("SqliteVectorStores make nothing before the first write, and leave nothing after drop()", async () => {
  const { stores, dir, close } = await opened();
  try {
    const store = await stores.forModel({ model: MODEL });
    const rows = profiles(2_100);
    await store.get({ collection: "profiles", ids: ["u1"] });
    await store.deleteUsers({ user_ids: ["u1"] });
    await store.dropVersionsExcept({ versions: [] });
    assert.deepEqual(await namesIn(dir), []);
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 1 });
    assert.equal((await nearest(store, 1, rows[5]!.vector))[0]!.id, "u5");
    assert.ok((await filesWith(dir, rows[5]!.vector)).length >= 2);
    await stores.drop({ model: MODEL });
    assert.deepEqual(await namesIn(dir), []);
  } finally {
    await close();
  }
});

Deno.test("SqliteVectorStores see that another process dropped a model, and that it was created again", async () => {
  const { stores, dir, close } = await opened();
  const others = new SqliteVectorStores(dir);
  try {
    const [store, reader] = [
      await stores.forModel({ model: MODEL }),
      await others.forModel({ model: MODEL }),
    ];
    for (const round of [0, 1]) {
      const rows = profiles(20, 100 * round);
      assert.equal((await reader.counts()).profiles, 0);
      await store.upsert({ collection: "profiles", rows });
      await store.build({ version: 1 });
      assert.equal((await nearest(reader, 1, rows[3]!.vector))[0]!.id, rows[3]!.id);
      await stores.drop({ model: MODEL });
      await assert.rejects(nearest(reader, 1, rows[3]!.vector), { code: "not_found" });
    }
  } finally {
    await others.close();
    await close();
  }
});

Deno.test("openVectors() takes over the vectors of the layout that knew one model", async () => {
  const { stores, dir, close } = await opened();
  try {
    const rows = profiles(5);
    const store = await stores.forModel({ model: MODEL });
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 3 });
    const digest = await store.digest();
    await stores.close();
    await Deno.rename(`${dir}/${FILES}.db`, `${dir}/vectors.db`);
    await Deno.rename(`${dir}/${FILES}`, `${dir}/indexes`);
    for (const _time of [1, 2]) {
      const later = await openVectors(new URL(`sqlite:${dir}/vectors.db`));
      const repeated = await later.forModel({ model: MODEL });
      assert.equal(await repeated.digest(), digest);
      assert.equal((await nearest(repeated, 3, rows[2]!.vector))[0]!.id, "u2");
      await later.close();
    }
    assert.deepEqual(await namesIn(dir), ["vectors"]);
    assert.deepEqual(await namesIn(`${dir}/vectors`), [FILES, `${FILES}.db`]);
  } finally {
    await close();
  }
});
