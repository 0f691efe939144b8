import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { VectorRow } from "../../../lib/stores/vectors/port.ts";
import { SqliteVectors } from "../../../lib/stores/vectors/sqlite.ts";
import { vectorsContract } from "../../contracts/vectors.ts";
import { runCode } from "../../fixtures/run.ts";
import { bruteForce, clustered, profile, recallOf } from "../../fixtures/vectors.ts";

const DIMENSION = 16;
const MODEL = { name: "test", revision: "0", dimension: DIMENSION, pooling: "mean" } as const;
const next = clustered({ dimension: DIMENSION, clusters: 20, seed: 1 });

function openIn(dir: string): SqliteVectors {
  return new SqliteVectors({ path: `${dir}/vectors.db`, index_dir: `${dir}/indexes` });
}

vectorsContract("SqliteVectors", async () => {
  const dir = await Deno.makeTempDir();
  const store = openIn(dir);
  return {
    store,
    close: async () => {
      await store.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
});

function test(what: string, body: (store: SqliteVectors, dir: string) => Promise<void>): void {
  Deno.test(`SqliteVectors ${what}`, async () => {
    const dir = await Deno.makeTempDir();
    const store = openIn(dir);
    try {
      await store.bind({ model: MODEL });
      await body(store, dir);
    } finally {
      await store.close();
      await Deno.remove(dir, { recursive: true });
    }
  });
}

function profiles(count: number, from = 0): VectorRow[] {
  return Array.from({ length: count }, (_, at) => profile(`u${from + at}`, next()));
}

async function nearest(store: SqliteVectors, version: number, vector: Float32Array, k = 1) {
  return await store.search({ collection: "profiles", version, vector, k });
}

/** Sets the bytes of a stored vector as no method would. */
function change(dir: string, id: string, bytes: Uint8Array): void {
  const db = new DatabaseSync(`${dir}/vectors.db`);
  db.prepare("UPDATE vectors SET vector = ? WHERE id = ?").run(bytes, id);
  db.close();
}

/** Names of the files under a folder in which these bytes stand. */
async function filesWith(dir: string, vector: Float32Array): Promise<string[]> {
  const needle = new Uint8Array(vector.buffer).toHex();
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    if (isDirectory) found.push(...await filesWith(`${dir}/${name}`, vector));
    else if ((await Deno.readFile(`${dir}/${name}`)).toHex().includes(needle)) found.push(name);
  }
  return found.sort();
}

test("build() of many rows goes on from the version before", async (store, dir) => {
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
  const files = await filesWith(`${dir}/indexes`, rows[0]!.vector);
  assert.deepEqual(files, ["profiles-1.usearch"], "a replaced vector lingers");
});

test("build() grows from a scan to a graph", async (store) => {
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

test("build() starts afresh where the file before is gone", async (store, dir) => {
  const rows = profiles(2_100);
  await store.upsert({ collection: "profiles", rows });
  await store.build({ version: 1 });
  await Deno.remove(`${dir}/indexes/profiles-1.usearch`);
  await assert.rejects(nearest(store, 1, rows[0]!.vector), { code: "unavailable" });
  assert.equal((await store.build({ version: 2 })).profiles, 2_100);
  assert.equal((await nearest(store, 2, rows[9]!.vector))[0]!.id, "u9");
});

for (const count of [50, 2_100]) {
  test(`deleteUsers() leaves no byte after build() and keep(), with ${count} rows`, async (store, dir) => {
    const rows = profiles(count);
    const [erased] = rows;
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 1 });
    assert.ok((await filesWith(dir, erased!.vector)).some((name) => name.startsWith("profiles-1.")));
    await store.deleteUsers({ user_ids: [erased!.id] });
    assert.ok((await filesWith(dir, erased!.vector)).every((name) => name.startsWith("profiles-1.")));
    assert.notEqual((await nearest(store, 1, erased!.vector))[0]!.id, erased!.id);
    await store.build({ version: 2 });
    await store.keep({ versions: [2] });
    assert.deepEqual(await filesWith(dir, erased!.vector), []);
    assert.equal((await nearest(store, 2, erased!.vector, count)).length, count - 1);
  });

  test(
    `search() sees what another connection built and built anew, with ${count} rows`,
    async (store, dir) => {
      const reader = openIn(dir);
      try {
        const rows = profiles(count);
        await store.upsert({ collection: "profiles", rows });
        await store.build({ version: 1 });
        assert.equal((await nearest(reader, 1, rows[3]!.vector))[0]!.id, "u3");
        const added = { ...profile("late", next()) };
        await store.upsert({ collection: "profiles", rows: [added] });
        await store.build({ version: 1 });
        assert.equal((await nearest(reader, 1, added.vector))[0]!.id, "late");
        await store.keep({ versions: [] });
        await assert.rejects(nearest(reader, 1, added.vector), { code: "not_found" });
      } finally {
        await reader.close();
      }
    },
  );
}

test("search() fills up from a graph although many of the nearest are gone", async (store) => {
  const rows = profiles(2_500);
  await store.upsert({ collection: "profiles", rows });
  await store.build({ version: 1 });
  const ids = bruteForce(rows, rows[0]!.vector, 210).map((hit) => hit.id);
  await store.deleteUsers({ user_ids: ids.slice(0, 200) });
  const hits = await nearest(store, 1, rows[0]!.vector, 10);
  assert.deepEqual(hits.map((hit) => hit.id), ids.slice(200));
});

test("keep() removes what an interrupted build left", async (store, dir) => {
  await store.build({ version: 2 });
  await Deno.writeTextFile(`${dir}/indexes/profiles-1.usearch.part`, "");
  await Deno.writeTextFile(`${dir}/indexes/note.txt`, "");
  await store.keep({ versions: [2] });
  const names = (await Array.fromAsync(Deno.readDir(`${dir}/indexes`))).map(({ name }) => name).sort();
  assert.deepEqual(names, ["campaigns-2.flat", "note.txt", "profiles-2.flat"]);
});

test("faults() names damaged rows, up to its limit", async (store, dir) => {
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
});

test("needs read, env, ffi, and write in its folder only", async (store, dir) => {
  await store.upsert({ collection: "profiles", rows: profiles(2_100) });
  const code = `
    import { SqliteVectors } from ${
    JSON.stringify(new URL("../../../lib/stores/vectors/sqlite.ts", import.meta.url))
  };
    const store = new SqliteVectors({ path: "${dir}/vectors.db", index_dir: "${dir}/indexes" });
    await store.build({ version: 1 });
    const vector = (await store.get({ collection: "profiles", ids: ["u70"] })).get("u70");
    const [hit] = await store.search({ collection: "profiles", version: 1, vector, k: 1 });
    await store.close();
    console.log(hit.id);`;
  const permissions = ["--allow-read", `--allow-write=${dir}`, "--allow-env", "--allow-ffi"];
  assert.equal(await runCode({ code, permissions }), "u70");
});
