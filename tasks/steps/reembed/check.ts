import { ParleyError } from "../../../lib/core/errors.ts";
import { parseModelKey } from "../../../lib/core/types.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import type { StepContext } from "../../step.ts";
import { check, type CheckOutput } from "../check.ts";
import { vectorSet } from "../vector_store.ts";
import { speakers } from "./corpus.ts";

/** Users whose neighbours are compared, and how many neighbours each. */
const USERS = 100;
const K = 10;

/** A store with the version in it that is asked. */
interface Built {
  readonly store: VectorStore;
  readonly version: number;
}

/** Of the nearest 10, the share (0..1) that old and new vectors have in common, averaged over `users`. */
type Overlap = { readonly users: number; readonly profiles: number; readonly campaigns: number };

/**
 * Holds the new vectors against documents and analytics: counts and norms gate. How many neighbours stay is reported
 * and gates nothing, since another model is taken for other neighbours.
 */
export async function checkNewModel(
  context: StepContext,
  store: VectorStore,
  version: number,
): Promise<CheckOutput & { overlap: Overlap | null }> {
  const overlap = await overlapWithPublished(context, { store, version });
  if (overlap !== null) report(context, store, overlap);
  return { ...await check(context, store), overlap };
}

async function overlapWithPublished(context: StepContext, built: Built): Promise<Overlap | null> {
  const { services: { analytics, vectors }, signal } = context;
  const published = await analytics.published({ signal });
  if (published === null) return null;
  const store = await vectors.forModel({ model: parseModelKey(published.model), signal });
  try {
    return await overlapOf(context, { store, version: published.version }, built);
  } catch (error) {
    if (!(error instanceof ParleyError) || !["not_found", "unavailable"].includes(error.code)) throw error;
    context.log(`neighbours could not be compared with those that are published: ${error.message}`);
    return null;
  }
}

async function overlapOf(context: StepContext, old: Built, built: Built): Promise<Overlap> {
  const sum = { users: 0, profiles: 0, campaigns: 0 };
  for await (const user_id of speakers(context)) {
    const [before, after] = [await nearest(context, old, user_id), await nearest(context, built, user_id)];
    if (before === null || after === null) continue;
    sum.users++;
    for (const what of ["profiles", "campaigns"] as const) sum[what] += common(before[what], after[what]);
    if (sum.users === USERS) break;
  }
  const users = Math.max(1, sum.users);
  return { users: sum.users, profiles: sum.profiles / users, campaigns: sum.campaigns / users };
}

/** Ids of who and what is nearest to a user; null for one without a profile. */
async function nearest(
  { signal }: StepContext,
  { store, version }: Built,
  user_id: string,
): Promise<Record<"profiles" | "campaigns", string[]> | null> {
  const vector = (await store.get({ collection: "profiles", ids: [user_id], signal })).get(user_id);
  if (vector === undefined) return null;
  const ids = async (collection: "profiles" | "campaigns") =>
    (await store.search({ collection, version, vector, k: K, exclude: [user_id], signal })).map(({ id }) =>
      id
    );
  return { profiles: await ids("profiles"), campaigns: await ids("campaigns") };
}

/** The share of two lists that both have; 1 if both are empty. */
function common(before: readonly string[], after: readonly string[]): number {
  const longest = Math.max(before.length, after.length);
  return longest === 0 ? 1 : before.filter((id) => after.includes(id)).length / longest;
}

function report(context: StepContext, store: VectorStore, { users, ...shares }: Overlap): void {
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  context.log(
    `of the ${K} nearest to each of ${users} users, ${percent(shares.profiles)} of the users and ` +
      `${percent(shares.campaigns)} of the campaigns are the same as before`,
  );
  for (const what of ["profiles", "campaigns"] as const) {
    context.reads({ ...vectorSet(context, store, what), quality: { [`overlap_at_${K}`]: shares[what] } });
  }
}
