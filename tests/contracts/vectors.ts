import assert from "node:assert/strict";
import { compareText } from "../../lib/core/text.ts";
import { COLLECTIONS, type VectorRow } from "../../lib/stores/vectors/port.ts";
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
import { campaign, profile } from "../fixtures/vectors.ts";
import { handlesContract, VECTOR_STORES } from "./handles.ts";
import { collect } from "../fixtures/rows.ts";
import { checkTombstones } from "./tombstones.ts";

/** What every vector store does with rows. `open` gives empty ones of their own each time. */
export function vectorsContract(name: string, open: OpenVectors): void {
  const test = vectorTest(name, open);
  handlesContract(name, async () => {
    const { stores, ...rest } = await open();
    return { store: stores, ...rest };
  }, VECTOR_STORES);

  test("an empty store returns empty results", async (store) => {
    const nothing = { messages: 0, profiles: 0, conversations: 0, campaigns: 0 };
    assert.deepEqual(await store.counts(), nothing);
    assert.equal(await store.isEmpty({ collection: "messages" }), true);
    assert.deepEqual(await store.build({ version: 1 }), nothing);
    assert.deepEqual(await near(store, 1, axis(0), 5), []);
    assert.deepEqual(await store.faults({ limit: 5 }), []);
    assert.equal((await store.get({ collection: "profiles", ids: ["u1"] })).size, 0);
    assert.equal(await store.deleteUsers({ user_ids: ["u1"] }), 0);
    assert.equal(await store.deleteCampaigns({ campaign_ids: [] }), 0);
    assert.equal((await store.upsert({ collection: "profiles", rows: [] })).inserted, 0);
  });

  test("upsert() stores vectors and hashes by id, separately for each collection", async (store) => {
    const rows = randomRows(20, 1);
    assert.deepEqual(await store.upsert({ collection: "profiles", rows }), {
      inserted: 20,
      changed: 0,
      same: 0,
    });
    await store.upsert({ collection: "campaigns", rows: [campaign(rows[0]!.id, axis(3))] });
    const ids = [rows[0]!.id, rows[7]!.id, "nobody"];
    const vectors = await store.get({ collection: "profiles", ids });
    assert.deepEqual([...vectors.keys()].sort(), ids.slice(0, 2).sort());
    assert.deepEqual(vectors.get(ids[1]!), rows[7]!.vector);
    const hashes = await store.hashes({ collection: "profiles", ids });
    assert.deepEqual(hashes.get(ids[0]!), rows[0]!.content_hash);
    assert.equal(hashes.size, 2);
    assert.deepEqual((await store.get({ collection: "campaigns", ids })).get(ids[0]!), axis(3));
    assert.deepEqual(await store.counts(), { messages: 0, profiles: 20, conversations: 0, campaigns: 1 });
    const empty = COLLECTIONS.map((collection) => store.isEmpty({ collection }));
    assert.deepEqual(await Promise.all(empty), [true, false, true, false]);
    await store.deleteCampaigns({ campaign_ids: [rows[0]!.id] });
    assert.equal(await store.isEmpty({ collection: "campaigns" }), true);
  });

  test("upsert() of existing rows changes nothing", async (store) => {
    const rows = randomRows(20, 2);
    await store.upsert({ collection: "profiles", rows });
    const before = await store.digest();
    const counts = await store.upsert({ collection: "profiles", rows });
    assert.deepEqual(counts, { inserted: 0, changed: 0, same: 20 });
    assert.equal(await store.digest(), before);
  });

  test("upsert() replaces a row if any field other than its vector differs", async (store) => {
    const row = profile("u1", axis(0));
    await store.upsert({ collection: "messages", rows: [row] });
    const variants: Partial<VectorRow>[] = [
      { content_hash: "other" },
      { role: "assistant" },
      { timestamp: "2026-02-01T00:00:00.000Z" },
      { user_id: "u2" },
    ];
    let last = row;
    for (const variant of variants) {
      last = { ...last, ...variant, vector: axis(1) };
      const counts = await store.upsert({ collection: "messages", rows: [last] });
      assert.deepEqual(counts, { inserted: 0, changed: 1, same: 0 }, JSON.stringify(variant));
    }
    assert.deepEqual((await store.get({ collection: "messages", ids: ["u1"] })).get("u1"), axis(1));
    assert.equal((await store.counts()).messages, 1);
  });

  test("upsert() rejects an invalid vector and writes nothing of that call", async (store) => {
    const bad = {
      short: axis(0).slice(0, 7),
      long: Float32Array.from([...axis(0), 0]),
      nan: axis(0).map((value, at) => at === 5 ? NaN : value),
      infinite: axis(0).map((value) => value === 1 ? Infinity : value),
      scaled: axis(0).map((value) => value * 1.01),
      zero: new Float32Array(8),
    };
    for (const [id, vector] of Object.entries(bad)) {
      const rows = [profile("good", axis(0)), profile(id, vector)];
      await assert.rejects(store.upsert({ collection: "profiles", rows }), { code: "invalid" }, id);
    }
    assert.deepEqual(await store.counts(), { messages: 0, profiles: 0, conversations: 0, campaigns: 0 });
  });

  test("byHash() returns a vector for each hash that a stored row has", async (store) => {
    const message = (id: string, content_hash: string, at: number) =>
      profile(id, axis(at), { user_id: "u1", content_hash });
    const rows = [message("m1", "a", 1), message("m2", "a", 1), message("m3", "b", 2)];
    await store.upsert({ collection: "messages", rows });
    const find = () => store.byHash({ collection: "messages", hashes: ["a", "b", "c"] });
    assert.deepEqual(await find(), new Map([["a", axis(1)], ["b", axis(2)]]));
    assert.equal((await store.byHash({ collection: "profiles", hashes: ["a"] })).size, 0);
    await store.upsert({ collection: "messages", rows: [message("m3", "c", 3)] });
    assert.deepEqual(await find(), new Map([["a", axis(1)], ["c", axis(3)]]));
    await store.deleteUsers({ user_ids: ["u1"] });
    assert.equal((await find()).size, 0);
  });

  test("deleteExcept() removes all other ids of these users, in one collection, and of no other users", async (store) => {
    const row = (user_id: string, at: number) => profile(`${user_id}-${at}`, axis(at), { user_id });
    const rows = ["u1", "u2", "u3"].flatMap((user_id) => [0, 1, 2].map((at) => row(user_id, at)));
    for (const collection of ["messages", "conversations"] as const) await store.upsert({ collection, rows });
    await store.build({ version: 1 });
    const ids = ["u1-1", "u3-0", "nothing"];
    const some = { collection: "conversations", user_ids: ["u1", "u2", "nobody"], ids } as const;
    assert.equal(await store.deleteExcept(some), 5);
    assert.equal(await store.deleteExcept(some), 0);
    assert.equal(await store.deleteExcept({ ...some, user_ids: [] }), 0);
    const left = await store.get({ collection: "conversations", ids: rows.map(({ id }) => id) });
    assert.deepEqual([...left.keys()].sort(), ["u1-1", "u3-0", "u3-1", "u3-2"]);
    const { messages, conversations } = await store.counts();
    assert.deepEqual([messages, conversations], [9, 4]);
    const near = { collection: "conversations", vector: axis(1), k: 9 } as const;
    const found = async (version: number) =>
      (await store.search({ ...near, version })).map(({ id }) => id).sort();
    assert.deepEqual(await found(1), [...left.keys()].sort());
    await store.build({ version: 2 });
    assert.deepEqual(await found(2), [...left.keys()].sort());
  });

  test(
    "deleteUsers() removes a user from rows and built versions at once, and no build restores them",
    async (store) => {
      const message = profile("m1", axis(4), { user_id: "u1" });
      await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0)), profile("u2", axis(1))] });
      await store.upsert({
        collection: "messages",
        rows: [message, { ...message, id: "m2", role: "assistant" }],
      });
      const conversations = [
        profile("v1", axis(0), { user_id: "u1" }),
        profile("v2", axis(1), { user_id: "u1" }),
        profile("v3", axis(2), { user_id: "u2" }),
      ];
      await store.upsert({ collection: "conversations", rows: conversations });
      await store.build({ version: 1 });
      assert.equal(await store.deleteUsers({ user_ids: ["u1", "nobody"] }), 5);
      assert.deepEqual(await store.counts(), { messages: 0, profiles: 1, conversations: 1, campaigns: 0 });
      assert.equal((await store.get({ collection: "profiles", ids: ["u1"] })).size, 0);
      assert.equal((await store.get({ collection: "messages", ids: ["m1", "m2"] })).size, 0);
      sameHits(await near(store, 1, axis(0), 2), [{ id: "u2", score: 0 }]);
      const conversation = { collection: "conversations", version: 1, vector: axis(0), k: 2 } as const;
      sameHits(await store.search(conversation), [{ id: "v3", score: 0 }]);
      await store.upsert({ collection: "profiles", rows: [profile("u1", axis(5))] });
      assert.ok(
        (await near(store, 1, axis(0), 2)).every((hit) => hit.score < TOLERANCE),
        "the old vector is back",
      );
      await store.build({ version: 2 });
      sameHits(await near(store, 2, axis(5), 1), [{ id: "u1", score: 1 }]);
    },
  );

  test("deleteCampaigns() removes campaigns from rows and built versions", async (store) => {
    const rows = [campaign("c1", axis(0)), campaign("c2", axis(1))];
    await store.upsert({ collection: "campaigns", rows });
    await store.build({ version: 1 });
    assert.equal(await store.deleteCampaigns({ campaign_ids: ["c1"] }), 1);
    const question = { collection: "campaigns", vector: axis(0), k: 2 } as const;
    sameHits(await store.search({ ...question, version: 1 }), [{ id: "c2", score: 0 }]);
    assert.equal((await store.build({ version: 2 })).campaigns, 1);
    sameHits(await store.search({ ...question, version: 2 }), [{ id: "c2", score: 0 }]);
  });

  test("page() returns complete rows in ascending id, with bit-identical vectors", async (store) => {
    const collection = "conversations";
    const rows = randomRows(7, 3);
    await store.upsert({ collection, rows: rows.toReversed() });
    await store.upsert({ collection: "profiles", rows: [profile("other", axis(0))] });
    await store.build({ version: 1 });
    const [first, ...others] = rows;
    const changed = { ...first!, vector: axis(1), content_hash: "changed", timestamp: null };
    await store.upsert({ collection, rows: [changed] });
    const found: VectorRow[] = [];
    for (let after: string | null = null;;) {
      const page = await store.page({ collection, after, limit: 3 });
      assert.ok(page.length <= 3);
      if (page.length === 0) break;
      found.push(...page);
      after = page.at(-1)!.id;
    }
    assert.deepEqual(found, [changed, ...others].sort((a, b) => compareText(a.id, b.id)));
  });

  test("page() with a user gives only the rows of that user", async (store) => {
    const rows = randomRows(50, 7).map((row, at) => ({ ...row, user_id: `user-${at % 3}` }));
    await store.upsert({ collection: "messages", rows });
    const own = rows.filter(({ user_id }) => user_id === "user-1").sort((a, b) => compareText(a.id, b.id));
    const page = (after: string | null, limit: number) =>
      store.page({ collection: "messages", user_id: "user-1", after, limit });
    assert.deepEqual(await collect(page, ({ id }) => id, 5), own);
    assert.deepEqual(
      await store.page({ collection: "messages", user_id: "nobody", after: null, limit: 5 }),
      [],
    );
  });

  test(
    "tombstones are sets of hashes, apart for each model, and compact() leaves every row",
    async (store, stores) => {
      await checkTombstones(store.tombstones);
      await store.tombstones.add({ hashes: ["k1.0"] });
      const other = await stores.forModel({ model: { ...MODEL, name: "other" } });
      assert.deepEqual(await other.tombstones.among({ hashes: ["k1.0"] }), []);
      const reopened = await stores.forModel({ model: MODEL });
      await reopened.upsert({ collection: "profiles", rows: randomRows(20, 3) });
      const before = await reopened.digest();
      await reopened.compact();
      assert.equal(await reopened.digest(), before);
      assert.deepEqual(await reopened.tombstones.page({ after: null, limit: 2 }), ["k1.0"]);
    },
  );

  test("digest() depends on the rows alone, not on their order or history", async (store) => {
    const { stores, close } = await open();
    try {
      const other = await stores.forModel({ model: MODEL });
      const rows = randomRows(50, 7);
      await store.upsert({ collection: "profiles", rows });
      await other.upsert({ collection: "profiles", rows: [profile("extra", axis(0))] });
      await other.upsert({ collection: "profiles", rows: rows.toReversed() });
      assert.notEqual(await other.digest(), await store.digest());
      await other.deleteUsers({ user_ids: ["extra"] });
      await other.build({ version: 1 });
      assert.equal(await other.digest(), await store.digest());
      const [row] = rows;
      await other.upsert({
        collection: "profiles",
        rows: [{ ...row!, vector: axis(1), content_hash: "other" }],
      });
      await other.upsert({ collection: "profiles", rows: [{ ...row!, vector: axis(1) }] });
      assert.notEqual(await other.digest(), await store.digest());
    } finally {
      await close();
    }
  });

  test("faults() finds no fault in rows that upsert() accepted", async (store) => {
    await store.upsert({ collection: "profiles", rows: randomRows(50, 8) });
    assert.deepEqual(await store.faults({ limit: 5 }), []);
  });
}
