import { paged } from "../core/batches.ts";
import { type Clock, iso } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { Abortable } from "../core/types.ts";
import { markCatalogueChanged, markErased } from "../recommend/answer_cache.ts";
import type { DocumentStore, QuarantinePosition } from "../stores/documents/port.ts";
import type { AnalyticsStore, PendingErasure } from "../stores/analytics/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";
import { type ErasingStores, tombstonedStores, type UserStores } from "./stores.ts";
import { UserHasher } from "./user_hasher.ts";
import { UserText } from "./user_text.ts";

/** How many rows were removed, by store. Repeating an erasure counts rows that were missed or written meanwhile. */
export interface ErasedRows {
  readonly messages: number;
  readonly quarantined: number;
  readonly events: number;
  readonly vectors: number;
  readonly edges: number;
}

interface EraseOptions extends Abortable {
  readonly stores: UserStores;
  readonly user_ids: readonly string[];
  /** Gets a line about a model whose vectors cannot be read. */
  readonly log: (line: string) => void;
}

/**
 * Erases users: from then on no store, and no answer, has anything of them, and later writes of their rows are refused. The
 * erasure is pending until {@link endErasure}, since copies in artifacts, records of runs and free pages are removed by a job.
 *
 * Each step may be repeated, and the first keeps what the others need: an erasure that ends early, because a store does not
 * respond or the process dies, is completed by the job.
 */
export async function eraseUsers(
  { stores, clock, ...options }: EraseOptions & { stores: ErasingStores; clock: Clock },
): Promise<ErasedRows> {
  const { analytics, cache } = stores;
  const { user_ids, log, signal } = options;
  const hasher = await UserHasher.open({ analytics, signal });
  const at = iso(clock.now());
  await analytics.addPendingErasures({ users: user_ids.map((user_id) => ({ user_id, at })), signal });
  // Before any row is removed, so that none is written after it.
  await analytics.tombstones.add({ hashes: user_ids.map((user_id) => hasher.hash(user_id)), signal });
  const erased = await eraseRows({ stores, ...options });
  const { catalogue } = await analytics.epochs({ user_id: "", signal });
  // For the time when analytics does not respond. A cache that is down serves nothing, either.
  await Promise.all([markErased({ cache, user_ids }), markCatalogueChanged({ cache, epoch: catalogue })])
    .catch((error) => log(messageOf(error)));
  return erased;
}

/**
 * Removes the rows of users whose erasure has begun, and adds their tombstones to every store. A store that fails does not keep the
 * rows in the others; its error is thrown at the end.
 */
export async function eraseRows({ stores, user_ids, log, signal }: EraseOptions): Promise<ErasedRows> {
  const { documents, analytics, graph, vectors } = stores;
  const hasher = await UserHasher.open({ analytics, signal });
  const hashes = user_ids.map((user_id) => hasher.hash(user_id));
  const users = { user_ids, signal };
  const errors: unknown[] = [];
  const rowsOf = (deleted: Promise<number>) => deleted.catch((error) => (errors.push(error), 0));
  const messages = await rowsOf(documents.deleteUsers(users));
  const quarantined = await rowsOf(eraseQuarantined(documents, users));
  const edges = await rowsOf(graph.deleteUsers(users));
  const rows = await rowsOf(eraseVectors(vectors, { ...users, log }));
  // Last, since it raises the epoch by which answers from before are no longer served.
  const events = await rowsOf(analytics.deleteUsers(users));
  if (errors.length > 0) throw errors[0];
  for (const { tombstones } of await tombstonedStores(stores, { log, signal })) {
    await tombstones.add({ hashes, signal });
  }
  return { messages, quarantined, events, vectors: rows, edges };
}

async function eraseVectors(
  vectors: VectorStores,
  { log, ...users }: { user_ids: readonly string[]; log: (line: string) => void } & Abortable,
): Promise<number> {
  let rows = 0;
  for (const model of await vectors.models({ log, signal: users.signal })) {
    rows += await (await vectors.forModel({ model, signal: users.signal })).deleteUsers(users);
  }
  return rows;
}

/** Removes refused rows that name these users. */
async function eraseQuarantined(
  documents: Pick<DocumentStore, "quarantinePages" | "deleteQuarantined">,
  { user_ids, signal }: { user_ids: readonly string[] } & Abortable,
): Promise<number> {
  const text = new UserText(user_ids);
  const found: QuarantinePosition[] = [];
  for await (const { rows } of documents.quarantinePages({ after: null, signal })) {
    for (const { raw, ...position } of rows) if (text.isIn(raw)) found.push(position);
  }
  return found.length === 0 ? 0 : await documents.deleteQuarantined({ rows: found, signal });
}

/** Rows that are read at a time. */
const PAGE = 500;

/** The erasures whose copies are not removed yet, that began no later than this ISO time. */
export async function pendingErasures(
  analytics: Pick<AnalyticsStore, "pendingErasures">,
  { until, signal }: { until?: string } & Abortable = {},
): Promise<PendingErasure[]> {
  const page = (after: string | null, limit: number) => analytics.pendingErasures({ after, limit, signal });
  const pending = await Array.fromAsync(paged(PAGE, ({ user_id }) => user_id, page));
  return until === undefined ? pending : pending.filter(({ at }) => at <= until);
}
