import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import { Recommender } from "../../../lib/recommend/recommender.ts";
import { MemoryCache } from "../../../lib/stores/cache/memory/memory_cache.ts";
import { assertOneComputes, claimsLapse } from "../../fixtures/stampede.ts";
import { event } from "./samples.ts";
import { ANSWER_MS, fails, faulty, hangs, NOW, openWorld, SOON, type World } from "./world.ts";

/** No campaign of the answer ends soon. */
const QUESTION = { user_id: "ann", k: 1 };

/** Two recommenders on one cache; the other one has an answer under way that takes long, and holds the lock for it. */
async function withStuck(
  first: "answered" | "unanswered",
  body: (recommender: Recommender, world: World) => Promise<void>,
): Promise<void> {
  const world = await openWorld();
  const clock = new ManualClock(NOW);
  const recommender = new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS });
  try {
    if (first === "answered") {
      await recommender.serve(QUESTION);
      await claimsLapse();
      clock.advance(60_000);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const stuck = Promise.withResolvers<never>();
    const analytics = new Proxy(world.stores.analytics, {
      get: (target, name) => {
        if (name === "finalEngagement") return () => (resolve(), stuck.promise);
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const stores = { ...world.stores, analytics };
    const pending = new Recommender({ stores, clock, answer_ms: ANSWER_MS }).serve(QUESTION);
    await promise;
    await body(recommender, world);
    stuck.reject(new Error("the socket was closed"));
    await pending;
  } finally {
    await world.close();
  }
}

Deno.test("AnswerCache lets one of two processes compute what 200 ask at once", async () => {
  const cache = new MemoryCache({ max_bytes: 1_000_000 });
  await assertOneComputes([cache, cache]);
  await cache.close();
});

Deno.test("AnswerCache serves the stale answer while another process makes a new one", () =>
  withStuck("answered", async (recommender) => {
    const { cache, body } = await recommender.serve(QUESTION);
    assert.equal(cache, "stale");
    assert.equal(JSON.parse(body).generated_at, "2025-03-10T00:00:00.000Z");
  }));

Deno.test("AnswerCache waits a little if nothing stale is there, and then computes", () =>
  withStuck("unanswered", async (recommender) => {
    const { cache, body } = await recommender.serve(QUESTION);
    assert.equal(cache, "miss");
    assert.deepEqual(JSON.parse(body).degraded, []);
  }));

Deno.test("AnswerCache never serves an answer from before a write for the user", () =>
  withStuck("answered", async (recommender, world) => {
    await world.add([event("ann", "dismissal", "g1")]);
    const { cache, body } = await recommender.serve(QUESTION);
    assert.equal(cache, "miss");
    const items: { campaign_id: string }[] = JSON.parse(body).items;
    assert.ok(items.every(({ campaign_id }) => campaign_id !== "g1"));
  }));

Deno.test("AnswerCache never serves an answer of another version", () =>
  withStuck("answered", async (recommender, world) => {
    await world.publish(2);
    const { body } = await recommender.serve(QUESTION);
    assert.equal(JSON.parse(body).version, 2);
  }));

Deno.test("AnswerCache serves no whole answer half a minute after it was fresh, and no degraded one even then", async () => {
  const world = await openWorld();
  const clock = new ManualClock(NOW);
  for (
    const [how, graph, served] of [
      ["whole", world.stores.graph, ["hit", "stale", "miss"]],
      ["degraded", faulty(world.stores.graph, fails), ["hit", "miss", "miss"]],
    ] as const
  ) {
    const user_id = `of a ${how} answer`;
    const taken = { ...world.stores, graph };
    const first = new Recommender({ stores: taken, clock, random: () => 0, answer_ms: ANSWER_MS });
    const fresh_ms = how === "whole" ? 60_000 : 1_000;
    for (const [i, age_ms] of [fresh_ms - 1, fresh_ms + 29_999, fresh_ms + 30_000].entries()) {
      const question = { user_id: `${user_id} ${i}`, k: 1 };
      await first.serve(question);
      clock.advance(age_ms);
      // The other process holds the lock, so that this one serves what is stale if it may.
      const cache = { ...bound(world.stores.cache), tryLock: () => Promise.resolve(false) };
      const { cache: how } = await new Recommender({
        stores: { ...taken, cache },
        clock,
        answer_ms: ANSWER_MS,
      })
        .serve(question);
      assert.equal(how, served[i], `${user_id} after ${age_ms} ms`);
    }
  }
  await world.close();
});

Deno.test("AnswerCache holds no answer beyond its first campaign's end, however it may be served", async () => {
  const world = await openWorld();
  const entries: string[] = [];
  const cache = {
    get: (options: { key: string }) => world.stores.cache.get(options),
    tryLock: (options: { key: string; ttl_ms: number }) => world.stores.cache.tryLock(options),
    set: (options: { key: string; value: string; ttl_ms: number }) => {
      const [, , fresh_until] = options.value.split(" ");
      entries.push(`${fresh_until} ${NOW + options.ttl_ms}`);
      return Promise.resolve();
    },
  };
  const stores = { ...world.stores, cache };
  const recommender = new Recommender({
    stores,
    clock: new ManualClock(NOW),
    random: () => 0,
    answer_ms: ANSWER_MS,
  });
  await recommender.serve({ user_id: "ann", k: 9 });
  assert.deepEqual(entries, [`${Date.parse(SOON)} ${Date.parse(SOON)}`]);
  await world.close();
});

function bound(cache: MemoryCache) {
  return {
    get: (options: { key: string }) => cache.get(options),
    set: (options: { key: string; value: string; ttl_ms: number }) => cache.set(options),
  };
}

for (const [how, fault] of [["fails", fails], ["hangs", hangs]] as const) {
  Deno.test(`AnswerCache computes if the cache ${how} at a lock`, async () => {
    const world = await openWorld();
    const { cache } = world.stores;
    const faulty = {
      get: (options: { key: string }) => cache.get(options),
      set: (options: { key: string; value: string; ttl_ms: number }) => cache.set(options),
      tryLock: fault,
    };
    const stores = { ...world.stores, cache: faulty };
    const served = await new Recommender({ stores, clock: new ManualClock(NOW), answer_ms: ANSWER_MS }).serve(
      QUESTION,
    );
    assert.deepEqual(JSON.parse(served.body).degraded, []);
    assert.deepEqual([...served.failures.keys()], ["cache"]);
    await world.close();
  });
}
