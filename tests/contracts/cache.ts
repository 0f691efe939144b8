import assert from "node:assert/strict";
import { healthy } from "./health.ts";
import type { Cache } from "../../lib/stores/cache/port.ts";
import { CACHE_CALLS } from "./calls.ts";
import { cancellationContract, type Opened } from "./cancellation.ts";

const MINUTE = 60_000;

/** What every cache does. `open` gives an empty one each time; so does `behindProxy`, for one that is on a server. */
export function cacheContract(
  name: string,
  open: () => Promise<{ store: Cache; close(): Promise<void> }>,
  behindProxy: () => Promise<Opened<Cache>> = async () => ({ ...await open(), hang: null }),
): void {
  cancellationContract(name, { open: behindProxy, calls: CACHE_CALLS, first: "get" });

  const test = (what: string, body: (store: Cache) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      const { store, close } = await open();
      try {
        await body(store);
      } finally {
        await close();
      }
    });

  test("get() of an unknown key is null", async (store) => {
    assert.equal(await store.get({ key: "nothing" }), null);
  });

  test("get() returns the value that was set, whatever the characters", async (store) => {
    for (const [key, value] of [["a", "1"], ["é \n:*", '{"x":"\u{1F600}"}'], ["empty", ""]] as const) {
      await store.set({ key, value, ttl_ms: MINUTE });
      assert.equal(await store.get({ key }), value);
    }
  });

  test("set() replaces value and time to live", async (store) => {
    await store.set({ key: "a", value: "1", ttl_ms: 30 });
    await store.set({ key: "a", value: "2", ttl_ms: MINUTE });
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(await store.get({ key: "a" }), "2");
  });

  test("get() after the time to live is null", async (store) => {
    await store.set({ key: "short", value: "1", ttl_ms: 30 });
    await store.set({ key: "long", value: "2", ttl_ms: MINUTE });
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(await store.get({ key: "short" }), null);
    assert.equal(await store.get({ key: "long" }), "2");
  });

  test("set() with a time to live of 0 removes the entry", async (store) => {
    await store.set({ key: "a", value: "1", ttl_ms: MINUTE });
    await store.set({ key: "a", value: "2", ttl_ms: 0 });
    assert.equal(await store.get({ key: "a" }), null);
  });

  test("tryLock() is true for one of many calls at the same time", async (store) => {
    const locks = await Promise.all(
      Array.from({ length: 50 }, () => store.tryLock({ key: "a", ttl_ms: MINUTE })),
    );
    assert.equal(locks.filter(Boolean).length, 1);
    assert.equal(await store.tryLock({ key: "b", ttl_ms: MINUTE }), true);
  });

  test("tryLock() is true again after the time to live", async (store) => {
    assert.equal(await store.tryLock({ key: "a", ttl_ms: 30.5 }), true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(await store.tryLock({ key: "a", ttl_ms: MINUTE }), true);
    assert.equal(await store.tryLock({ key: "a", ttl_ms: MINUTE }), false);
  });

  test("health() names the adapter", async (store) => {
    healthy(await store.health());
  });
}
