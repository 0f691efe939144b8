import assert from "node:assert/strict";
import { systemClock } from "../../lib/core/clock.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { eraseUsers } from "../../lib/privacy/erase_users.ts";
import { readUser } from "../../lib/privacy/read_user.ts";
import type { ErasingStores } from "../../lib/privacy/stores.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import { type Flow, flowTemplate, runDag } from "../fixtures/flow.ts";
import { disturbedRun } from "../fixtures/kills.ts";
import { countTraces, MARKED, plantMarkedUser, tracesToSearch } from "../fixtures/marked_user.ts";
import { random } from "../fixtures/rows.ts";

const withMarkedUser = flowTemplate(plantMarkedUser);
/** `deno task test:long` sets PARLEY_TEST_KILLS for more. */
const KILLS = Number(Deno.env.get("PARLEY_TEST_KILLS") ?? 3);

function stores({ services }: Flow): ErasingStores {
  return { ...services, cache: new MemoryCache({ max_bytes: 1_000_000 }) };
}

/** The same object, of which each call goes through `call`; also of what it gives. */
function watched<T extends object>(target: T, call: () => void): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name, object);
      if (typeof value === "object" && value !== null && name === "tombstones") return watched(value, call);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        call();
        const result = value.apply(object, args);
        return name === "forModel" ? result.then((store: object) => watched(store, call)) : result;
      };
    },
  });
}

/** How the process dies: nothing that it calls is done any more. */
class Died extends Error {}

function dyingAt(all: ErasingStores, calls: number): { stores: ErasingStores; isDead: () => boolean } {
  let left = calls;
  const call = () => {
    if (left-- <= 0) throw new Died();
  };
  const { documents, analytics, graph, vectors, cache } = all;
  return {
    stores: {
      documents: watched(documents, call),
      analytics: watched(analytics, call),
      graph: watched(graph, call),
      vectors: watched(vectors, call),
      cache: watched(cache, call),
    },
    isDead: () => left < 0,
  };
}

async function rowsOf(flow: Flow): Promise<string[]> {
  const { services, runs } = flow;
  const found = await Array.fromAsync(readUser({ stores: { ...services, runs }, user_id: MARKED }));
  return found.filter(({ kind }) => kind !== "preferences").map(({ store, kind }) => `${store} ${kind}`);
}

Deno.test("an erasure that dies at any of its calls is completed by the run, if it had begun", async () => {
  let completed = 0;
  for (let calls = 0; completed === 0; calls += 1) {
    await withMarkedUser(async (flow) => {
      const { stores: dying, isDead } = dyingAt(stores(flow), calls);
      const options = { clock: systemClock, user_ids: [MARKED], log: () => {} };
      await eraseUsers({ stores: dying, ...options }).then(() => completed++, () => {});
      if (!isDead()) return;
      completed = 0;
      const pending = await flow.services.analytics.pendingErasures({ after: null, limit: 9 });
      // Before that the caller has no answer, and nothing has changed.
      if (pending.length === 0) {
        assert.ok(calls <= 1);
        return;
      }
      // Each second one takes the long way to the end; the others show that no more than rows are missing.
      if (calls % 5 !== 0) return;
      const { outcome, snapshot } = await runDag(flow, "erase", {});
      assert.equal(outcome, "success", snapshot.run.error ?? "");
      assert.deepEqual(await rowsOf(flow), [], `after ${calls} calls`);
      for (const { tombstones } of [flow.services.documents, flow.services.graph, flow.services.analytics]) {
        assert.equal((await tombstones.page({ after: null, limit: 9 })).length, 1);
      }
    });
  }
});

Deno.test("a store that fails keeps no row of the user in the others, and the erasure is pending", () =>
  withMarkedUser(async (flow) => {
    const down = () => Promise.reject(new ParleyError("unavailable", "documents are down"));
    const all = stores(flow);
    const documents = new Proxy(all.documents, {
      get: (object, name) => name === "deleteUsers" ? down : Reflect.get(object, name, object),
    });
    const options = { clock: systemClock, user_ids: [MARKED], log: () => {} };
    await assert.rejects(eraseUsers({ stores: { ...all, documents }, ...options }), { code: "unavailable" });
    const left = (await rowsOf(flow)).filter((row) => /^(analytics|graph|vectors)/.test(row));
    assert.deepEqual(left, []);
    assert.equal((await all.analytics.pendingErasures({ after: null, limit: 9 })).length, 1);
    await eraseUsers({ stores: all, ...options });
    assert.deepEqual((await rowsOf(flow)).filter((row) => row.startsWith("documents")), []);
  }));

Deno.test(`up to ${KILLS} kills while a run completes an erasure leave no byte of the user in the end`, () =>
  withMarkedUser(async (flow) => {
    const next = random(20261130);
    const traces = await tracesToSearch(flow);
    const options = { clock: systemClock, user_ids: [MARKED], log: () => {} };
    await eraseUsers({ stores: stores(flow), ...options });
    const killed = await disturbedRun(flow, {
      dag_id: "erase",
      kills: KILLS,
      next,
    });
    assert.ok(killed > 0, "no process lived long enough to be killed");
    const left = countTraces(flow.config.data, traces);
    assert.equal(Object.values(left).reduce((sum, count) => sum + count, 0), 0, JSON.stringify(left));
    assert.deepEqual(await flow.services.analytics.pendingErasures({ after: null, limit: 9 }), []);
  }));
