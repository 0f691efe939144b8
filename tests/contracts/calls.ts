/** Every method of the ports, for contracts that hold of all of them: none of these calls leaves anything behind. */
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";
import type { Cache } from "../../lib/stores/cache/port.ts";
import type { GraphStore } from "../../lib/stores/graph/port.ts";
import type { TombstoneStore } from "../../lib/stores/tombstones/port.ts";
import { campaign, event, LATEST, minute } from "../fixtures/rows.ts";
import type { Calls } from "./cancellation.ts";

const users = { user_ids: ["a", "b"] };
const published = { version: 1, run_id: "r", model: "m", at: minute(1) };

/** Those of a store's tombstones. */
export function tombstoneCalls<Store extends { readonly tombstones: TombstoneStore }>(): Calls<Store> {
  const hashes = ["k1.0123"];
  return {
    addTombstones: (store, options) => store.tombstones.add({ hashes, ...options }),
    tombstonePage: (store, options) => store.tombstones.page({ after: null, limit: 5, ...options }),
    tombstonesAmong: (store, options) => store.tombstones.among({ hashes, ...options }),
    removeTombstones: (store, options) => store.tombstones.remove({ hashes, ...options }),
  };
}

export const GRAPH_CALLS: Calls<GraphStore> = {
  setTargets: (store, options) =>
    store.setTargets({ campaigns: [{ campaign_id: "k", intents: ["x"] }], ...options }),
  setExpressed: (store, options) => store.setExpressed({ ...users, edges: [], ...options }),
  setEngaged: (store, options) => store.setEngaged({ ...users, edges: [], ...options }),
  setConversations: (store, options) => store.setConversations({ ...users, conversations: [], ...options }),
  engagedIn: (store, options) => store.engagedIn({ conversation_ids: ["v"], ...options }),
  engagedBy: (store, options) => store.engagedBy({ ...users, limit: 5, ...options }),
  intentsOf: (store, options) => store.intentsOf({ user_id: "a", limit: 5, ...options }),
  targeting: (store, options) => store.targeting({ intents: ["x"], limit: 5, ...options }),
  deleteUsers: (store, options) => store.deleteUsers({ ...users, ...options }),
  deleteCampaigns: (store, options) => store.deleteCampaigns({ campaign_ids: ["k"], ...options }),
  edgesOf: (store, options) => store.edgesOf({ type: "led_to", ...users, ...options }),
  ...tombstoneCalls<GraphStore>(),
  counts: (store, options) => store.counts(options),
  isEmpty: (store, options) => store.isEmpty(options),
  digest: (store, options) => store.digest(options),
  health: (store, options) => store.health(options),
};

export const ANALYTICS_CALLS: Calls<AnalyticsStore> = {
  upsertCampaigns: (store, options) =>
    store.upsertCampaigns({ campaigns: [campaign({ campaign_id: "k" })], ...options }),
  changeCampaign: (store, options) =>
    store.changeCampaign({ campaign_id: "none", change: (row) => row, ...options }),
  upsertEvents: (store, options) => store.upsertEvents({ events: [event({ user_id: "a" })], ...options }),
  touched: (store, options) => store.listDirtyUsers({ after: null, limit: 5, ...options }),
  markAllDirty: (store, options) => store.markAllDirty(options),
  settle: (store, options) => store.clearDirty({ users: [{ user_id: "a", token: "1" }], ...options }),
  users: (store, options) => store.users({ after: null, limit: 5, ...options }),
  recentUsers: (store, options) => store.recentUsers({ campaign_id: "k", limit: 5, ...options }),
  knownUsers: (store, options) => store.knownUsers({ after: null, limit: 5, ...options }),
  engagement: (store, options) => store.engagement({ ...users, ...options }),
  setWords: (store, options) => store.setWords({ ...users, profiles: [], conversations: [], ...options }),
  profileWords: (store, options) => store.profileWords({ user_id: "u", ...options }),
  conversationWords: (store, options) => store.conversationWords({ after: null, limit: 5, ...options }),
  eventsOf: (store, options) => store.eventsOf({ ...users, limit: 5, ...options }),
  campaigns: (store, options) => store.campaigns({ campaign_ids: ["k"], ...options }),
  campaignPage: (store, options) => store.campaignPage({ after: null, limit: 5, ...options }),
  campaignSearch: (store, options) =>
    store.campaignPage({ after: null, limit: 5, search: { words: ["k"] }, ...options }),
  stats: (store, options) => store.stats({ version: 1, campaign_ids: ["k"], ...options }),
  popular: (store, options) => store.popular({ version: 1, limit: 5, ...options }),
  finalEngagement: (store, options) => store.finalEngagement({ user_id: "a", ...options }),
  epochs: (store, options) => store.epochs({ user_id: "a", ...options }),
  buildStats: (store, options) =>
    store.buildStats({ version: 5, half_life_days: 30, latest: LATEST, ...options }),
  statsWithout: (store, options) =>
    store.statsWithout({ events: [], half_life_days: 30, latest: LATEST, ...options }),
  saveFile: (store, options) =>
    store.saveFile({ version: 5, name: "f", bytes: new Uint8Array(3), ...options }),
  file: (store, options) => store.file({ version: 5, name: "f", ...options }),
  published: (store, options) => store.published(options),
  publish: (store, options) => store.publish({ published, sources: [], ...options }),
  dropPrevious: (store, options) => store.dropPrevious(options),
  source: (store, options) => store.source({ kind: "events", uri: "x", ...options }),
  sources: (store, options) => store.sources(options),
  forgetSources: (store, options) => store.forgetSources({ uris: ["x"], ...options }),
  deleteUsers: (store, options) => store.deleteUsers({ ...users, ...options }),
  deleteCampaigns: (store, options) => store.deleteCampaigns({ campaign_ids: ["k"], ...options }),
  secret: (store, options) => store.secret(options),
  eventPage: (store, options) => store.eventPage({ user_id: "a", after: null, limit: 5, ...options }),
  ...tombstoneCalls<AnalyticsStore>(),
  pendingErasures: (store, options) => store.pendingErasures({ after: null, limit: 5, ...options }),
  addPendingErasures: (store, options) =>
    store.addPendingErasures({ users: [{ user_id: "a", at: minute(1) }], ...options }),
  endErasures: (store, options) => store.endErasures({ user_ids: ["a"], until: minute(1), ...options }),
  setPersonalisation: (store, options) =>
    store.setPersonalisation({ user_id: "a", personalisation: true, ...options }),
  optedOut: (store, options) => store.optedOut({ ...users, ...options }),
  counts: (store, options) => store.counts(options),
  unknownCampaigns: (store, options) => store.unknownCampaigns({ limit: 3, ...options }),
  digest: (store, options) => store.digest(options),
  health: (store, options) => store.health(options),
};

export const CACHE_CALLS: Calls<Cache> = {
  get: (store, options) => store.get({ key: "a", ...options }),
  set: (store, options) => store.set({ key: "a", value: "1", ttl_ms: 60_000, ...options }),
  claim: (store, options) => store.tryLock({ key: "b", ttl_ms: 60_000, ...options }),
  health: (store, options) => store.health(options),
};
