import assert from "node:assert/strict";
import { MemoryCache } from "../../../lib/stores/cache/memory/memory_cache.ts";
import { cacheContract } from "../../contracts/cache.ts";

cacheContract("MemoryCache", () => {
  const store = new MemoryCache({ max_bytes: 1_000_000 });
  return Promise.resolve({ store, close: () => store.close() });
});

Deno.test("MemoryCache holds at most max_bytes and drops the least recently used first", async () => {
  const store = new MemoryCache({ max_bytes: 100_000 });
  const value = "x".repeat(10_000);
  for (const key of ["a", "b", "c", "d"]) await store.set({ key, value, ttl_ms: 60_000 });
  assert.equal(await store.get({ key: "a" }), value);
  await store.set({ key: "e", value, ttl_ms: 60_000 });
  const kept = await Promise.all(["a", "b", "c", "d", "e"].map((key) => store.get({ key })));
  assert.deepEqual(kept.map((found) => found !== null), [true, false, true, true, true]);
});

Deno.test("MemoryCache drops what stood under the key of an entry larger than itself", async () => {
  const store = new MemoryCache({ max_bytes: 1_000 });
  await store.set({ key: "a", value: "1", ttl_ms: 60_000 });
  await store.set({ key: "a", value: "x".repeat(1_000), ttl_ms: 60_000 });
  assert.equal(await store.get({ key: "a" }), null);
});
