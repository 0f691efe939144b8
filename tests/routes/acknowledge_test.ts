import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { addRun, leadAt } from "../fixtures/runs.ts";
import { addFailedRun, pageTest, see, send, tokenOf } from "./pages.ts";

const ID = "run_failed:small/first";
const PATH = "/pipeline/anomalies/acknowledge";
const ADMIN = "admin-key-of-16+", READER = "reader-key-of-16";
const KEYS = [{ key: ADMIN, scopes: ["admin"] as const }, { key: READER, scopes: ["read"] as const }];

const post = (app: Hono, body: unknown, headers: Record<string, string> = {}) =>
  app.request(PATH, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

async function found(app: Hono, headers: Record<string, string> = {}) {
  const { health, open } = await (await app.request("/pipeline/anomalies", { headers })).json();
  return {
    ...health,
    open: open.map(({ id, acknowledged }: { id: string; acknowledged: unknown }) => [id, acknowledged]),
  };
}

pageTest(
  "an anomaly is acknowledged by a form: it is still listed, and does not count until its time",
  async ({ app, world, clock }) => {
    const { runs } = world.stores;
    await leadAt(runs, clock.now());
    await addFailedRun(runs, "r1", clock.now() - 60_000);
    assert.equal((await found(app)).status, "critical");
    const csrf = await tokenOf(app, "/anomalies");
    const done = await send(app, "/anomalies/acknowledge", { csrf, id: ID, until: "1h", by: "Ann" });
    assert.equal(done.headers.get("location"), "/anomalies?notice=acknowledged&n=0&of=0");
    const { html } = await see(app, "/anomalies");
    assert.match(
      html,
      /acknowledged<\/span> by Ann on <time[^>]*>[^<]*<\/time>; not counted until <time[^>]*>/,
    );
    assert.match(html, /Critical<\/dt><dd><span class="value">0</);
    assert.match(
      html.slice(html.indexOf('id="notifications"')),
      /No sink is configured.*small failed at first/s,
    );
    const overview = (await see(app, "/")).html;
    assert.match(
      overview,
      /<p class="lead">Known and acknowledged: The last run of small failed at first: no\./,
    );
    assert.match(overview, /Acknowledged by Ann until/);
    assert.equal((await found(app)).status, "acknowledged");
    clock.advance(3_600_001);
    await leadAt(runs, clock.now());
    assert.equal((await found(app)).status, "critical", "its time has come");
  },
);

pageTest("an anomaly that begins again counts, whatever was acknowledged", async ({ app, world, clock }) => {
  const { runs } = world.stores;
  await leadAt(runs, clock.now());
  await addFailedRun(runs, "r1", clock.now() - 60_000);
  assert.equal((await post(app, { id: ID, until: "30d" })).status, 200);
  assert.equal((await found(app)).status, "acknowledged");
  await addFailedRun(runs, "r2", clock.now() - 30_000);
  assert.equal((await found(app)).status, "acknowledged", "it is still open");
  await addRun(runs, { dag_id: "small", run_id: "r3", at: clock.now() - 20_000, task_id: "first" });
  await addFailedRun(runs, "r4", clock.now() - 10_000);
  assert.equal((await found(app)).status, "critical");
});

pageTest(
  "POST /pipeline/anomalies/acknowledge takes back what it acknowledged",
  async ({ app, world, clock }) => {
    await leadAt(world.stores.runs, clock.now());
    await addFailedRun(world.stores.runs, "r1", clock.now() - 60_000);
    await post(app, { id: ID, until: "8h" });
    assert.equal((await post(app, { id: ID, until: null })).status, 204);
    assert.equal((await found(app)).status, "critical");
    assert.equal((await post(app, { id: ID, until: null })).status, 404);
  },
);

pageTest(
  "POST /pipeline/anomalies/acknowledge refuses what it cannot mean, and what a page elsewhere can send",
  async ({ app, world, clock }) => {
    await addFailedRun(world.stores.runs, "r1", clock.now() - 60_000);
    const wrong: [unknown, number][] = [
      [{ id: ID, until: "soon" }, 400],
      [{ id: ID, until: "91d" }, 400],
      [{ id: ID }, 400],
      [{ id: ID, until: "8h", by: "a\nb" }, 400],
      [{ id: ID, until: "8h", more: 1 }, 400],
      [{ id: "run_failed:other", until: "8h" }, 404],
    ];
    for (const [body, status] of wrong) {
      assert.equal((await post(app, body)).status, status, JSON.stringify(body));
    }
    const plain = await post(app, { id: ID, until: "8h" }, { "content-type": "text/plain" });
    assert.equal(plain.status, 415);
    assert.deepEqual(await world.stores.runs.acknowledgements(), []);
  },
);

pageTest(
  "the author of an acknowledgement is the key that was used, and no reader may acknowledge",
  async ({ app, world, clock }) => {
    await addFailedRun(world.stores.runs, "r1", clock.now() - 60_000);
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    assert.equal((await post(app, { id: ID, until: "8h" }, as(READER))).status, 403);
    assert.equal((await post(app, { id: ID, until: "8h" })).status, 401);
    const { by } = await (await post(app, { id: ID, until: "8h", by: "Ann" }, as(ADMIN))).json();
    assert.match(by, /^Ann \(key [0-9a-f]{8}\)$/);
    assert.doesNotMatch(by, new RegExp(ADMIN.slice(0, 6)));
  },
  { keys: KEYS },
);
