import assert from "node:assert/strict";
import { healthy } from "./health.ts";
import { type Abortable, type ModelIdentity, modelKey } from "../../lib/core/types.ts";
import { profile } from "../fixtures/vectors.ts";
import {
  axis,
  MODEL,
  near,
  type OpenVectors,
  randomRows,
  sameHits,
  vectorTest,
} from "../fixtures/vector_stores.ts";

/** What holds for the stores of several models together, and for calls that are given up. */
export function vectorStoresContract(name: string, open: OpenVectors): void {
  const test = vectorTest(name, open);
  const other: ModelIdentity = { ...MODEL, name: "org/o'ther:\u{1f600} 模型", dimension: 4 };

  test(
    "models() lists models with data, and forModel() returns the same store each time",
    async (store, stores) => {
      assert.deepEqual(await stores.models(), []);
      const second = await stores.forModel({ model: { ...other } });
      assert.equal(await stores.forModel({ model: { ...MODEL } }), store);
      assert.deepEqual(await second.counts(), { messages: 0, profiles: 0, conversations: 0, campaigns: 0 });
      assert.deepEqual(await stores.models(), []);
      await second.upsert({ collection: "profiles", rows: [profile("u1", axis(0).slice(0, 4))] });
      assert.deepEqual((await stores.models()).map((model) => ({ ...model })), [other]);
      await store.build({ version: 1 });
      assert.deepEqual((await stores.models()).map(modelKey), [MODEL, other].map(modelKey));
      assert.deepEqual([store.model, second.model], [MODEL, other]);
    },
  );

  test("two models share no rows", async (store, stores) => {
    const second = await stores.forModel({ model: other });
    const near2 = (k: number) => near(second, 1, axis(0).slice(0, 4), k);
    await store.upsert({ collection: "profiles", rows: [profile("u1", axis(0)), profile("u2", axis(1))] });
    await second.upsert({ collection: "profiles", rows: [profile("u1", axis(1).slice(0, 4))] });
    for (const each of [store, second]) await each.build({ version: 1 });
    assert.deepEqual((await near(store, 1, axis(0), 5)).map(({ id }) => id), ["u1", "u2"]);
    sameHits(await near2(5), [{ id: "u1", score: 0 }]);
    await store.deleteUsers({ user_ids: ["u1"] });
    assert.deepEqual([(await store.counts()).profiles, (await second.counts()).profiles], [1, 1]);
    await store.dropVersionsExcept({ versions: [] });
    assert.equal((await near2(5)).length, 1);
    await assert.rejects(near(store, 1, axis(0), 1), { code: "not_found" });
    await assert.rejects(second.upsert({ collection: "profiles", rows: [profile("u3", axis(0))] }), {
      code: "invalid",
    });
  });

  test("drop() removes one model, which can then be created again", async (store, stores) => {
    const second = await stores.forModel({ model: other });
    await second.upsert({ collection: "profiles", rows: [profile("u1", axis(0).slice(0, 4))] });
    const before = await second.digest();
    const empty = await store.digest();
    for (const at of [0, 1]) {
      await store.upsert({ collection: "profiles", rows: [profile("u1", axis(at))] });
      await store.build({ version: 1 });
      sameHits(await near(store, 1, axis(at), 5), [{ id: "u1", score: 1 }]);
      await stores.drop({ model: MODEL });
      assert.equal(await store.digest(), empty);
      assert.deepEqual(await store.counts(), { messages: 0, profiles: 0, conversations: 0, campaigns: 0 });
      await assert.rejects(near(store, 1, axis(at), 1), { code: "not_found" });
      assert.deepEqual((await stores.models()).map(modelKey), [modelKey(other)]);
    }
    await stores.drop({ model: MODEL });
    assert.equal(await second.digest(), before);
  });

  test("health() names the adapter and its engine's version", async (_, stores) => {
    healthy(await stores.health());
  });

  test(
    "every call rejects by the reason of a signal that is aborted, before or meanwhile",
    async (store, stores) => {
      const rows = randomRows(300, 9);
      const calls: Record<string, (options: Abortable) => Promise<unknown>> = {
        upsert: (options) => store.upsert({ collection: "profiles", rows, ...options }),
        hashes: (options) => store.hashes({ collection: "profiles", ids: ["u1"], ...options }),
        byHash: (options) => store.byHash({ collection: "profiles", hashes: ["h"], ...options }),
        get: (options) => store.get({ collection: "profiles", ids: ["u1"], ...options }),
        deleteExcept: (options) =>
          store.deleteExcept({ collection: "profiles", user_ids: ["u1"], ids: [], ...options }),
        search: (options) =>
          store.search({ collection: "profiles", version: 1, vector: axis(0), k: 5, ...options }),
        build: (options) => store.build({ version: 1, ...options }),
        verify: (options) => store.verify({ version: 1, ...options }),
        keep: (options) => store.dropVersionsExcept({ versions: [1], ...options }),
        faults: (options) => store.faults({ limit: 5, ...options }),
        dropFaults: (options) => store.dropFaults(options),
        deleteUsers: (options) => store.deleteUsers({ user_ids: ["u1"], ...options }),
        deleteCampaigns: (options) => store.deleteCampaigns({ campaign_ids: ["c1"], ...options }),
        counts: (options) => store.counts(options),
        isEmpty: (options) => store.isEmpty({ collection: "messages", ...options }),
        digest: (options) => store.digest(options),
        models: (options) => stores.models(options),
        of: (options) => stores.forModel({ model: MODEL, ...options }),
        health: (options) => stores.health(options),
        drop: (options) => stores.drop({ model: MODEL, ...options }),
      };
      const reason = new Error("no longer wanted");
      for (const [method, call] of Object.entries(calls)) {
        const rejected = await call({ signal: AbortSignal.abort(reason) }).then(() => null, (error) => error);
        assert.equal(rejected, reason, method);
      }
      await store.upsert({ collection: "profiles", rows });
      for (const method of ["upsert", "build", "digest", "counts"]) {
        const controller = new AbortController();
        const pending = calls[method]!({ signal: controller.signal }).then(() => null, (error) => error);
        controller.abort(reason);
        assert.ok([reason, null].includes(await pending), method);
      }
      assert.equal((await store.counts()).profiles, 300);
      await store.build({ version: 2 });
      assert.equal((await near(store, 2, rows[0]!.vector, 5)).length, 5);
    },
  );
}
