import { batches, paged } from "../../../lib/core/batches.ts";
import { sha256 } from "../../../lib/core/hash.ts";
import type { Abortable } from "../../../lib/core/types.ts";
import type { AnalyticsStore } from "../../../lib/stores/analytics/port.ts";

/** A user whose choices weights are learnt from, or compared on. */
export interface SampledUser {
  readonly user_id: string;
  readonly is_held_out: boolean;
}

/** Data are built again without the users of a part: a fifth of all at most, so that the data are much like those of answers. */
const MAX_PARTS = 5;
/** Users of a part. */
const MAX_USERS = 3_000;
/** Users read at a time. */
const PAGE = 1_000;

/**
 * Users with events in up to {@link MAX_PARTS} parts, drawn by a hash of their id: the same each night, each on the same side, so that weights
 * of earlier nights have not seen those who are held out either. Of few users all are in a part; of many a part has {@link MAX_USERS}.
 * Those who opted out of personalisation are left out.
 */
export async function sampleUsers(
  analytics: Pick<AnalyticsStore, "users" | "optedOut">,
  { signal }: Abortable,
): Promise<SampledUser[][]> {
  const drawn: { readonly user_id: string; readonly hash: string }[] = [];
  let count = 0;
  const byHash = () => drawn.sort((a, b) => a.hash < b.hash ? -1 : 1);
  const page = (after: string | null, limit: number) => analytics.users({ after, limit, signal });
  for await (const user_ids of batches(paged(PAGE, (user_id) => user_id, page), PAGE)) {
    const optedOut = new Set(await analytics.optedOut({ user_ids, signal }));
    const wanting = user_ids.filter((user_id) => !optedOut.has(user_id));
    count += wanting.length;
    drawn.push(...wanting.map((user_id) => ({ user_id, hash: sha256(`parley.learn.v1 ${user_id}`) })));
    if (drawn.length > 2 * MAX_PARTS * MAX_USERS) byHash().splice(MAX_PARTS * MAX_USERS);
  }
  const size = Math.min(MAX_USERS, Math.ceil(count / MAX_PARTS));
  const users = byHash().map(({ user_id, hash }) => ({
    user_id,
    is_held_out: Number.parseInt(hash.at(-1)!, 16) % 2 === 1,
  }));
  return Array.from({ length: MAX_PARTS }, (_, part) => users.slice(part * size, (part + 1) * size))
    .filter(({ length }) => length > 0);
}
