import { counted } from "../../../lib/core/text.ts";
import { eraseRows } from "../../../lib/privacy/erase_users.ts";
import type { StepContext } from "../../step.ts";
import { forEachModel } from "../vector_store.ts";
import { rebuildVersion } from "./rebuild.ts";
import { type EraseOutput, pendingUsers } from "./rows.ts";

/** Takes copies of deleted rows out of the pages of embedded stores. */
export async function compactStores({ services, log, signal }: StepContext): Promise<void> {
  const { documents, graph, runs, analytics, vectors } = services;
  for (const store of [documents, graph, runs]) await store.compact({ signal });
  const published = (await analytics.published({ signal }))?.model;
  await forEachModel({ vectors, published, log, signal }, (store) => store.compact({ signal }));
}

async function someHaveWords(
  { services: { analytics }, signal }: StepContext,
  user_ids: readonly string[],
): Promise<boolean> {
  for (const user_id of user_ids) {
    if (await analytics.profileWords({ user_id, signal }) !== null) return true;
    if ((await analytics.conversationWords({ user_id, after: null, limit: 1, signal })).length > 0) {
      return true;
    }
  }
  return false;
}

/** Ends the erasures. That takes out the last record of the ids; the tombstones stay. */
export async function endErasures(
  context: StepContext,
  output: EraseOutput,
): Promise<{ users: number }> {
  const { services, log, signal } = context;
  const { analytics } = services;
  const user_ids = await pendingUsers(context, output);
  // Once more: a process that died may have written a row before it noticed the erasure, and the version may have it.
  const haveWords = await someHaveWords(context, user_ids);
  await eraseRows({ stores: services, user_ids, log, signal });
  if (haveWords) {
    await rebuildVersion(context);
    await compactStores(context);
  }
  await analytics.endErasures({ user_ids, until: output.until, signal });
  await analytics.compact({ signal });
  log(`${counted(user_ids.length, "user")} erased`);
  return { users: user_ids.length };
}
