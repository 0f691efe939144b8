import { paged } from "../core/batches.ts";
import type { Clock } from "../core/clock.ts";
import type { Abortable } from "../core/types.ts";
import type { TombstoneStore } from "../stores/tombstones/port.ts";
import { eraseUsers } from "./erase_users.ts";
import { type ErasingStores, tombstonedStores } from "./stores.ts";
import { UserHasher } from "./user_hasher.ts";

/** What came of it. */
interface AppliedTombstones {
  /** Users who had rows in a store that lacked their tombstone. They are erased again. */
  readonly users: number;
  /** Stores that lacked tombstones, by name. */
  readonly lacking: readonly string[];
  /** Tombstones that were made with another secret than that of this analytics store, and cannot be applied. */
  readonly foreign: number;
}

/** Tombstones that are read at a time. */
const PAGE = 5_000;

/**
 * Makes every store have the tombstones of all: a store that was restored from a backup lacks those of later erasures, and has
 * rows of those users again. If none lacks any, this costs a small query for each store.
 */
export async function applyTombstones(
  { stores, clock, log, signal }:
    & { stores: ErasingStores; clock: Clock; log: (line: string) => void }
    & Abortable,
): Promise<AppliedTombstones> {
  const all = await tombstonedStores(stores, { log, signal });
  const sets: ReadonlySet<string>[] = [];
  for (const { tombstones } of all) sets.push(new Set(await readTombstones(tombstones, { signal })));
  const union = new Set(sets.flatMap((set) => [...set]));
  if (union.size === 0) return { users: 0, lacking: [], foreign: 0 };
  const hasher = await UserHasher.open({ analytics: stores.analytics, signal });
  const own = new Set([...union].filter((hash) => hasher.owns(hash)));
  const lacking = all.flatMap((store, at) => {
    const missing = own.difference(sets[at]!);
    return missing.size === 0 ? [] : [{ store, missing }];
  });
  const found = new Set<string>();
  for (const { store, missing } of lacking) {
    const isErased = new Map<string, boolean>();
    for await (const user_id of store.users({ signal })) {
      if (isErased.has(user_id)) continue;
      const erased = missing.has(hasher.hash(user_id));
      isErased.set(user_id, erased);
      if (erased) found.add(user_id);
    }
  }
  if (found.size > 0) await eraseUsers({ stores, clock, user_ids: [...found], log, signal });
  // Only now: a store with a tombstone has no rows of that user.
  for (const { store, missing } of lacking) await store.tombstones.add({ hashes: [...missing], signal });
  return {
    users: found.size,
    lacking: lacking.map(({ store }) => store.name),
    foreign: union.size - own.size,
  };
}

export async function readTombstones(tombstones: TombstoneStore, options: Abortable = {}): Promise<string[]> {
  const page = (after: string | null, limit: number) => tombstones.page({ after, limit, ...options });
  return await Array.fromAsync(paged(PAGE, (hash) => hash, page));
}
