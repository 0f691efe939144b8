import assert from "node:assert/strict";
import { DAY_MS, iso } from "../../lib/core/clock.ts";
import { NOW } from "../lib/recommend/world.ts";
import { appTest, type Opened } from "./app.ts";
import { addFailedRun, DAG, pageTest } from "./pages.ts";
import { dagOf, driveRun, options as engineOptions, runToEnd } from "../fixtures/dag.ts";
import { Fail } from "../../lib/dag/types.ts";
import { T0 } from "../fixtures/runs.ts";

const READ = "a-read-key-of-32-characters-xxxx";
const ADMIN = "an-admin-key-of-32-characters-xx";
const runnable = new Map([[DAG.id, DAG]]);
const options = () => ({ runnable });
const withKeys = () => ({
  runnable,
  keys: [{ key: READ, scopes: ["read" as const] }, { key: ADMIN, scopes: ["admin" as const] }],
});

function post({ app }: Opened, path: string, body: unknown, headers: Record<string, string> = {}) {
  const json = { "content-type": "application/json", ...headers };
  return app.request(path, { method: "POST", headers: json, body: JSON.stringify(body) });
}

appTest("POST /pipeline/runs queues a run, which GET /pipeline/runs/:run_id shows", async (opened) => {
  const response = await post(opened, "/pipeline/runs", { dag_id: "small", params: { size: 5 } });
  assert.equal(response.status, 201);
  const run = await response.json();
  assert.deepEqual([run.state, run.trigger, run.params.size, run.params.mode], [
    "queued",
    "manual",
    5,
    "fast",
  ]);
  const { tasks, notes, ...read } = await (await opened.app.request(response.headers.get("location")!))
    .json();
  assert.deepEqual(notes, []);
  assert.deepEqual(read, run);
  assert.deepEqual(tasks.map(({ task_id, state }: Record<string, string>) => [task_id, state]), [
    ["first", "waiting"],
    ["second", "waiting"],
  ]);
  assert.equal((await opened.world.stores.runs.snapshot(run))?.run.state, "queued");
}, { options });

appTest("POST /pipeline/runs takes the params that a form takes, and no others", async (opened) => {
  const refusals: [unknown, RegExp][] = [
    [{ dag_id: "small", params: { files: ["/etc/passwd"] } }, /files of small is not one of .* PARLEY_FILES/],
    [{ dag_id: "small", params: { files: ["/in/a.ndjson", "/in/../etc/passwd"] } }, /PARLEY_FILES/],
    [{ dag_id: "small", params: { model: "https://elsewhere.example/v1" } }, /PARLEY_MODELS/],
    [{ dag_id: "small", params: { secret: "x" } }, /secret of small can be given on the command line alone/],
    [{ dag_id: "small", params: { size: 10 } }, /size/],
    [{ dag_id: "small", params: { unknown: 1 } }, /unknown of small can be given on the command line alone/],
    [{ dag_id: "smal" }, /dag_id names no dag.*small/],
    [{ dag_id: "small", run_id: "mine" }, /only dag_id and params are known/],
  ];
  for (const [body, sentence] of refusals) {
    const refused = await post(opened, "/pipeline/runs", body);
    assert.equal(refused.status, 400, JSON.stringify(body));
    assert.match((await refused.json()).detail, sentence);
  }
  assert.deepEqual(await opened.world.stores.runs.runs({ limit: 9 }), []);
  const params = { files: ["/in/b.ndjson"], model: "test:16" };
  assert.equal((await post(opened, "/pipeline/runs", { dag_id: "small", params })).status, 201);
}, { options });

appTest(
  "GET /pipeline/runs lists runs page by page, newest first, by dag and state",
  async ({ app, world }) => {
    // Two are created at one time: the cursor separates them.
    for (const [n, at] of [1, 2, 2, 3, 4].entries()) await addFailedRun(world.stores.runs, `r${n}`, NOW + at);
    await addFailedRun(world.stores.runs, "other", NOW + 9, { dag_id: "other" });
    const pages: string[][] = [];
    for (let next: string | null = ""; next !== null;) {
      const cursor: string = next === "" ? "" : `&cursor=${next}`;
      const page = await (await app.request(`/pipeline/runs?dag=small&state=failed&limit=2${cursor}`)).json();
      pages.push(page.runs.map(({ run_id }: { run_id: string }) => run_id));
      next = page.next;
    }
    assert.deepEqual(pages, [["r4", "r3"], ["r2", "r1"], ["r0"]]);
    const first = async (query: string) =>
      (await (await app.request(`/pipeline/runs?${query}`)).json()).runs.length;
    assert.deepEqual(await Promise.all(["", "dag=other", "state=success"].map(first)), [6, 1, 0]);
    for (const wrong of ["state=odd", "cursor=x", "limit=201", "page=2"]) {
      assert.equal((await app.request(`/pipeline/runs?${wrong}`)).status, 400, wrong);
    }
  },
  { options },
);

appTest("POST /pipeline/runs/:run_id/cancel ends a queued run once", async (opened) => {
  const { run_id } = await (await post(opened, "/pipeline/runs", { dag_id: "small" })).json();
  const cancelled = await post(opened, `/pipeline/runs/${run_id}/cancel`, {});
  assert.deepEqual([cancelled.status, (await cancelled.json()).state], [202, "cancelled"]);
  assert.equal((await post(opened, `/pipeline/runs/${run_id}/cancel`, {})).status, 409);
  assert.equal((await post(opened, "/pipeline/runs/none/cancel", {})).status, 404);
}, { options });

appTest("POST /pipeline/runs/:run_id/retry queues what failed, or one task", async (opened) => {
  const { runs } = opened.world.stores;
  await addFailedRun(runs, "r", NOW);
  assert.equal((await post(opened, "/pipeline/runs/r/retry", { task_id: "none" })).status, 400);
  const retried = await post(opened, "/pipeline/runs/r/retry", {});
  assert.equal(retried.status, 202);
  const { run, cleared } = await retried.json();
  assert.deepEqual([run.state, cleared], ["queued", ["first", "second"]]);
  assert.equal((await post(opened, "/pipeline/runs/r/retry", {})).status, 409);
  await addFailedRun(runs, "r2", NOW);
  const one = await post(opened, "/pipeline/runs/r2/retry", { task_id: "second" });
  assert.deepEqual((await one.json()).cleared, ["second"]);
  await addFailedRun(runs, "gone", NOW, { dag_id: "gone" });
  for (const id of ["none", "gone"]) {
    assert.equal((await post(opened, `/pipeline/runs/${id}/retry`, {})).status, 404);
  }
}, { options });

appTest("runs are marked, and many are cleared, by the key that is shown", async (opened) => {
  const { runs } = opened.world.stores;
  for (const [n, id] of ["a", "b"].entries()) {
    await addFailedRun(runs, id, NOW, { logical_date: iso(T0 + n * DAY_MS) });
  }
  const marked = await post(opened, "/pipeline/runs/a/mark", { state: "success", note: "closed", by: "Ann" });
  const { state, notes } = await marked.json();
  const by = notes[0].by;
  assert.deepEqual([marked.status, state, notes.length], [200, "success", 1]);
  assert.deepEqual([notes[0].task_id, notes[0].action, notes[0].note], [null, "success", "closed"]);
  assert.match(by, /^Ann/);
  for (
    const [body, status] of [[{ state: "done" }, 400], [{ state: "failed", task_id: "none" }, 400]] as const
  ) {
    assert.equal((await post(opened, "/pipeline/runs/a/mark", body)).status, status);
  }
  const order = { dag_id: "small", from: "2026-05-01", to: "2026-05-02" };
  const dry = await post(opened, "/pipeline/clear", { ...order, dry_run: true });
  assert.deepEqual(await dry.json(), { backfill_id: null, run_ids: ["b"] });
  const { backfill_id, run_ids } = await (await post(opened, "/pipeline/clear", order)).json();
  assert.deepEqual(run_ids, ["b"]);
  assert.equal((await runs.snapshot({ run_id: "b" }))?.run.backfill_id, backfill_id);
  assert.equal((await post(opened, "/pipeline/runs/b/mark", { state: "failed" })).status, 409);
  assert.equal((await post(opened, "/pipeline/clear", { dag_id: "none" })).status, 400);
}, { options });

appTest("runs are read by the scope read, and changed by admin, with JSON alone", async (opened) => {
  await addFailedRun(opened.world.stores.runs, "r", NOW);
  const before = await opened.world.stores.runs.snapshot({ run_id: "r" });
  const changes = [
    ["/pipeline/runs", { dag_id: "small" }],
    ["/pipeline/runs/r/cancel", {}],
    [
      "/pipeline/runs/r/retry",
      {},
    ],
    ["/pipeline/runs/r/mark", { state: "success" }],
    ["/pipeline/clear", { dag_id: "small" }],
  ] as const;
  const read = { authorization: `Bearer ${READ}` }, admin = { authorization: `Bearer ${ADMIN}` };
  for (const path of ["/pipeline/runs", "/pipeline/runs/r"]) {
    assert.equal((await opened.app.request(path)).status, 401);
    assert.equal((await opened.app.request(path, { headers: read })).status, 200);
  }
  for (const [path, body] of changes) {
    assert.equal((await post(opened, path, body, read)).status, 403, path);
    // As a form of another site sends it.
    const form = { ...admin, "content-type": "text/plain" };
    assert.equal((await post(opened, path, body, form)).status, 415, path);
  }
  assert.deepEqual(await opened.world.stores.runs.snapshot({ run_id: "r" }), before);
}, { options: withKeys });

appTest("GET /pipeline/runs/:run_id shows why a run failed", async ({ app, world }) => {
  await addFailedRun(world.stores.runs, "r", NOW);
  const { state, error, ended_at, tasks } = await (await app.request("/pipeline/runs/r")).json();
  assert.deepEqual([state, error, ended_at], ["failed", "first: no", iso(NOW + 1_000)]);
  assert.deepEqual([tasks[0].state, tasks[0].error, tasks[0].attempts], ["failed", "no", 1]);
  assert.equal((await app.request("/pipeline/runs/none")).status, 404);
}, { options });

/** Three days before the clock's. */
const DAYS = [4, 2].map((days) => iso(NOW - days * 86_400_000).slice(0, 10));

appTest(
  "POST /pipeline/backfills queues past days, shows its progress, and ends it on request",
  async (opened) => {
    const { app, world } = opened;
    const order = { dag_id: "small", from: DAYS[0], to: DAYS[1], backwards: true, max_active: 2 };
    const dry = await (await post(opened, "/pipeline/backfills", { ...order, dry_run: true })).json();
    assert.deepEqual([dry.backfill_id, dry.plan.length], [null, 3]);
    assert.deepEqual(await world.stores.runs.runs({ limit: 9 }), []);
    const { backfill_id, plan } = await (await post(opened, "/pipeline/backfills", order)).json();
    assert.deepEqual(plan.map(({ action }: { action: string }) => action), ["create", "create", "create"]);
    assert.ok(plan[0].logical_date > plan[2].logical_date, "the newest first");
    const read = await (await app.request(`/pipeline/backfills/${backfill_id}`)).json();
    assert.deepEqual([read.runs.queued, read.max_active, read.backwards], [3, 2, true]);
    const { backfills } = await (await app.request("/pipeline/backfills?dag=small")).json();
    assert.deepEqual(backfills, [read]);
    const { runs } = await (await app.request("/pipeline/runs")).json();
    assert.deepEqual([runs[0].trigger, runs[0].backfill_id], ["backfill", backfill_id]);
    const ended = await post(opened, `/pipeline/backfills/${backfill_id}/cancel`, {});
    assert.equal(ended.status, 202);
    assert.equal((await ended.json()).runs.cancelled, 3);
    assert.equal((await post(opened, `/pipeline/backfills/${backfill_id}/cancel`, {})).status, 409);
    assert.equal((await app.request("/pipeline/backfills/none")).status, 404);
    const refusals: [Record<string, unknown>, RegExp][] = [
      [{ dag_id: "smal" }, /dag_id names no dag/],
      [{ from: "soon" }, /from must be a day/],
      [{ params: { secret: "x" } }, /can be given on the command line alone/],
      [{ reprocess: "all" }, /reprocess must be one of none, failed, completed/],
      [{ from: "2999-01-01", to: "2999-01-02" }, /has not come yet/],
    ];
    for (const [wrong, sentence] of refusals) {
      const refused = await post(opened, "/pipeline/backfills", { ...order, ...wrong });
      assert.equal(refused.status, 400, JSON.stringify(wrong));
      assert.match((await refused.json()).detail, sentence);
    }
  },
  { options },
);

let broken = true;
const MAPPED = dagOf([
  { id: "list", run: () => Promise.resolve(["a", "b", "c"]) },
  {
    id: "each",
    needs: ["list"],
    expand: { over: "list" },
    run: (c) => {
      c.rows({ in: 5, out: 2 });
      c.log(`reads ${c.item()}`);
      return broken && c.map_index === 1 ? Promise.reject(new Fail("broken")) : Promise.resolve();
    },
  },
], { on_datasets: { any_of: [{ namespace: "file", name: "shops" }] } });

pageTest(
  "a mapped task is shown as counts, and each instance with its state, times and log",
  async ({ app, world }) => {
    const { runs } = world.stores;
    const engine = engineOptions({ runs, dag: MAPPED });
    const { run_id } = (await runToEnd(engine)).snapshot.run;
    const read = async () => (await (await app.request(`/pipeline/runs/${run_id}`)).json()).tasks;
    const tasks = await read();
    const pick = (
      { task_id, map_index, mapped, state, rows_in }: Record<string, unknown>,
    ) => [task_id, map_index, mapped, state, rows_in];
    assert.deepEqual(tasks.map(pick), [
      ["each", null, { success: 2, failed: 1 }, "failed", 15],
      ["each", 0, null, "success", 5],
      ["each", 1, null, "failed", 5],
      ["each", 2, null, "success", 5],
      ["list", null, null, "success", 0],
    ]);
    assert.ok(tasks[0].started_at <= tasks[1].started_at && tasks[0].ended_at >= tasks[3].ended_at);

    const page = async (path: string) => await (await app.request(path)).text();
    const run = await page(`/runs/${run_id}`);
    assert.match(run, /2 success, 1 failed/);
    assert.doesNotMatch(run, /id="task-each\[0\]"/);
    const instances = await page(`/runs/${run_id}?task=each`);
    assert.match(instances, /All 3 instances/);
    assert.ok(
      instances.indexOf('id="task-each[1]"') < instances.indexOf('id="task-each[0]"'),
      "the failed one first",
    );
    const log = await page(`/runs/${run_id}?task=each%5B1%5D`);
    assert.match(log, /reads b/);
    assert.doesNotMatch(log, /reads a/);
    const pipeline = await page("/pipelines/test");
    assert.match(pipeline, /each: failed \(2 success, 1 failed\)/);
    assert.match(pipeline, /Runs when one of these was written.*file shops.*Pause the schedule/s);

    broken = false;
    const retried = await app.request(`/pipeline/runs/${run_id}/retry`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ task_id: "each", map_index: 1 }),
    });
    assert.deepEqual((await retried.json()).cleared, ["each[1]"]);
    assert.equal((await driveRun(engine, run_id)).outcome, "success");
    assert.deepEqual((await read())[0].mapped, { success: 3 });
  },
  { runnable: new Map([[MAPPED.id, MAPPED as never]]) },
  { dags: new Map([[MAPPED.id, MAPPED as never]]) },
);
