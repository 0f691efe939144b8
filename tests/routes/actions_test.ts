import assert from "node:assert/strict";
import { T0 } from "../fixtures/runs.ts";
import { addFailedRun, DAG, pageTest, see, send, tokenOf } from "./pages.ts";

const PATH = `/pipelines/${DAG.id}`;
/** After the nights that are backfilled. */
const JUNE = Date.parse("2026-06-01");

pageTest("the form of a dag's params has a field for each, with its default", async ({ app }) => {
  const { html } = await see(app, PATH);
  assert.match(html, /<textarea[^>]*id="param-paths"[^>]*>a\.ndjson<\/textarea>/);
  assert.match(html, /<input type="number" step="1" value="3" min="1" max="9" id="param-size"/);
  assert.match(
    html,
    /aria-describedby="param-size-hint"[^>]*>\s*<p class="hint" id="param-size-hint">rows at once</,
  );
  assert.match(html, /<option selected>fast<\/option><option ?>full<\/option>/);
  assert.match(html, /<input type="checkbox" value="true" id="param-dry"/);
  const choices = html.match(/<input[^>]*name="param-files"[^>]*>/g) ?? [];
  assert.deepEqual(choices.map((each) => [/value="([^"]*)"/.exec(each)![1], each.includes("checked")]), [
    ...[["", false], ["/in/a.ndjson", true], ["/in/b.ndjson", false]],
    ...[["", false], ["/in/a.ndjson", true], ["/in/b.ndjson", false]],
  ]);
  assert.match(html, /<select id="param-model"[^>]*><option selected>test:8<\/option>/);
  assert.doesNotMatch(html, /name="param-secret"/);
  assert.match(html, /<code>secret<\/code> can be given on the command line only/);
  assert.match(html, /id="param-extra"[^>]*>\{\s+&quot;one&quot;: 1\s+\}</);
});

pageTest(
  "what the form says becomes the run's params, checked by the dag's schema",
  async ({ app, world }) => {
    const csrf = await tokenOf(app, PATH);
    const filled = {
      csrf,
      "param-paths": " x.ndjson \r\n\r\ny.ndjson",
      "param-size": "5",
      "param-mode": "full",
      "param-dry": "true",
      "param-label": "",
      "param-extra": '{"two": 2}',
    };
    const queued = await send(app, `${PATH}/run`, filled);
    const [run] = await world.stores.runs.runs({ limit: 1 });
    assert.equal(queued.headers.get("location"), `/runs/${run!.run_id}?notice=queued&n=0&of=0`);
    assert.deepEqual(run!.params, {
      paths: ["x.ndjson", "y.ndjson"],
      size: 5,
      mode: "full",
      dry: true,
      label: "",
      extra: { two: 2 },
      files: ["/in/a.ndjson"],
      model: "test:8",
      secret: "",
    });
    for (const wrong of [{ "param-size": "10" }, { "param-mode": "slow" }, { "param-extra": "{" }]) {
      const refused = await send(app, `${PATH}/run`, { ...filled, ...wrong });
      assert.equal(refused.status, 400);
      assert.match(await refused.text(), new RegExp(Object.keys(wrong)[0]!.replace("param-", "")));
    }
    assert.equal((await world.stores.runs.runs({ limit: 9 })).length, 1);
  },
);

pageTest(
  "a form gives no value but those that the dag lets through from outside",
  async ({ app, world, clock }) => {
    clock.advance(JUNE - clock.now());
    const csrf = await tokenOf(app, PATH);
    const dates = { from: "2026-03-28", to: "2026-03-28" };
    const refusals: [Record<string, string>, RegExp][] = [
      [{ "param-files": "/etc/passwd" }, /files of small is not one of those .* PARLEY_FILES/],
      [{ "param-files": "/in/a.ndjson\n/etc/passwd" }, /PARLEY_FILES/],
      [{ "param-files": "/in/../etc/passwd" }, /PARLEY_FILES/],
      [{ "param-model": "https://elsewhere.example/v1?model=m" }, /PARLEY_MODELS/],
      [{ "param-secret": "x" }, /secret of small can be given on the command line alone/],
    ];
    for (const [wrong, sentence] of refusals) {
      for (const [to, fields] of [["run", {}], ["backfill", dates]] as const) {
        const refused = await send(app, `${PATH}/${to}`, { csrf, ...fields, ...wrong });
        assert.equal(refused.status, 400);
        assert.match(await refused.text(), sentence);
      }
    }
    assert.deepEqual(await world.stores.runs.runs({ limit: 9 }), []);
    await send(app, `${PATH}/run`, { csrf, "param-files": "/in/b.ndjson", "param-model": "test:16" });
    await send(app, `${PATH}/run`, { csrf, "param-files": "" });
    const given = (await world.stores.runs.runs({ limit: 9 })).map((
      { params },
    ) => [params.files, params.model]);
    assert.deepEqual(given.toSorted(), [[[], "test:8"], [["/in/b.ndjson"], "test:16"]]);
  },
);

pageTest("a schedule is paused and resumed", async ({ app, world }) => {
  const csrf = await tokenOf(app, PATH);
  await send(app, `${PATH}/pause`, { csrf, paused: "true" });
  assert.deepEqual(await world.stores.runs.paused(), [DAG.id]);
  assert.match((await see(app, PATH)).html, /Resume the schedule/);
  await send(app, `${PATH}/pause`, { csrf, paused: "false" });
  assert.deepEqual(await world.stores.runs.paused(), []);
});

pageTest(
  "a backfill makes each night's run once, also on the night without the hour",
  async ({ app, world, clock }) => {
    clock.advance(JUNE - clock.now());
    const csrf = await tokenOf(app, PATH);
    const order = { csrf, from: "2026-03-28", to: "2026-03-30" };
    const made = await send(app, `${PATH}/backfill`, order);
    assert.equal(made.headers.get("location"), `${PATH}?notice=backfilled&n=3&of=3`);
    const runs = await world.stores.runs.runs({ limit: 9 });
    assert.deepEqual(runs.map(({ logical_date }) => logical_date).sort(), [
      "2026-03-28T01:30:00.000Z",
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
    const repeated = await send(app, `${PATH}/backfill`, { ...order, to: "2026-03-31" });
    const to = repeated.headers.get("location") ?? "";
    assert.match((await see(app, to)).html, /1 run queued; 3 of 4 occurrences had a run already\./);
    await send(app, `${PATH}/backfill`, { csrf, from: "2026-04-02", to: "2026-04-02", "param-size": "7" });
    const sizes = (await world.stores.runs.runs({ limit: 9 })).map(({ params }) => params.size);
    assert.deepEqual(sizes, [7, 3, 3, 3, 3], "the newest made has its own");
    assert.match((await see(app, PATH)).html, /id="backfill-size" name="param-size"/);
    for (
      const wrong of [{ "param-size": "10" }, { from: "x" }, { from: "2026-04-01" }, { from: "2020-01-01" }]
    ) {
      assert.equal((await send(app, `${PATH}/backfill`, { ...order, ...wrong })).status, 400);
    }
  },
);

pageTest(
  "a backfill leaves out nights that have not come, and is refused if none has",
  async ({ app, world, clock }) => {
    const csrf = await tokenOf(app, PATH);
    const day = (days: number) => new Date(clock.now() + days * 86_400_000).toISOString().slice(0, 10);
    const refused = await send(app, `${PATH}/backfill`, { csrf, from: day(2), to: day(4) });
    assert.equal(refused.status, 400);
    assert.match(await refused.text(), new RegExp(`${day(2)} has not come yet`));
    const reversed = await send(app, `${PATH}/backfill`, { csrf, from: day(-2), to: day(-4) });
    assert.match(await reversed.text(), new RegExp(`${day(-2)} is after ${day(-4)}`));
    assert.deepEqual(await world.stores.runs.runs({ limit: 9 }), []);
    await send(app, `${PATH}/backfill`, { csrf, from: day(-2), to: day(4) });
    const made = (await world.stores.runs.runs({ limit: 9 })).map(({ logical_date }) => logical_date);
    assert.ok(made.length >= 2 && made.every((date) => Date.parse(date) <= clock.now()), made.join());
  },
);

pageTest("a run is marked and many are cleared, with a note that its page shows", async ({ app, world }) => {
  const { runs } = world.stores;
  for (const id of ["r1", "r2"]) await addFailedRun(runs, id, T0);
  const csrf = await tokenOf(app, "/runs/r1");
  const mark = { state: "success", task: "", note: "the shop was <closed>", by: "Ann" };
  assert.equal((await send(app, "/runs/r1/mark", mark)).status, 403, "without the token of the session");
  const marked = await send(app, "/runs/r1/mark", { csrf, ...mark });
  assert.equal(marked.headers.get("location"), "/runs/r1?notice=marked&n=0&of=0");
  const { html } = await see(app, "/runs/r1");
  assert.match(html, /The run was marked as success by Ann, .*?: the shop was &lt;closed&gt;/s);
  assert.equal((await send(app, "/runs/r1/mark", { csrf, state: "running" })).status, 400);
  assert.match(
    (await see(app, `${PATH}?state=failed`)).html,
    /<option selected="">failed|<option selected>failed/,
  );
  const cleared = await send(app, `${PATH}/clear`, { csrf, state: "failed", by: "Ann", note: "again" });
  assert.equal(cleared.headers.get("location"), `${PATH}?notice=cleared&n=1&of=1`);
  assert.equal((await runs.snapshot({ run_id: "r2" }))?.run.state, "queued");
  assert.match((await see(app, "/runs/r2")).html, /The run was cleared by Ann, .*?: again/s);
});

pageTest("a task is run again with all that needs it; what failed, by one button", async ({ app, world }) => {
  const { runs } = world.stores;
  await addFailedRun(runs, "r1", T0);
  const { html } = await see(app, "/runs/r1");
  assert.match(html, /Retry what failed/);
  assert.equal(html.match(/Retry from here/g)?.length, 1, "only for what has run");
  const csrf = await tokenOf(app, "/runs/r1");
  const retried = await send(app, "/runs/r1/retry", { csrf });
  assert.equal(retried.headers.get("location"), "/runs/r1?notice=retried&n=2&of=2");
  const after = (await runs.snapshot({ run_id: "r1" }))!;
  assert.deepEqual([after.run.state, ...after.tasks.map(({ state }) => state)], [
    "queued",
    "waiting",
    "waiting",
  ]);
  assert.equal((await send(app, "/runs/r1/retry", { csrf, task: "first" })).status, 409, "it has not ended");
  const cancelled = await send(app, "/runs/r1/cancel", { csrf });
  assert.equal(cancelled.headers.get("location"), "/runs/r1?notice=cancelling&n=0&of=0");
  assert.equal((await send(app, "/runs/r1/retry", { csrf, task: "third" })).status, 400);
  assert.equal((await send(app, "/runs/r1/retry", { csrf, task: "first" })).status, 303);
  assert.equal((await send(app, "/runs/none/retry", { csrf })).status, 404);
  await addFailedRun(runs, "outside", T0, { trigger: "external" });
  const reopened = (await send(app, "/runs/outside/retry", { csrf })).headers.get("location")!;
  assert.equal(reopened, "/runs/outside?notice=reopened&n=2&of=2");
  assert.match((await see(app, reopened)).html, /2 tasks can be run again by the external engine/);
});

pageTest("a page shows no text from its URL", async ({ app }) => {
  const { html } = await see(app, `${PATH}?notice=<script>alert(1)</script>&n=7&task="><img>`);
  assert.doesNotMatch(html, /<script>alert|<img>|role="status">[^<]*alert/);
  assert.doesNotMatch((await see(app, `${PATH}?notice=constructor`)).html, /class="notice"/);
});
