import { ParleyError } from "../core/errors.ts";
import type { Abortable } from "../core/types.ts";
import { ErasedUsers } from "./erased_users.ts";
import type { UserStores } from "./stores.ts";

/** What a user wishes. */
export interface Preferences {
  /** Whether answers are made from what the user said and did, and count it for others. */
  readonly personalisation: boolean;
}

/**
 * Sets a user's preferences. Without personalisation the user gets popular answers from then on, and what was derived from the
 * user's rows is removed, so that it counts for no other user; the rows themselves stay. Repeating a call completes one that
 * was interrupted. Throws `conflict` if the user is erased.
 */
export async function setPreferences(
  { stores, user_id, preferences: { personalisation }, log, signal }:
    & { stores: UserStores; user_id: string; preferences: Preferences; log: (line: string) => void }
    & Abortable,
): Promise<void> {
  const { analytics, graph, vectors } = stores;
  const user_ids = [user_id];
  const erased = await new ErasedUsers(analytics).among(user_ids, { signal });
  if (erased.size > 0) throw new ParleyError("conflict", "this user is erased, and has no preferences");
  // It also marks the user as dirty: a derivation that is in progress is repeated, and derives nothing.
  await analytics.setPersonalisation({ user_id, personalisation, signal });
  if (personalisation) return;
  await graph.deleteUsers({ user_ids, signal });
  await analytics.setWords({ user_ids, profiles: [], conversations: [], signal });
  for (const model of await vectors.models({ log, signal })) {
    const store = await vectors.forModel({ model, signal });
    for (const collection of ["profiles", "conversations"] as const) {
      await store.deleteExcept({ collection, user_ids, ids: [], signal });
    }
  }
  // Answers to others may count what was removed.
  await analytics.raiseEpochs({ user_ids, campaign_ids: [], all: true, signal });
}
