import { createHash } from "../../deps.ts";
import { batches, paged } from "../../lib/core/batch.ts";
import { DAY_MS, latestTime } from "../../lib/core/clock.ts";
import type { Abortable } from "../../lib/core/types.ts";
import type { TaskContext } from "../../lib/dag/types.ts";
import type { VectorRow, VectorStore } from "../../lib/stores/vectors/port.ts";
import { FIELDS } from "../datasets.ts";
import type { Services } from "../services.ts";
import type { GraphOutput, TouchedUser } from "./graph.ts";
import { readArtifact } from "./rows.ts";
import { embeddedStore, vectorSet } from "./store.ts";

export type DeriveOutput = {
  /** The data version that was built and is not yet published. */
  readonly version: number;
  readonly profiles: number;
};

/** Messages of a user read at a time. */
const PAGE = 500;
/** Users whose messages are read beside each other: a server answers later than it works. */
const AT_ONCE = 8;

/**
 * Derives what answers are made from: the profile of every touched user, then, under a new data version, popularity
 * and the search indexes. Touches are settled as their users are done.
 */
export async function derive(context: TaskContext<Services>): Promise<DeriveOutput> {
  const { services, signal } = context;
  const store = await embeddedStore(context);
  const { touched } = context.output<GraphOutput>("graph");
  let done = 0, profiles = 0;
  for await (const users of batches(readArtifact<TouchedUser>(services, touched, signal), 100)) {
    profiles += await deriveProfiles(context, store, users.map(({ user_id }) => user_id));
    await settle(services, users, signal);
    context.progress({ done: done += users.length, total: touched.rows });
  }
  const { version, campaigns, indexed } = await buildVersion(services, store, context);
  report(context, store, { users: touched.rows, profiles, campaigns, version, indexed });
  return { version, profiles };
}

/** Builds what is derived for the whole under the version after the published one, beside what serves. */
export async function buildVersion(
  { analytics, settings, clock }: Services,
  store: VectorStore,
  { log, signal }: { log?: (line: string) => void } & Abortable = {},
): Promise<{ version: number; campaigns: number; indexed: number }> {
  const published = await analytics.published({ signal });
  const version = (published?.version ?? 0) + 1;
  const { half_life_days } = settings;
  const latest = latestTime(clock.now());
  const { campaigns } = await analytics.buildStats({ version, half_life_days, latest, signal });
  const built = await store.build({ version, signal, ...log && { log } });
  return { version, campaigns, indexed: built.profiles + built.campaigns };
}

/** Sets the profiles of these users; returns how many of them are new or other than before. */
export async function deriveProfiles(
  { services: { settings, clock }, signal }: TaskContext<Services>,
  store: VectorStore,
  user_ids: readonly string[],
): Promise<number> {
  const decay = { half_life_days: settings.half_life_days, latest: latestTime(clock.now()) };
  const profile = (user_id: string) => {
    const page = (after: string | null, limit: number) => store.messagesOf({ user_id, after, limit, signal });
    return profileOf(user_id, paged(PAGE, ({ id }) => id, page), decay);
  };
  const rows: VectorRow[] = [];
  for await (const some of batches(user_ids, AT_ONCE)) {
    rows.push(...(await Promise.all(some.map(profile))).filter((row) => row !== null));
  }
  const { inserted, changed } = await store.upsert({ collection: "profiles", rows, signal });
  return inserted + changed;
}

/**
 * The mean of a user's own message vectors, each weighted by a half-life counted back from the newest of them, made a
 * unit vector. Newest is the newest up to `latest` (ISO): nothing was said after that, whatever a timestamp says, and such
 * a message counts like the newest, so that a wrong clock does not silence all the others. A damaged vector is left out:
 * `check` finds it. Null where there is none, or
 * where they cancel out. Holds one message at a time.
 */
export async function profileOf(
  user_id: string,
  messages: AsyncIterable<VectorRow>,
  { half_life_days, latest }: { half_life_days: number; latest: string },
): Promise<VectorRow | null> {
  const hash = createHash("sha256");
  let newest = "";
  let sum: Float64Array | null = null;
  let ahead: Float64Array | null = null;
  for await (const { id, timestamp, content_hash, vector } of messages) {
    if (timestamp === null || !isUnit(vector)) continue;
    sum ??= new Float64Array(vector.length);
    hash.update(`${id} ${timestamp} ${content_hash}\n`);
    if (timestamp > latest) {
      ahead ??= new Float64Array(vector.length);
      addTo(ahead, vector, [1, 1]);
      continue;
    }
    const half_lives = (Date.parse(timestamp) - Date.parse(newest || timestamp)) / (half_life_days * DAY_MS);
    // What is newer than all before counts whole, and they for less.
    addTo(sum, vector, half_lives > 0 ? [0.5 ** half_lives, 1] : [1, 0.5 ** -half_lives]);
    if (timestamp > newest) newest = timestamp;
  }
  if (sum !== null && ahead !== null) addTo(sum, ahead, [1, 1]);
  const norm = Math.hypot(...sum ?? []);
  if (sum === null || norm < 1e-6) return null;
  const vector = Float32Array.from(sum, (x) => x / norm);
  const timestamp = newest === "" ? null : newest;
  return { id: user_id, user_id, role: "user", timestamp, content_hash: hash.digest("hex"), vector };
}

function isUnit(vector: Float32Array): boolean {
  let sum = 0;
  for (const x of vector) sum += x * x;
  return Math.abs(sum - 1) < 0.01;
}

function addTo(
  sum: Float64Array,
  vector: ArrayLike<number>,
  [kept, weight]: [kept: number, weight: number],
): void {
  for (let i = 0; i < sum.length; i++) sum[i] = kept * sum[i]! + weight * vector[i]!;
}

async function settle(
  { documents, analytics }: Services,
  users: readonly TouchedUser[],
  signal: AbortSignal,
): Promise<void> {
  const touches = (store: "documents" | "analytics") =>
    users.flatMap(({ user_id, [store]: token }) => token === null ? [] : [{ user_id, token }]);
  await documents.settle({ touched: touches("documents"), signal });
  await analytics.settle({ touched: touches("analytics"), signal });
}

function report(
  context: TaskContext<Services>,
  store: VectorStore,
  made: { users: number; profiles: number; campaigns: number; version: number; indexed: number },
): void {
  const { services } = context;
  const version = String(made.version);
  context.log(
    `${made.profiles} profiles changed; data version ${version} built, with ${made.indexed} vectors indexed`,
  );
  context.rows({ in: made.users, out: made.profiles });
  context.reads(vectorSet(context, store, "messages"));
  context.reads(services.dataset("analytics", "events"));
  const profiles = vectorSet(context, store, "profiles");
  context.writes({ ...profiles, rows: made.profiles, fields: FIELDS.vectors });
  context.writes({ ...vectorSet(context, store, "indexes"), rows: made.indexed, version });
  context.writes({
    ...services.dataset("analytics", "campaign_stats"),
    rows: made.campaigns,
    version,
    fields: FIELDS.stats,
  });
}
