import { ParleyError } from "../core/errors.ts";
import type { Abortable } from "../core/types.ts";
import { pendingErasures } from "./erase_users.ts";
import { tombstonedStores, type UserStores } from "./stores.ts";
import { UserHasher } from "./user_hasher.ts";

/**
 * Lifts the tombstones of a user who comes back: rows are taken again from then on. Returns whether the user was erased. Throws
 * `conflict` while the erasure is pending, since the job would remove the new rows.
 */
export async function allowUser(
  { stores, user_id, log, signal }:
    & { stores: UserStores; user_id: string; log: (line: string) => void }
    & Abortable,
): Promise<boolean> {
  const pending = await pendingErasures(stores.analytics, { signal });
  if (pending.some((erasure) => erasure.user_id === user_id)) {
    throw new ParleyError("conflict", "the erasure of this user is not complete yet");
  }
  const hasher = await UserHasher.open({ analytics: stores.analytics, signal });
  const hashes = [hasher.hash(user_id)];
  let erased = false;
  // Analytics is the last: writes are refused by its tombstones, and a store that keeps one gives it to all others again.
  for (const { tombstones } of await tombstonedStores(stores, { log, signal })) {
    if ((await tombstones.among({ hashes, signal })).length === 0) continue;
    erased = true;
    await tombstones.remove({ hashes, signal });
  }
  return erased;
}
