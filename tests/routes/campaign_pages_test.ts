import assert from "node:assert/strict";
import { DAY_MS, iso } from "../../lib/core/clock.ts";
import * as rows from "../fixtures/rows.ts";
import { emptyWorld, fails, faulty, NOW, openWorld } from "../lib/recommend/world.ts";
import { pageTest, see } from "./pages.ts";

const PEOPLE = ["ann", "bob", "cat", "dan", "eve", "fay"];
/** The text of a page as its reader sees it. */
const textOf = (html: string) => html.replaceAll(/<[^>]+>/g, " ").replaceAll(/\s+/g, " ");

pageTest(
  "campaigns lists the catalogue, searches it, and leads from page to page",
  async ({ app, world }) => {
    const more = Array.from({ length: 60 }, (_, n) =>
      rows.campaign({
        campaign_id: `m${String(n).padStart(2, "0")}`,
        title: `Mat <${n}>`,
        category: "mats",
      }));
    await world.stores.analytics.upsertCampaigns({ campaigns: more });
    const { status, html } = await see(app, "/campaigns?category=mats");
    assert.equal(status, 200);
    assert.match(html, /<a href="\/campaigns\/m00">Mat &lt;0&gt;<\/a>/);
    assert.equal(html.match(/href="\/campaigns\/m/g)!.length, 50);
    const [, next] = /rel="next" href="([^"]+)"/.exec(html)!;
    const second = await see(app, next!.replaceAll("&amp;", "&"));
    assert.equal(second.html.match(/href="\/campaigns\/m/g)!.length, 10);
    assert.doesNotMatch(second.html, /rel="next"/);
    const found = await see(app, "/campaigns?q=g1&status=active");
    assert.match(found.html, /href="\/campaigns\/g1"/);
    assert.doesNotMatch(found.html, /href="\/campaigns\/k1"/);
    assert.match(found.html, /value="g1"/);
    assert.match((await see(app, "/campaigns?q=nothing")).html, /No such campaigns/);
  },
);

pageTest("campaigns is JSON for a client that is no browser", async ({ app }) => {
  for (const path of ["/campaigns", "/campaigns/g1"]) {
    const response = await app.request(path);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.equal(response.headers.get("vary"), "accept");
    await response.body?.cancel();
    assert.match((await see(app, path)).response.headers.get("content-type")!, /^text\/html/);
  }
});

pageTest(
  "a campaign's page says who sees it, why and how it does, and names no user",
  async ({ app, world }) => {
    const { analytics } = world.stores;
    const at = (days: number) => iso(NOW - days * DAY_MS);
    await analytics.upsertEvents({
      events: [
        rows.event({
          user_id: "ann",
          campaign_id: "g1",
          type: "impression",
          timestamp: at(1),
          metadata: { strategy: "personal" },
        }),
        rows.event({ user_id: "cat", campaign_id: "g1", type: "impression", timestamp: at(3) }),
        rows.event({ user_id: "cat", campaign_id: "g1", type: "click", timestamp: at(3) }),
      ],
    });
    const { status, html } = await see(app, "/campaigns/g1?days=30");
    assert.equal(status, 200);
    const text = textOf(html);
    assert.match(text, /answers to the 3 users of its newest events/, "ann, bob and cat");
    assert.match(text, /Shown now 2 of 3/);
    assert.match(text, /Left out 1 of 3/, "bob converted");
    assert.match(text, /plants 1 yes/);
    assert.match(text, /people asked for something like this \d/);
    assert.match(text, /personal 1 0/);
    assert.match(text, /Impressions 2 Clicks 2/);
    assert.match(html, /<a href="\/campaigns\/g3">/, "a similar one");
    for (const user of PEOPLE) assert.doesNotMatch(text, new RegExp(`\\b${user}\\b`), user);
  },
);

pageTest(
  "a campaign's page says why it is not shown, and that nothing names it yet",
  async ({ app, world }) => {
    await world.stores.analytics.upsertCampaigns({
      campaigns: [rows.campaign({ campaign_id: "a/b é", title: "<b>Odd</b>", metadata: { price: 3 } })],
    });
    const odd = await see(app, "/campaigns/a%2Fb%20%C3%A9");
    assert.match(odd.html, /<h1>&lt;b&gt;Odd&lt;\/b&gt;<\/h1>/);
    assert.match(odd.html, /No event names it/);
    const notes = { "g-paused": /it is paused/, "g-ended": /it ended/, "g-future": /it starts/ };
    for (const [id, note] of Object.entries(notes)) {
      const { html } = await see(app, `/campaigns/${id}`);
      assert.match(textOf(html), note);
    }
    const missing = await see(app, "/campaigns/missing");
    assert.equal(missing.status, 404);
    assert.match(missing.html, /no campaign with this id/);
    assert.equal((await see(app, "/campaigns/g1?days=12")).status, 400);
  },
);

for (const store of ["vectors", "graph", "analytics"] as const) {
  const open = async () => {
    const world = await openWorld();
    return { ...world, stores: { ...world.stores, [store]: faulty(world.stores[store], fails) } };
  };
  pageTest(
    `a campaign's page shows the rest while ${store} does not answer`,
    async ({ app }) => {
      const { status, html } = await see(app, "/campaigns/g1");
      assert.equal(status, 200);
      assert.match(html, /did not answer/);
      if (store !== "analytics") assert.match(html, /<h1>/);
    },
    {},
    {},
    open,
  );
}

pageTest(
  "campaigns and a campaign are shown before anything is published",
  async ({ app, world }) => {
    await world.stores.analytics.upsertCampaigns({
      campaigns: [rows.campaign({ campaign_id: "x", title: "Ex" })],
    });
    assert.match((await see(app, "/campaigns")).html, /nothing is published yet/);
    const { status, html } = await see(app, "/campaigns/x");
    assert.equal(status, 200);
    assert.match(html, /nothing is published yet/);
  },
  {},
  {},
  emptyWorld,
);
