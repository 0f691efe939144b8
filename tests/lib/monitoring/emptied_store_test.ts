import assert from "node:assert/strict";
import { type ModelIdentity, modelKey } from "../../../lib/core/types.ts";
import { emptiedStore, isEmptied, REFILLABLE } from "../../../lib/monitoring/emptied_store.ts";
import { campaign, event, LATEST, message, minute } from "../../fixtures/rows.ts";
import { campaign as campaignVector, profile } from "../../fixtures/vectors.ts";
import { emptyWorld, fails, type World } from "../recommend/world.ts";

const MODEL: ModelIdentity = { name: "by-hand", revision: "0", dimension: 2, pooling: "mean" };
const VECTOR = Float32Array.of(1, 0);

/** What stores can hold, each by its name. */
const HOLDINGS: Readonly<Record<string, (stores: World["stores"]) => Promise<unknown>>> = {
  published: ({ analytics }) =>
    analytics.publish({
      published: { version: 1, run_id: "r", model: modelKey(MODEL), at: minute(0) },
      sources: [],
    }),
  messages: ({ documents }) => documents.upsert({ messages: [message()] }),
  campaigns: ({ analytics }) => analytics.upsertCampaigns({ campaigns: [campaign()] }),
  events: ({ analytics }) => analytics.upsertEvents({ events: [event()] }),
  message_vectors: async ({ vectors }) =>
    (await vectors.forModel({ model: MODEL })).upsert({
      collection: "messages",
      rows: [profile("m", VECTOR)],
    }),
  campaign_vectors: async ({ vectors }) =>
    (await vectors.forModel({ model: MODEL })).upsert({
      collection: "campaigns",
      rows: [campaignVector("c", VECTOR)],
    }),
  profile_vectors: async ({ vectors }) =>
    (await vectors.forModel({ model: MODEL })).upsert({
      collection: "profiles",
      rows: [profile("p", VECTOR)],
    }),
  targets: ({ graph }) => graph.setTargets({ campaigns: [campaign({ intents: ["buy"] })] }),
};

const ALL = Object.keys(HOLDINGS);
const without = (...names: string[]) => ALL.filter((name) => !names.includes(name));

/** The stores that count as emptied where all stores together hold this. */
async function emptied(holdings: readonly string[]): Promise<string[]> {
  const { stores, close } = await emptyWorld();
  try {
    await stores.analytics.buildStats({ version: 1, half_life_days: 30, latest: LATEST });
    for (const name of holdings) await HOLDINGS[name]!(stores);
    const found = await Promise.all(REFILLABLE.map((store) => isEmptied(store, stores)));
    return REFILLABLE.filter((_, i) => found[i]);
  } finally {
    await close();
  }
}

for (
  const [store, is, holdings] of [
    ["no store", [], ALL],
    ["no store before the first publish", [], ["messages", "campaigns"]],
    ["no store if nothing is stored at all", [], ["published"]],
    ["documents without messages while there are vectors of messages", ["documents"], without("messages")],
    ["no documents without messages if none were embedded", [], without("messages", "message_vectors")],
    [
      "vectors of neither messages nor campaigns while there are both",
      ["vectors"],
      without("message_vectors", "campaign_vectors"),
    ],
    [
      "vectors while there are messages alone",
      ["vectors"],
      without("message_vectors", "campaign_vectors", "campaigns"),
    ],
    [
      "vectors while there are campaigns alone",
      ["vectors"],
      without("message_vectors", "campaign_vectors", "messages"),
    ],
    ["no vectors that have those of campaigns", [], without("message_vectors")],
    ["no vectors that have those of messages", [], without("campaign_vectors")],
    [
      "no vectors while there is nothing to embed",
      [],
      without("message_vectors", "campaign_vectors", "messages", "campaigns"),
    ],
    ["a graph without edges while there are campaigns and events", ["graph"], without("targets")],
    ["a graph while there are campaigns alone", ["graph"], without("targets", "events")],
    ["a graph while there are events alone", ["graph"], without("targets", "campaigns", "campaign_vectors")],
    [
      "no graph while there is nothing to make edges from",
      [],
      without("targets", "campaigns", "events", "campaign_vectors"),
    ],
  ] as [string, string[], string[]][]
) {
  Deno.test(`isEmptied() counts as emptied: ${store}`, async () =>
    assert.deepEqual(await emptied(holdings), is));
}

Deno.test("emptiedStore() says what to do about a store that was emptied, and nothing of others", async () => {
  const { stores, close } = await emptyWorld();
  try {
    for (const name of without("targets")) await HOLDINGS[name]!(stores);
    assert.match((await emptiedStore("graph", stores))!.message, /PARLEY_GRAPH.*`deno task pipeline --all`/);
    for (const name of ["documents", "vectors", "analytics", "cache", "runs"]) {
      assert.equal(await emptiedStore(name, stores), null, name);
    }
    assert.equal(await emptiedStore("graph", { ...stores, graph: { isEmpty: fails } }), null);
  } finally {
    await close();
  }
});
