import assert from "node:assert/strict";
import { emptyWorld } from "../lib/recommend/world.ts";
import { addFailedRun, pageTest, see } from "./pages.ts";

pageTest(
  "the overview says what to do while nothing is published",
  async ({ app }) => {
    const { html } = await see(app, "/");
    assert.match(html, /Nothing has run yet\.[\s\S]*<code>deno task pipeline<\/code>/);
  },
  {},
  {},
  emptyWorld,
);

pageTest("the overview names what failed and leads to it", async ({ app, world, clock }) => {
  await addFailedRun(world.stores.runs, "r1", clock.now() - 60_000);
  const { html } = await see(app, "/");
  assert.match(html, /<p class="lead">The last run of small failed at first: no\.<\/p>/);
  assert.match(html, /<a href="\/runs\/r1">Open the run<\/a>/);
});

pageTest("the overview counts the answers of this process", async ({ app }) => {
  for (let i = 0; i < 4; i++) await app.request("/recommendations/ann");
  const { html } = await see(app, "/");
  assert.match(html, /From the cache<\/dt><dd><span class="value">75 %/);
});

pageTest(
  "the overview works while a store is down, and says which part is missing",
  async ({ app, world }) => {
    await world.stores.analytics.close();
    const { status, html } = await see(app, "/");
    assert.equal(status, 200);
    assert.match(html, /The analytics store did not answer/);
    assert.match(html, /<code>deno task doctor<\/code>/);
  },
);

pageTest("the overview and the anomalies name a store that does not answer, once", async ({ app, world }) => {
  const { graph, analytics } = world.stores;
  graph.health = () => new Promise(() => {});
  await analytics.close();
  const { html } = await see(app, "/");
  assert.match(html, /<p class="lead">The graph store does not answer\.<\/p><p>Timed out after 1000 ms/);
  assert.match(html, /1 more problem:<\/p><ul><li>The analytics store does not answer\./);
  const { open } = await (await app.request("/pipeline/anomalies")).json();
  const unreachable = open.filter(({ code }: { code: string }) => code === "store_unreachable");
  const stores = unreachable.map(({ subject }: { subject: { store: string } }) => subject.store);
  assert.deepEqual(stores.sort(), ["analytics", "graph"]);
});

pageTest(
  "the overview reports within seconds that a store fails and that it is back",
  async ({ app, world, clock }) => {
    const { graph } = world.stores;
    const health = graph.health.bind(graph);
    const isReported = async () => {
      clock.advance(3_001);
      return (await see(app, "/")).html.includes("The graph store does not answer");
    };
    assert.equal(await isReported(), false);
    graph.health = () => Promise.reject(new TypeError("fetch failed"));
    assert.equal(await isReported(), true);
    graph.health = health;
    assert.equal(await isReported(), false);
  },
);
