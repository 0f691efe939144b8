/** Every method of the ports, for contracts that hold of all of them: none of these calls leaves anything behind. */
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";
import type { Cache } from "../../lib/stores/cache/port.ts";
import type { GraphStore } from "../../lib/stores/graph/port.ts";
import { campaign, event, LATEST, minute } from "../fixtures/rows.ts";
import type { Calls } from "./cancellation.ts";

const users = { user_ids: ["a", "b"] };
const published = { version: 1, run_id: "r", model: "m", at: minute(1) };

export const GRAPH_CALLS: Calls<GraphStore> = {
  setTargets: (store, o) => store.setTargets({ campaigns: [{ campaign_id: "k", intents: ["x"] }], ...o }),
  setExpressed: (store, o) => store.setExpressed({ ...users, edges: [], ...o }),
  setEngaged: (store, o) => store.setEngaged({ ...users, edges: [], ...o }),
  setConversations: (store, o) => store.setConversations({ ...users, conversations: [], ...o }),
  engagedIn: (store, o) => store.engagedIn({ conversation_ids: ["v"], ...o }),
  engagedBy: (store, o) => store.engagedBy({ ...users, limit: 5, ...o }),
  intentsOf: (store, o) => store.intentsOf({ user_id: "a", limit: 5, ...o }),
  targeting: (store, o) => store.targeting({ intents: ["x"], limit: 5, ...o }),
  deleteUsers: (store, o) => store.deleteUsers({ ...users, ...o }),
  deleteCampaigns: (store, o) => store.deleteCampaigns({ campaign_ids: ["k"], ...o }),
  counts: (store, o) => store.counts(o),
  isEmpty: (store, o) => store.isEmpty(o),
  digest: (store, o) => store.digest(o),
  health: (store, o) => store.health(o),
};

export const ANALYTICS_CALLS: Calls<AnalyticsStore> = {
  upsertCampaigns: (store, o) => store.upsertCampaigns({ campaigns: [campaign({ campaign_id: "k" })], ...o }),
  upsertEvents: (store, o) => store.upsertEvents({ events: [event({ user_id: "a" })], ...o }),
  touched: (store, o) => store.touched({ after: null, limit: 5, ...o }),
  touchAll: (store, o) => store.touchAll(o),
  settle: (store, o) => store.settle({ touched: [{ user_id: "a", token: "1" }], ...o }),
  users: (store, o) => store.users({ after: null, limit: 5, ...o }),
  engagement: (store, o) => store.engagement({ ...users, ...o }),
  setWords: (store, o) => store.setWords({ ...users, profiles: [], conversations: [], ...o }),
  profileWords: (store, o) => store.profileWords({ user_id: "u", ...o }),
  conversationWords: (store, o) => store.conversationWords({ after: null, limit: 5, ...o }),
  eventsOf: (store, o) => store.eventsOf({ ...users, limit: 5, ...o }),
  campaigns: (store, o) => store.campaigns({ campaign_ids: ["k"], ...o }),
  campaignPage: (store, o) => store.campaignPage({ after: null, limit: 5, ...o }),
  stats: (store, o) => store.stats({ version: 1, campaign_ids: ["k"], ...o }),
  popular: (store, o) => store.popular({ version: 1, limit: 5, ...o }),
  finalEngagement: (store, o) => store.finalEngagement({ user_id: "a", ...o }),
  epoch: (store, o) => store.epoch({ user_id: "a", ...o }),
  buildStats: (store, o) => store.buildStats({ version: 5, half_life_days: 30, latest: LATEST, ...o }),
  saveFile: (store, o) => store.saveFile({ version: 5, name: "f", bytes: new Uint8Array(3), ...o }),
  file: (store, o) => store.file({ version: 5, name: "f", ...o }),
  published: (store, o) => store.published(o),
  publish: (store, o) => store.publish({ published, sources: [], ...o }),
  source: (store, o) => store.source({ kind: "events", uri: "x", ...o }),
  sources: (store, o) => store.sources(o),
  forgetSources: (store, o) => store.forgetSources({ uris: ["x"], ...o }),
  deleteUsers: (store, o) => store.deleteUsers({ ...users, ...o }),
  deleteCampaigns: (store, o) => store.deleteCampaigns({ campaign_ids: ["k"], ...o }),
  counts: (store, o) => store.counts(o),
  unknownCampaigns: (store, o) => store.unknownCampaigns({ limit: 3, ...o }),
  digest: (store, o) => store.digest(o),
  health: (store, o) => store.health(o),
};

export const CACHE_CALLS: Calls<Cache> = {
  get: (store, o) => store.get({ key: "a", ...o }),
  set: (store, o) => store.set({ key: "a", value: "1", ttl_ms: 60_000, ...o }),
  claim: (store, o) => store.claim({ key: "b", ttl_ms: 60_000, ...o }),
  health: (store, o) => store.health(o),
};
