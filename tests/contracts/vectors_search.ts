import assert from "node:assert/strict";
import {
  axis,
  MODEL,
  near,
  type OpenVectors,
  randomRows,
  sameHits,
  TOLERANCE,
  vectorTest,
} from "../fixtures/vector_stores.ts";
import type { Hit } from "../../lib/stores/vectors/port.ts";
import { bruteForce, campaign, clustered, profile, recallOf } from "../fixtures/vectors.ts";

/** What every vector store finds, in which version. `open` gives empty ones of their own each time. */
export function vectorSearchContract(name: string, open: OpenVectors): void {
  const test = vectorTest(name, open);

  test("search() in 500 rows is exact, with ties by id", async (store) => {
    const rows = randomRows(500, 3);
    const tied = rows.map((row, at) => at % 10 < 4 ? { ...row, vector: rows[at - at % 10]!.vector } : row);
    await store.upsert({ collection: "profiles", rows: tied });
    assert.equal((await store.build({ version: 1 })).profiles, 500);
    const queries = [
      ...tied.slice(0, 10).map((row) => row.vector),
      ...randomRows(10, 4).map((row) => row.vector),
    ];
    for (const query of queries) {
      for (const k of [1, 3, 10, 499, 600]) {
        sameHits(await near(store, 1, query, k), bruteForce(tied, query, k));
      }
    }
  });

  test("search() in 6,000 rows finds at least .95 of the 10 nearest", async (_, stores) => {
    const dimension = 32;
    const store = await stores.forModel({ model: { ...MODEL, dimension } });
    const next = clustered({ dimension, clusters: 100, seed: 5 });
    const rows = Array.from({ length: 6_000 }, (_, at) => profile(`u${at}`, next()));
    await store.upsert({ collection: "profiles", rows });
    await store.build({ version: 1 });
    const queries = Array.from({ length: 50 }, next);
    const recall = await recallOf({ rows, queries, k: 10 }, (vector) => near(store, 1, vector, 10));
    assert.ok(recall >= 0.95, `recall@10 is ${recall}`);
    const [best] = await near(store, 1, rows[77]!.vector, 1);
    sameHits([best!], [{ id: "u77", score: 1 }]);
    const all = await near(store, 1, queries[0]!, 200);
    assert.deepEqual(all, all.toSorted((a, b) => b.score - a.score));
  });

  test("search() finds the nearest rows behind thousands with equal vectors", async (store) => {
    const others = randomRows(2_100, 10);
    const same = Array.from({ length: 3_000 }, (_, at) => profile(`same${10_000 + at}`, axis(0)));
    const rows = [...others, ...same].sort((a, b) => a.content_hash < b.content_hash ? -1 : 1);
    await store.upsert({ collection: "profiles", rows });
    assert.equal((await store.build({ version: 1 })).profiles, 5_100);
    for (const { id, vector } of others.slice(0, 100)) {
      sameHits(await near(store, 1, vector, 1), [{ id, score: 1 }]);
    }
    const isSame = ({ id, score }: Hit) => id.startsWith("same") && Math.abs(score - 1) < TOLERANCE;
    const hits = await near(store, 1, axis(0), 40);
    assert.ok(hits.length === 40 && hits.every(isSame));
    assert.equal(new Set(hits.map(({ id }) => id)).size, 40);
    await store.deleteUsers({ user_ids: same.slice(5).map(({ id }) => id) });
    const rest = await near(store, 1, axis(0), 40);
    assert.deepEqual(rest.filter(isSame).map(({ id }) => id), same.slice(0, 5).map(({ id }) => id));
    assert.equal(rest.length, 40);
  });

  test("verify() finds no error in a build, and reports a missing one", async (store) => {
    await store.upsert({ collection: "profiles", rows: randomRows(50, 11) });
    await store.build({ version: 1 });
    assert.deepEqual(await store.verify({ version: 1 }), []);
    assert.match(
      (await store.verify({ version: 2 })).map(({ text }) => text).join(),
      /no index .*was built for version 2/,
    );
  });

  test("search() finds conversations separately from profiles and campaigns, in their version", async (store) => {
    const rows = randomRows(500, 13);
    const conversations = rows.map((row, at) => ({ ...row, user_id: `u${at % 7}` }));
    await store.upsert({ collection: "conversations", rows: conversations });
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    await store.upsert({ collection: "campaigns", rows: [campaign("c1", axis(0))] });
    const counts = { messages: 0, profiles: 1, conversations: 500, campaigns: 1 };
    assert.deepEqual(await store.build({ version: 1 }), counts);
    const moved = { ...conversations[0]!, vector: axis(0), content_hash: "moved" };
    await store.upsert({ collection: "conversations", rows: [moved] });
    const search = (version: number, vector: Float32Array, exclude: string[] = []) =>
      store.search({ collection: "conversations", version, vector, k: 10, exclude });
    for (const { vector } of randomRows(10, 14)) {
      sameHits(await search(1, vector), bruteForce(rows, vector, 10));
    }
    await store.build({ version: 2 });
    assert.equal((await search(2, axis(0)))[0]?.id, moved.id);
    const others = rows.slice(1);
    sameHits(await search(2, axis(0), [moved.id]), bruteForce(others, axis(0), 10));
    await store.dropVersionsExcept({ versions: [2] });
    await assert.rejects(search(1, axis(0)), { code: "not_found" });
    assert.deepEqual(await store.faults({ limit: 5 }), []);
  });

  test("search() omits excluded ids and still returns enough", async (store) => {
    const rows = randomRows(300, 6);
    await store.upsert({ collection: "campaigns", rows: rows.map((row) => campaign(row.id, row.vector)) });
    await store.build({ version: 1 });
    const nearest = bruteForce(rows, rows[0]!.vector, 300).map((hit) => hit.id);
    for (const [from, to] of [[0, 1], [0, 100], [5, 15], [0, 300]] as const) {
      const exclude = [...nearest.slice(from, to), "nobody"];
      const left = rows.filter((row) => !exclude.includes(row.id));
      const hits = await store.search({
        collection: "campaigns",
        version: 1,
        vector: rows[0]!.vector,
        k: 10,
        exclude,
      });
      sameHits(hits, bruteForce(left, rows[0]!.vector, 10));
    }
  });

  test("search() rejects a query of another dimension and a zero vector", async (store) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    await store.build({ version: 1 });
    for (const bad of [axis(0).slice(1), new Float32Array(8), axis(0).fill(NaN)]) {
      await assert.rejects(near(store, 1, bad, 1), { code: "invalid" });
    }
  });

  test("search() in a version that was not built is not_found", async (store) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    await assert.rejects(near(store, 1, axis(0), 1), { code: "not_found" });
    await store.build({ version: 1 });
    await assert.rejects(near(store, 2, axis(0), 1), { code: "not_found" });
  });

  test("build() creates a version that later writes and versions do not change", async (store) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0)), profile("u2", axis(1))] });
    await store.build({ version: 1 });
    const moved = profile("u1", axis(2), { content_hash: "moved" });
    await store.upsert({ collection: "profiles", rows: [moved, profile("u3", axis(0))] });
    sameHits(await near(store, 1, axis(0), 1), [{ id: "u1", score: 1 }]);
    await store.build({ version: 2 });
    sameHits(await near(store, 2, axis(0), 1), [{ id: "u3", score: 1 }]);
    sameHits(await near(store, 2, axis(2), 1), [{ id: "u1", score: 1 }]);
    sameHits(await near(store, 1, axis(0), 2), [{ id: "u1", score: 1 }, { id: "u2", score: 0 }]);
  });

  test("build() of a built version replaces it", async (store) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    await store.build({ version: 1 });
    sameHits(await near(store, 1, axis(1), 1), [{ id: "u1", score: 0 }]);
    await store.upsert({ collection: "profiles", rows: [profile("u2", axis(1))] });
    assert.equal((await store.build({ version: 1 })).profiles, 2);
    sameHits(await near(store, 1, axis(1), 1), [{ id: "u2", score: 1 }]);
  });

  test("dropVersionsExcept() drops all other versions", async (store) => {
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0))] });
    for (const version of [1, 2, 3]) await store.build({ version });
    assert.equal((await near(store, 1, axis(0), 1)).length, 1);
    await store.dropVersionsExcept({ versions: [2, 3, 9] });
    await assert.rejects(near(store, 1, axis(0), 1), { code: "not_found" });
    assert.equal((await near(store, 2, axis(0), 1)).length, 1);
    await store.dropVersionsExcept({ versions: [] });
    await assert.rejects(near(store, 3, axis(0), 1), { code: "not_found" });
  });
}
