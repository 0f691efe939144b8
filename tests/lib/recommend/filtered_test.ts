import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import type { Answer } from "../../../lib/recommend/answer.ts";
import { saveCatalogueEpoch } from "../../../lib/recommend/catalogue_epoch.ts";
import { Recommender } from "../../../lib/recommend/recommender.ts";
import { campaign, event } from "./samples.ts";
import { ANSWER_MS, emptyWorld, NOW } from "./world.ts";

/** Campaigns, the popular first, of which every hundredth is cheap. */
const COUNT = 3_000;

Deno.test("Recommender.serve() finds k campaigns although few of the candidates pass the filter", async () => {
  const world = await emptyWorld();
  try {
    const ids = Array.from({ length: COUNT }, (_, n) => `c-${String(n).padStart(4, "0")}`);
    await world.stores.analytics.upsertCampaigns({
      campaigns: ids.map((id, n) =>
        campaign(id, {
          category: n % 1_000 === 999 ? "rare" : "common",
          metadata: { price: n % 100 === 99 ? 5 : 50 },
        })
      ),
    });
    await world.add(
      ids.flatMap((id, n) =>
        Array.from({ length: 1 + (n < 500 ? 1 : 0) }, (_, i) => event(`u ${i}`, "click", id))
      ),
    );
    await saveCatalogueEpoch(world.stores.analytics, { version: 1 });
    await world.publish(1);
    const clock = new ManualClock(NOW);
    const recommender = new Recommender({
      stores: world.stores,
      clock,
      answer_ms: ANSWER_MS,
    });
    const ask = async (page: { k?: number; filter?: string; category?: string; exclude?: string[] }) => {
      const answer: Answer = JSON.parse((await recommender.serve({ user_id: "new", k: 10, ...page })).body);
      assert.deepEqual(answer.degraded, []);
      return answer.items.map(({ campaign_id }) => campaign_id);
    };
    const cheap = await ask({ filter: "metadata.price < 10" });
    assert.equal(cheap.length, 10);
    assert.ok(cheap.every((id) => id.endsWith("99")));
    assert.equal((await ask({ k: 100, filter: "metadata.price < 10" })).length, 30);
    assert.deepEqual((await ask({ category: "rare" })).toSorted(), ["c-0999", "c-1999", "c-2999"]);
    assert.deepEqual(
      await ask({ category: "rare", filter: "metadata.price < 10", exclude: ["c-0999", "c-2999"] }),
      ["c-1999"],
    );
    assert.deepEqual(await ask({ filter: "metadata.price < 1" }), []);
    const top = await ask({});
    const others = await ask({ exclude: top });
    assert.equal(others.length, 10);
    assert.ok(others.every((id) => !top.includes(id)));
    clock.advance(2_000);
    // What was written after the version has no events, and is in no list of it.
    await world.stores.analytics.upsertCampaigns({
      campaigns: Array.from(
        { length: 20 },
        (_, n) => campaign(`new-${n}`, { category: "brand new", metadata: { price: 0.5 } }),
      ),
    });
    const fresh = (page: { k?: number; filter?: string; category?: string }) => ask({ k: 30, ...page });
    for (
      const page of [{ filter: "metadata.price < 1" }, { filter: 'category == "brand new"' }, {
        category: "brand new",
      }]
    ) {
      assert.equal((await fresh(page)).length, 20, JSON.stringify(page));
    }
  } finally {
    await world.close();
  }
});
