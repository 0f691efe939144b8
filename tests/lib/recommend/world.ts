import { type EngagementEvent, type ModelIdentity, modelKey } from "../../../lib/core/types.ts";
import { SqliteAnalytics } from "../../../lib/stores/analytics/sqlite/sqlite_analytics.ts";
import { MemoryCache } from "../../../lib/stores/cache/memory/memory_cache.ts";
import { SqliteDocuments } from "../../../lib/stores/documents/sqlite/sqlite_documents.ts";
import { SqliteGraph } from "../../../lib/stores/graph/sqlite/sqlite_graph.ts";
import { SqliteRuns } from "../../../lib/stores/runs/sqlite/sqlite_runs.ts";
import { encodeItemWeights, ITEM_WEIGHTS_FILE } from "../../../lib/recommend/item_item_file.ts";
import type { VectorRow } from "../../../lib/stores/vectors/port.ts";
import { SqliteVectorStores } from "../../../lib/stores/vectors/sqlite/sqlite_vector_stores.ts";
import { campaign, event } from "./samples.ts";
import { saveWording } from "../../../tasks/steps/wording.ts";
import { LATEST } from "../../fixtures/rows.ts";

/** The time of the tests' clock. */
/** Longer than by default: on a busy machine, too, what does not hang answers in its time. */
export const ANSWER_MS = 2_000;

export const NOW = Date.parse("2025-03-10T00:00:00.000Z");
export const SOON = "2025-03-10T00:00:30.000Z";

const MODEL: ModelIdentity = { name: "by-hand", revision: "0", dimension: 3, pooling: "mean" };

/**
 * Gardeners talk along the first axis, cooks along the second, and each campaign lies along its category's. Each of them had one
 * conversation, with all that they engaged with. Ann gardens and has asked for plants; she dismissed g2. Fay said nothing, but
 * clicked. Four campaigns may not be shown, each for another reason.
 */
const PROFILES: Record<string, [number, number, number]> = {
  ann: [1, 0, 0],
  bob: [1, 0.1, 0],
  cat: [1, 0.2, 0],
  dan: [0, 1, 0],
  eve: [0.1, 1, 0],
};
const CAMPAIGNS = [
  ...["g1", "g2", "g3", "g4"].map((id) => campaign(id, { category: "garden", intents: ["plants"] })),
  ...["k1", "k2", "k3"].map((id) => campaign(id, { category: "kitchen", intents: ["cooking"] })),
  campaign("g-ended", { category: "garden", ends_at: "2025-03-09T00:00:00.000Z" }),
  campaign("g-future", { category: "garden", starts_at: "2025-03-11T00:00:00.000Z" }),
  campaign("g-paused", { category: "garden", status: "paused" }),
  campaign("g-last-day", { category: "garden", ends_at: SOON }),
];
export const HIDDEN = ["g-ended", "g-future", "g-paused"];
const EVENTS: readonly EngagementEvent[] = [
  event("bob", "conversion", "g1"),
  event("bob", "click", "g2"),
  event("cat", "click", "g1"),
  event("cat", "click", "g3"),
  ...HIDDEN.map((id) => event("bob", "conversion", id)),
  event("dan", "conversion", "k1"),
  event("eve", "conversion", "k1"),
  event("eve", "click", "k2"),
  event("ann", "dismissal", "g2"),
  event("fay", "click", "g3"),
];
/** Learnt from others: who engages with g3 does so with g1, and who with k1 with k2. */
const ITEM_WEIGHTS = encodeItemWeights({
  campaign_ids: ["g1", "g3", "k1", "k2"],
  offsets: Uint32Array.of(0, 0, 1, 2, 2),
  targets: Uint32Array.of(0, 3),
  weights: Float32Array.of(0.5, 0.25),
});

export interface World {
  readonly stores: {
    readonly documents: SqliteDocuments;
    readonly analytics: SqliteAnalytics;
    readonly graph: SqliteGraph;
    readonly vectors: SqliteVectorStores;
    readonly cache: MemoryCache;
    readonly runs: SqliteRuns;
  };
  /** Builds and publishes a data version from what the stores hold. */
  publish(version: number, run_id?: string): Promise<void>;
  /** Adds events as an online write would. */
  add(events: readonly EngagementEvent[]): Promise<void>;
  close(): Promise<void>;
}

/** What users say, as words: Ann says what Bob and Cat do. Dan named k3, in a world in which users ask by name. */
const SAID: Record<string, readonly string[]> = {
  ann: ["soil", "seeds"],
  bob: ["soil", "spade"],
  cat: ["seeds"],
  dan: ["pan"],
  eve: ["pan", "knife"],
};
const wordsOf = (user_id: string) => Object.fromEntries(SAID[user_id]!.map((word) => [word, 1]));

/** Empty embedded stores in a directory of their own. */
export async function emptyWorld(): Promise<World> {
  const dir = await Deno.makeTempDir();
  const stores = {
    documents: new SqliteDocuments({ path: `${dir}/documents.db` }),
    analytics: new SqliteAnalytics({ path: `${dir}/analytics.db` }),
    graph: new SqliteGraph({ path: `${dir}/graph.db` }),
    vectors: new SqliteVectorStores(`${dir}/vectors`),
    cache: new MemoryCache({ max_bytes: 1_000_000 }),
    runs: new SqliteRuns({ path: `${dir}/runs.db` }),
  };
  const close = async () => {
    for (const store of Object.values(stores)) await store.close();
    await Deno.remove(dir, { recursive: true });
  };
  const add = async (events: readonly EngagementEvent[]) =>
    void await stores.analytics.upsertEvents({ events });
  return { stores, publish: (...which) => publish(stores, ...which), add, close };
}

async function publish(stores: World["stores"], version: number, run_id = `run ${version}`): Promise<void> {
  await stores.analytics.buildStats({ version, half_life_days: 30, latest: LATEST });
  await (await stores.vectors.forModel({ model: MODEL })).build({ version });
  await stores.analytics.saveFile({ version, name: ITEM_WEIGHTS_FILE, bytes: ITEM_WEIGHTS });
  await saveWording(stores.analytics, { version });
  await stores.analytics.publish({
    published: { version, run_id, model: modelKey(MODEL), at: "2025-03-09T12:00:00.000Z" },
    sources: [],
  });
}

/** The gardeners and cooks, published as version 1. */
export async function openWorld(): Promise<World> {
  const world = await emptyWorld();
  await fill(world.stores);
  await world.publish(1);
  return world;
}

async function fill({ analytics, graph, vectors }: World["stores"]): Promise<void> {
  await analytics.upsertCampaigns({ campaigns: CAMPAIGNS });
  await analytics.upsertEvents({ events: EVENTS });
  const user_ids = [...Object.keys(PROFILES), "fay"];
  const engaged = await analytics.engagement({ user_ids });
  const conversations = Object.keys(PROFILES).map((user_id) => ({
    conversation_id: `of ${user_id}`,
    user_id,
    engagement: engaged.filter((one) => one.user_id === user_id),
  }));
  await graph.setTargets({ campaigns: CAMPAIGNS });
  await graph.setEngaged({ user_ids, edges: engaged });
  await graph.setConversations({ user_ids, conversations });
  await analytics.setWords({
    user_ids,
    profiles: Object.keys(SAID).map((user_id) => ({
      user_id,
      words: wordsOf(user_id),
      named: user_id === "dan" ? ["k3"] : [],
      negations: [],
    })),
    conversations: conversations.map(({ conversation_id, user_id }) => ({
      conversation_id,
      user_id,
      words: wordsOf(user_id),
      named: 0,
      named_shown: 0,
    })),
  });
  await graph.setExpressed({
    user_ids: ["ann"],
    edges: [{ user_id: "ann", intent: "plants", count: 2, last: "2025-03-01T00:00:00.000Z" }],
  });
  const store = await vectors.forModel({ model: MODEL });
  const profiles = Object.entries(PROFILES).map(([id, axes]) => row(id, axes, id));
  await store.upsert({ collection: "profiles", rows: profiles });
  await store.upsert({
    collection: "conversations",
    rows: conversations.map(({ conversation_id, user_id }) =>
      row(conversation_id, PROFILES[user_id]!, user_id)
    ),
  });
  const campaigns = CAMPAIGNS.map((one, i) =>
    row(one.campaign_id, one.category === "garden" ? [1, 0, i / 20] : [0, 1, i / 20], null)
  );
  await store.upsert({ collection: "campaigns", rows: campaigns });
}

function row(id: string, axes: [number, number, number], user_id: string | null): VectorRow {
  const length = Math.hypot(...axes);
  const vector = Float32Array.from(axes, (x) => x / length);
  return { id, user_id, role: "user", timestamp: null, content_hash: "0".repeat(64), vector };
}

/** A store of which every method does `fault` instead. */
export function faulty<Store extends object>(store: Store, fault: () => Promise<never>): Store {
  return new Proxy(store, { get: () => fault });
}
export const fails = () => Promise.reject(new Error("the socket was closed"));
export const hangs = () => new Promise<never>(() => {});
