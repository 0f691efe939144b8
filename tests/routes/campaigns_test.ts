import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import * as rows from "../fixtures/rows.ts";
import { emptyWorld, fails, faulty, HIDDEN } from "../lib/recommend/world.ts";
import { appTest } from "./app.ts";

const json = async (app: Hono, path: string, status = 200) => {
  const response = await app.request(path);
  assert.equal(response.status, status, path);
  return await response.json();
};
const ids = (list: readonly { campaign_id: string }[]) =>
  list.map(({ campaign_id }) => campaign_id).join(" ");

appTest(
  "GET /campaigns lists the catalogue with stats, page by page, each campaign once",
  async ({ app }) => {
    const whole = await json(app, "/campaigns?limit=100");
    assert.deepEqual([whole.version, whole.next], [1, null]);
    assert.equal(ids(whole.campaigns), "g-ended g-future g-last-day g-paused g1 g2 g3 g4 k1 k2 k3");
    const [g1] = whole.campaigns.filter(({ campaign_id }: { campaign_id: string }) => campaign_id === "g1");
    assert.deepEqual(g1.intents, ["plants"]);
    assert.deepEqual([g1.stats.conversions, g1.stats.clicks, g1.stats.impressions], [1, 1, 0]);
    for (const limit of [1, 3, 10, 11]) {
      const found = [];
      for (let cursor: string | null = ""; cursor !== null;) {
        const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
        const page = await json(app, `/campaigns?limit=${limit}${query}`);
        assert.ok(page.campaigns.length > 0 && page.campaigns.length <= limit);
        found.push(...page.campaigns);
        cursor = page.next;
      }
      assert.deepEqual(found, whole.campaigns, `${limit}`);
    }
  },
);

appTest(
  "GET /campaigns searches words, and filters by category, intent and status",
  async ({ app, world }) => {
    await world.stores.analytics.upsertCampaigns({
      campaigns: [
        rows.campaign({ campaign_id: "x", title: "Trail Shoes", description: "for ÉTÉ", tags: ["wet"] }),
      ],
    });
    const find = async (query: string) => ids((await json(app, `/campaigns?${query}`)).campaigns);
    assert.equal(await find("q=tra+sho"), "x");
    assert.equal(await find("q=%C3%A9t%C3%A9"), "x");
    assert.equal(await find("q=hoes"), "");
    assert.equal(await find("q=%21%21"), "", "no campaign has the words of a text without any");
    assert.equal(await find("q="), await find(""));
    assert.equal(await find("category=kitchen"), "k1 k2 k3");
    assert.equal(await find("intent=cooking&limit=2"), "k1 k2");
    assert.equal(await find("status=paused"), "g-paused");
    assert.equal(await find("q=g1&category=garden"), "g1");
    assert.equal(await find("q=g1&category=kitchen"), "");
    const filter = encodeURIComponent('category == "kitchen" and not campaign_id == "k2"');
    assert.equal(await find(`filter=${filter}`), "k1 k3");
    assert.equal(await find(`filter=${filter}&q=k3`), "k3");
  },
);

appTest("GET /campaigns refuses what it does not know, without quoting it", async ({ app }) => {
  const wrong = [
    "limit=0",
    "limit=101",
    "limit=x",
    "status=gone",
    "cursor=%%%",
    "cursor=_w",
    "cursor=",
    "page=2",
  ];
  const long = [`q=${"x".repeat(201)}`, "q=a&q=b", `category=${"x".repeat(300)}`];
  for (const query of [...wrong.map((text) => text.replace("%%%", "%25%25")), ...long]) {
    const { code, detail } = await json(app, `/campaigns?${query}`, 400);
    assert.equal(code, "invalid");
    assert.ok(!detail.includes("xxx") && !detail.includes("gone"), detail);
  }
});

appTest(
  "GET /campaigns lists before anything is published, and is 503 without analytics",
  async ({ app, world }) => {
    await world.stores.analytics.upsertCampaigns({ campaigns: [rows.campaign({ campaign_id: "x" })] });
    const { version, campaigns } = await json(app, "/campaigns");
    assert.deepEqual([version, ids(campaigns), campaigns[0].stats], [null, "x", null]);
    const one = await json(app, "/campaigns/x");
    assert.deepEqual([one.version, one.campaign.campaign_id, one.campaign.stats], [null, "x", null]);
    await json(app, "/campaigns/x/similar", 503);
    await json(app, "/popular", 503);
  },
  { open: emptyWorld },
);

appTest(
  "GET /campaigns/:campaign_id gives one campaign with its stats, also one that may not be shown",
  async ({ app, world }) => {
    const odd = rows.campaign({
      campaign_id: "a/b é",
      title: "Odd",
      aliases: ["Strange"],
      starts_at: "2026-01-01T00:00:00.000Z",
      repurchase_days: 1.5,
      metadata: { price: 9.5, sizes: [1, 2] },
    });
    await world.stores.analytics.upsertCampaigns({ campaigns: [odd] });
    const { version, campaign: { stats, ...campaign } } = await json(app, "/campaigns/a%2Fb%20%C3%A9");
    assert.equal(version, 1);
    assert.deepEqual(campaign, odd);
    assert.deepEqual(stats, { impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 });
    assert.equal((await json(app, "/campaigns/g-paused")).campaign.status, "paused");
    assert.equal((await json(app, "/campaigns/missing", 404)).code, "not_found");
  },
);

appTest(
  "GET /campaigns/:campaign_id/similar gives what may be shown and is alike, the most similar first",
  async ({ app }) => {
    const { campaign_id, version, degraded, items } = await json(app, "/campaigns/g3/similar?k=3");
    assert.deepEqual([campaign_id, version, degraded], ["g3", 1, []]);
    assert.equal(items[0].campaign_id, "g1");
    assert.ok(items.length <= 3);
    assert.ok(items[0].sources.co_engagement > 0 && items[0].sources.similarity > 0);
    assert.equal(items[0].stats.conversions, 1);
    await json(app, "/campaigns/missing/similar", 404);
    await json(app, "/campaigns/g3/similar?k=0", 400);
  },
);

appTest("GET /popular gives what may be shown now, of a category or an intent", async ({ app }) => {
  const { version, degraded, items } = await json(app, "/popular?k=100");
  assert.deepEqual([version, degraded], [1, []]);
  for (const id of HIDDEN) assert.ok(!ids(items).split(" ").includes(id));
  assert.equal(items[0].stats.popularity, 1);
  assert.equal(ids((await json(app, "/popular?k=100&category=kitchen")).items), "k1 k2 k3");
  assert.equal((await json(app, "/popular?intent=plants&k=2")).items.length, 2);
  assert.deepEqual((await json(app, "/popular?category=none")).items, []);
  await json(app, "/popular?k=1000", 400);
});

appTest("lists of campaigns name the stores that are down, and log why", async ({ app, log }) => {
  const { degraded, items } = await json(app, "/campaigns/k1/similar");
  assert.deepEqual([degraded, ids(items)], [["vectors"], "k2"]);
  assert.match(log.at(-1)!.degraded!.vectors!, /Error at/);
}, { options: ({ stores }) => ({ stores: { ...stores, vectors: faulty(stores.vectors, fails) } }) });

appTest("a deleted campaign leaves lists at once", async ({ app, world }) => {
  assert.match(ids((await json(app, "/popular")).items), /\bg1\b/);
  await world.stores.analytics.deleteCampaigns({ campaign_ids: ["g1"] });
  assert.doesNotMatch(ids((await json(app, "/popular")).items), /\bg1\b/);
  assert.doesNotMatch(ids((await json(app, "/campaigns")).campaigns), /\bg1\b/);
  assert.doesNotMatch(ids((await json(app, "/campaigns/g3/similar")).items), /\bg1\b/);
  await json(app, "/campaigns/g1", 404);
});
