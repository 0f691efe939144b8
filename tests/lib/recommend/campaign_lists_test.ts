import assert from "node:assert/strict";
import { Recommender } from "../../../lib/recommend/recommender.ts";
import { popularCampaigns } from "../../../lib/recommend/popular_campaigns.ts";
import { PopularReader } from "../../../lib/recommend/candidates/popularity.ts";
import { SqliteAnalytics } from "../../../lib/stores/analytics/sqlite/sqlite_analytics.ts";
import * as rows from "../../fixtures/rows.ts";
import { LATEST } from "../../fixtures/rows.ts";
import { ANSWER_MS, emptyWorld, fails, faulty, HIDDEN, NOW, openWorld, type World } from "./world.ts";

const clock = { now: () => NOW };

async function withWorld(body: (world: World, recommender: Recommender) => Promise<void>): Promise<void> {
  const world = await openWorld();
  try {
    await body(world, new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS }));
  } finally {
    await world.close();
  }
}

const idsOf = ({ rows }: { rows: readonly { campaign: { campaign_id: string } }[] }) =>
  rows.map(({ campaign }) => campaign.campaign_id);

Deno.test("similar() gives campaigns alike in meaning and by co-engagement, none that may not be shown, and not itself", () =>
  withWorld(async (_, recommender) => {
    const list = await recommender.similar({ campaign_id: "g3", k: 10 });
    assert.deepEqual([list.version, list.degraded], [1, []]);
    const ids = idsOf(list);
    assert.equal(ids[0], "g1", "who engages with g3 does so with g1");
    assert.ok(!ids.includes("g3"), ids.join());
    for (const id of HIDDEN) assert.ok(!ids.includes(id), id);
    assert.ok(ids.every((id) => id.startsWith("g")), ids.join());
    assert.ok(list.rows[0]!.sources.co_engagement > 0 && list.rows[0]!.sources.similarity > 0);
    const scores = list.rows.map(({ score }) => score);
    assert.deepEqual(scores, scores.toSorted((a, b) => b - a));
    assert.deepEqual(idsOf(await recommender.similar({ campaign_id: "g3", k: 1 })), ["g1"]);
  }));

Deno.test("similar() to a campaign without a vector uses co-engagement alone", () =>
  withWorld(async ({ stores }, recommender) => {
    const model = (await stores.vectors.models())[0]!;
    await (await stores.vectors.forModel({ model })).deleteCampaigns({ campaign_ids: ["k1"] });
    assert.deepEqual(idsOf(await recommender.similar({ campaign_id: "k1", k: 10 })), ["k2"]);
  }));

Deno.test("similar() of a campaign that the catalogue does not have is not found, also if other stores still know it", () =>
  withWorld(async ({ stores }, recommender) => {
    await assert.rejects(recommender.similar({ campaign_id: "nothing", k: 5 }), { code: "not_found" });
    await stores.analytics.deleteCampaigns({ campaign_ids: ["g3"] });
    await assert.rejects(recommender.similar({ campaign_id: "g3", k: 5 }), { code: "not_found" });
    const list = await recommender.similar({ campaign_id: "g1", k: 10 });
    assert.ok(!idsOf(list).includes("g3"));
  }));

Deno.test("similar() names vectors if they are down, and is unavailable without analytics or a published version", async () => {
  await withWorld(async ({ stores }) => {
    const vectors = faulty(stores.vectors, fails);
    const without = new Recommender({ stores: { ...stores, vectors }, clock, answer_ms: ANSWER_MS });
    const list = await without.similar({ campaign_id: "k1", k: 10 });
    assert.deepEqual([list.degraded, idsOf(list)], [["vectors"], ["k2"]]);
    const analytics = faulty(stores.analytics, fails);
    const nothing = new Recommender({ stores: { ...stores, analytics }, clock, answer_ms: ANSWER_MS });
    await assert.rejects(nothing.similar({ campaign_id: "k1", k: 10 }), { code: "unavailable" });
  });
  const empty = await emptyWorld();
  const recommender = new Recommender({ stores: empty.stores, clock, answer_ms: ANSWER_MS });
  await assert.rejects(recommender.similar({ campaign_id: "k1", k: 10 }), { code: "unavailable" });
  await assert.rejects(recommender.popular({ k: 10 }), { code: "unavailable" });
  await empty.close();
});

Deno.test("popular() gives what may be shown, the most popular first, of a category or an intent if asked", () =>
  withWorld(async (_, recommender) => {
    const list = await recommender.popular({ k: 20 });
    assert.deepEqual([list.version, list.degraded], [1, []]);
    assert.deepEqual(idsOf(list).slice(0, 2).sort(), ["g1", "k1"]);
    assert.equal(list.rows.length, 8);
    for (const id of HIDDEN) assert.ok(!idsOf(list).includes(id), id);
    const values = list.rows.map(({ stats }) => stats.popularity);
    assert.deepEqual(values, values.toSorted((a, b) => b - a));
    assert.deepEqual(idsOf(await recommender.popular({ k: 1 })), idsOf(list).slice(0, 1));
    const kitchen = idsOf(list).filter((id) => id.startsWith("k"));
    assert.deepEqual(idsOf(await recommender.popular({ k: 9, category: "kitchen" })), kitchen);
    assert.deepEqual(idsOf(await recommender.popular({ k: 9, intent: "cooking" })), kitchen);
    assert.deepEqual(idsOf(await recommender.popular({ k: 9, category: "garden", intent: "cooking" })), []);
  }));

Deno.test("popular() reads a list once a second at most, and again once the catalogue has changed", () =>
  withWorld(async ({ stores }) => {
    let [now, reads] = [NOW, 0];
    const analytics = new Proxy(stores.analytics, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (name === "stats") reads++;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const clock = { now: () => now };
    const recommender = new Recommender({ stores: { ...stores, analytics }, clock, answer_ms: ANSWER_MS });
    const request = { k: 3, category: "kitchen" };
    const [first] = await Promise.all([recommender.popular(request), recommender.popular(request)]);
    const once = reads;
    assert.ok(once > 0);
    await recommender.popular(request);
    assert.equal(reads, once);
    assert.deepEqual(idsOf(await recommender.popular({ ...request, k: 1 })), idsOf(first).slice(0, 1));
    now += 1_001;
    await recommender.popular(request);
    assert.ok(reads > once + 1, `${reads} reads`);
    await stores.analytics.deleteCampaigns({ campaign_ids: [idsOf(first)[0]!] });
    assert.deepEqual(idsOf(await recommender.popular(request)), idsOf(first).slice(1));
  }));

Deno.test("popular() without analytics gives what was read last, marked", () =>
  withWorld(async ({ stores }) => {
    let down = false;
    const analytics = new Proxy(stores.analytics, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        return typeof value !== "function"
          ? value
          : (...args: unknown[]) => down ? fails() : value.apply(target, args);
      },
    });
    const recommender = new Recommender({ stores: { ...stores, analytics }, clock, answer_ms: ANSWER_MS });
    const before = await recommender.popular({ k: 3, category: "garden" });
    await recommender.prepare();
    down = true;
    const after = await recommender.popular({ k: 3, category: "garden" });
    assert.deepEqual([after.degraded, after.version, idsOf(after)], [["analytics"], 1, idsOf(before)]);
    assert.ok(after.failures.has("analytics"));
  }));

Deno.test("popularCampaigns() finds those of a small category wherever they are in the list, and a large one's best", async () => {
  const analytics = new SqliteAnalytics({ path: ":memory:" });
  const id = (n: number) => `k${String(n).padStart(5, "0")}`;
  const campaigns = Array.from({ length: 3_000 }, (_, n) =>
    rows.campaign({
      campaign_id: id(n),
      category: n >= 2_990 ? "small" : n % 3 === 0 ? "large" : "other",
      status: n < 450 ? "paused" : "active",
    }));
  await analytics.upsertCampaigns({ campaigns });
  // The lower the number, the more clicks.
  const events = campaigns.flatMap(({ campaign_id }, n) =>
    Array.from(
      { length: 1 + Math.floor((2_999 - n) / 300) },
      () => rows.event({ campaign_id, type: "click", timestamp: LATEST }),
    )
  );
  await analytics.upsertEvents({ events });
  await analytics.buildStats({ version: 1, half_life_days: 30, latest: LATEST });
  const find = async (request: { k: number; category?: string }) =>
    (await popularCampaigns({
      ...request,
      analytics,
      popular: new PopularReader(analytics),
      version: 1,
      now: LATEST,
    })).map(({ campaign }) => campaign.campaign_id);
  const expected = await analytics.popular({ version: 1, limit: 3_000 });
  const byId = new Map(campaigns.map((row) => [row.campaign_id, row]));
  const right = (k: number, category?: string) =>
    expected.map(({ campaign_id }) => byId.get(campaign_id)!).filter((row) =>
      row.status === "active" && (category === undefined || row.category === category)
    ).slice(0, k).map((row) => row.campaign_id);
  for (const k of [1, 15, 100]) {
    assert.deepEqual(await find({ k }), right(k));
    for (const category of ["small", "large", "other", "none"]) {
      assert.deepEqual(await find({ k, category }), right(k, category), `${k} of ${category}`);
    }
  }
  await analytics.close();
});
