import { paged } from "../core/batches.ts";
import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Abortable } from "../core/types.ts";
import type { TombstoneStore } from "../stores/tombstones/port.ts";
import { eraseUsers } from "./erase_users.ts";
import { type ErasingStores, type TombstonedStore, tombstonedStores, type UserStores } from "./stores.ts";
import { UserHasher } from "./user_hasher.ts";

interface ReadOptions<Stores> extends Abortable {
  readonly stores: Stores;
  /** Gets a line about what cannot be read. */
  readonly log: (line: string) => void;
  /** More tombstones that every store must have. Default none. */
  readonly known?: Iterable<string>;
}

/** Which stores lack tombstones that others have. */
interface LackingTombstones {
  readonly lacking: readonly { readonly store: TombstonedStore; readonly missing: ReadonlySet<string> }[];
  /** Tombstones that were made with another secret than that of this analytics store, and cannot be applied. */
  readonly foreign: number;
}

/** Tombstones that are read at a time. */
const PAGE = 5_000;

/** Compares the tombstones of all stores that respond: a small query for each, if there are few. */
export async function findLacking(
  { stores, log, known = [], signal }: ReadOptions<UserStores>,
): Promise<LackingTombstones> {
  const sets = new Map<TombstonedStore, ReadonlySet<string>>();
  for (const store of await tombstonedStores(stores, { log, signal })) {
    try {
      sets.set(store, new Set(await readTombstones(store.tombstones, { signal })));
    } catch (error) {
      if (!(error instanceof ParleyError) || signal?.aborted) throw error;
      log(`${store.name}: ${error.message}`);
    }
  }
  const union = new Set([...known, ...[...sets.values()].flatMap((set) => [...set])]);
  if (union.size === 0) return { lacking: [], foreign: 0 };
  const hasher = await UserHasher.open({ analytics: stores.analytics, signal });
  const own = new Set([...union].filter((hash) => hasher.owns(hash)));
  const lacking = [...sets].flatMap(([store, set]) => {
    const missing = own.difference(set);
    return missing.size === 0 ? [] : [{ store, missing }];
  });
  return { lacking, foreign: union.size - own.size };
}

/**
 * Makes every store have the tombstones of all: a store that was restored from a backup lacks those of later erasures, and has
 * rows of those users again. They are erased again, and their erasure is pending. A store that lacks none is not read.
 */
export async function applyTombstones(
  { clock, ...options }: ReadOptions<ErasingStores> & { readonly clock: Clock },
): Promise<{ readonly users: number; readonly lacking: readonly string[]; readonly foreign: number }> {
  const { stores, signal } = options;
  const { lacking, foreign } = await findLacking(options);
  const found = new Set<string>();
  for (const { store, missing } of lacking) {
    for (const user_id of await usersAmong(store, missing, stores, { signal })) found.add(user_id);
  }
  if (found.size > 0) await eraseUsers({ ...options, clock, user_ids: [...found] });
  // Only now: a store with a tombstone has no rows of that user.
  for (const { store, missing } of lacking) await store.tombstones.add({ hashes: [...missing], signal });
  return { users: found.size, lacking: lacking.map(({ store }) => store.name), foreign };
}

/** The users with rows in a store whose hash is one of these. */
async function usersAmong(
  store: TombstonedStore,
  hashes: ReadonlySet<string>,
  { analytics }: UserStores,
  { signal }: Abortable,
): Promise<string[]> {
  const hasher = await UserHasher.open({ analytics, signal });
  const isErased = new Map<string, boolean>();
  for await (const user_id of store.users({ signal })) {
    if (!isErased.has(user_id)) isErased.set(user_id, hashes.has(hasher.hash(user_id)));
  }
  return [...isErased].flatMap(([user_id, erased]) => erased ? [user_id] : []);
}

export async function readTombstones(tombstones: TombstoneStore, options: Abortable = {}): Promise<string[]> {
  const page = (after: string | null, limit: number) => tombstones.page({ after, limit, ...options });
  return await Array.fromAsync(paged(PAGE, (hash) => hash, page));
}
