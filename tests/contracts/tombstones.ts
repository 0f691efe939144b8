import assert from "node:assert/strict";
import type { TombstoneStore } from "../../lib/stores/tombstones/port.ts";

/** What the tombstones of every store do. `openAnother` opens another handle on the same store. */
export async function checkTombstones(
  tombstones: TombstoneStore,
  openAnother: () => Promise<TombstoneStore> = () => Promise.resolve(tombstones),
): Promise<void> {
  const all = Array.from({ length: 1_203 }, (_, n) => `k1.${String(n * 7919 % 1_203).padStart(8, "0")}`);
  assert.deepEqual(await tombstones.page({ after: null, limit: 5 }), []);
  assert.deepEqual(await tombstones.among({ hashes: all.slice(0, 3) }), []);
  for (const _ of [1, 2]) await tombstones.add({ hashes: all });
  await tombstones.add({ hashes: [] });
  const other = await openAnother();
  const sorted = [...all].sort();
  assert.deepEqual(await other.page({ after: null, limit: 2 }), sorted.slice(0, 2));
  assert.deepEqual(await other.page({ after: sorted[600]!, limit: 1_000 }), sorted.slice(601));
  assert.deepEqual(await other.among({ hashes: ["k1.none", sorted[9]!, sorted[4]!] }), [
    sorted[4],
    sorted[9],
  ]);
  assert.equal((await other.among({ hashes: all })).length, all.length);
  await other.remove({ hashes: [sorted[0]!, "k1.none"] });
  assert.deepEqual(await tombstones.among({ hashes: sorted.slice(0, 2) }), [sorted[1]]);
  await tombstones.remove({ hashes: all });
  assert.deepEqual(await tombstones.page({ after: null, limit: 5 }), []);
}
