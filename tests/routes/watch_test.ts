import assert from "node:assert/strict";
import { event } from "../lib/recommend/samples.ts";
import { addRun } from "../fixtures/runs.ts";
import { addFailedRun, DAG, pageTest, see } from "./pages.ts";

const DAY = 86_400_000;

pageTest("an anomaly is shown with the history that makes it visible", async ({ app, world, clock }) => {
  for (let n = 20; n >= 1; n--) {
    const rows = n === 1 ? 90 : 1_000 + 10 * (n % 3);
    const at = clock.now() - n * DAY;
    await addRun(world.stores.runs, { dag_id: DAG.id, run_id: `r${n}`, at, task_id: "first", rows });
  }
  const { html } = await see(app, "/anomalies");
  assert.match(html, /small\/first <code>rows_unusual<\/code>/);
  assert.match(html, /<dt>Is<\/dt><dd><strong>90 rows<\/strong>/);
  assert.match(html, /<dt>Should be<\/dt><dd>1,0\d\d rows<span class="muted">.*is usual\)/);
  assert.match(html, /20 values, newest last: [^"]*90 rows; 1,0\d\d rows expected, [^"]* usual"/);
  assert.match(html, /<rect class="usual"/);
  assert.doesNotMatch((await see(app, "/anomalies?severity=critical")).html, /rows_unusual/);
});

pageTest(
  "an anomaly that has ended is listed among past ones, with its end",
  async ({ app, world, clock }) => {
    await addFailedRun(world.stores.runs, "bad", clock.now() - 2 * DAY);
    const at = clock.now() - DAY;
    await addRun(world.stores.runs, { dag_id: DAG.id, run_id: "good", at, task_id: "first" });
    const { html } = await see(app, "/anomalies");
    assert.match(
      html,
      /<table id="past"[^>]*>[\s\S]*Until[\s\S]*The last run of small failed[\s\S]*23 h ago/,
    );
  },
);

pageTest(
  "engagement has rates with intervals by day, campaign, intent and strategy",
  async ({ app, world, clock }) => {
    const timestamp = new Date(clock.now() - DAY).toISOString();
    const shown = Array.from({ length: 30 }, (_, i) => event(`u${i}`, "impression", "g1"));
    const clicked = Array.from({ length: 6 }, (_, i) => event(`u${i}`, "click", "g1"));
    await world.add([...shown, ...clicked].map((one, i) => ({
      ...one,
      event_id: `x${i}`,
      timestamp,
      metadata: i % 2 === 0 ? { strategy: "personal" } : null,
    })));
    const { html } = await see(app, "/engagement?days=7");
    assert.match(html, /Title of g1[\s\S]*20 %[\s\S]*9\.5 % – 37 %/);
    assert.match(html, /plants[\s\S]*20 %/);
    assert.match(html, /By strategy[\s\S]*personal[\s\S]*not named/);
    assert.match(html, /Click rate, with 95 % intervals/);
    const sorted = (await see(app, "/engagement?days=7&campaigns-sort=-impressions")).html;
    assert.match(sorted, /aria-sort="descending"[^>]*><a[^>]*>Impressions/);
  },
);

pageTest("stores shows which circuit is open", async ({ app, world }) => {
  await world.stores.graph.close();
  for (let i = 0; i < 6; i++) await app.request(`/recommendations/u${i}`);
  const { html } = await see(app, "/stores");
  assert.match(html, /graph does not answer/);
  assert.match(html, /open: answers lack graph/);
  assert.match(html, /PARLEY_GRAPH/);
});

pageTest("engagement refuses days that it does not show", async ({ app }) => {
  for (const days of ["abc", "", "8"]) {
    const { status, html } = await see(app, `/engagement?days=${days}`);
    assert.equal(status, 400);
    assert.match(html, /Days must be one of 7, 30, 90, 365/);
  }
});
