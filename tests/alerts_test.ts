/** The alerts of docs/deploy/alerts.yml, on what `/metrics` gives. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import type { Hono } from "../deps.ts";
import { SqliteGraph } from "../lib/stores/graph/sqlite/sqlite_graph.ts";
import { openDeterministic } from "../lib/embed/deterministic_embedder.ts";
import type { Embedder } from "../lib/embed/port.ts";
import { acknowledge } from "../lib/monitoring/acknowledge.ts";
import { addRun } from "./fixtures/runs.ts";
import { ROOT } from "./fixtures/flow.ts";
import { until } from "./fixtures/until.ts";
import { emptyWorld, fails, NOW, openWorld } from "./lib/recommend/world.ts";
import { appTest, type Opened } from "./routes/app.ts";

const { groups: [{ rules }] } = parse(Deno.readTextFileSync(`${ROOT}docs/deploy/alerts.yml`)) as {
  groups: [{ rules: { alert: string; expr: string; for?: string; annotations: { summary: string } }[] }];
};
/** Expressions by what each says. How long one must hold is left to Prometheus. */
const ALERTS = new Map(rules.map(({ expr, annotations: { summary } }) => [summary, expr]));

/** What one scrape gave: values by series. `at` is in seconds. */
interface Scrape {
  readonly at: number;
  readonly series: ReadonlyMap<string, number>;
}

async function scrape({ app, clock }: Pick<Opened, "app" | "clock">): Promise<Scrape> {
  const text = await (await app.request("/metrics")).text();
  const samples = [...text.matchAll(/^([a-z_]+(?:\{.*\})?) (\S+)$/gm)];
  return {
    at: clock.now() / 1_000,
    series: new Map(samples.map(([, name, value]) => [name!, Number(value!.replace("Inf", "Infinity"))])),
  };
}

const SECONDS: Readonly<Record<string, number>> = { m: 60, h: 3_600 };

/**
 * Whether an alert fires at the last of some scrapes. It knows as much of Prometheus' language as the alerts use: a comparison of
 * products of numbers, series, `sum(rate())` and `min_over_time()`, or with `time()` less such a product, and `unless on()` another
 * comparison. A series that one scrape alone has is no rate.
 */
function fires(expression: string, scrapes: readonly Scrape[]): boolean {
  const [wanted, unless] = expression.split(" unless on() ");
  if (unless !== undefined) return fires(wanted!, scrapes) && !fires(unless, scrapes);
  const last = scrapes.at(-1)!;
  const valuesOf = (name: string, labels: string, window_s: number) => {
    const within = scrapes.filter(({ at }) => at >= last.at - window_s);
    const named = (series: string) => series.replace(/\{.*/, "") === name && series.includes(labels);
    return [...last.series.keys()].filter(named).map((series) =>
      within.flatMap(({ at, series: all }) => all.has(series) ? [{ at, value: all.get(series)! }] : [])
    );
  };
  const term = (text: string): number[] => {
    const [, call = "", name = "", labels = "", count = "0", unit = "m"] =
      /^(?:([a-z_()]+)\()?([a-z_]+)(?:\{(.+)\})?(?:\[(\d+)([mh])\]\)+)?$/.exec(text) ?? [];
    const series = valuesOf(name, labels, Number(count) * SECONDS[unit]!);
    if (/^[\d.]+$/.test(text)) return [Number(text)];
    if (call === "min_over_time") return series.map((one) => Math.min(...one.map(({ value }) => value)));
    if (call === "sum(rate") {
      const rates = series.flatMap((one) =>
        one.length < 2 ? [] : [(one.at(-1)!.value - one[0]!.value) / (one.at(-1)!.at - one[0]!.at)]
      );
      return rates.length === 0 ? [] : [rates.reduce((sum, rate) => sum + rate)];
    }
    assert.ok(call === "" && name !== "", `this test does not know ${text}`);
    return series.map((one) => one.at(-1)!.value);
  };
  const product = (text: string): number[] =>
    text.startsWith("time() - ")
      ? product(text.slice("time() - ".length)).map((value) => last.at - value)
      : text.split(" * ").map(term).reduce((left, right) => left.flatMap((a) => right.map((b) => a * b)));
  const [, left, operator, right] = /^(.+) (>|==) (.+)$/.exec(expression)!;
  const [limit] = product(right!);
  return limit !== undefined &&
    product(left!).some((value) => operator === ">" ? value > limit : value === limit);
}

/** The alerts that fire. */
const firing = (...scrapes: Scrape[]) =>
  [...ALERTS].filter(([, expression]) => fires(expression, scrapes)).map(([text]) => text);

const CRITICAL = "`deno task pipeline anomalies` says what is wrong and what to do";
const OLD = "the nightly run has not published, nor found that nothing is new";
const DOWN = "a store does not respond, or lost its rows";
const DEGRADED = "more than 1 % of answers lack a part";
const LATE = "more is written than this process derives: answers are late";
const UNSENT = "some lineage does not reach its sink";

Deno.test("docs/deploy/alerts.yml has six alerts", () => {
  assert.deepEqual([...ALERTS.keys()], [CRITICAL, OLD, DOWN, DEGRADED, LATE, UNSENT]);
});

const HOUR = 3_600_000;
const LINEAGE = { options: () => ({ lineage: true }) };

/** Asks for the answers of `count` users, each for the first time. */
async function ask(app: Hono, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await app.request(`/recommendations/${crypto.randomUUID()}`);
}

appTest(
  "the alerts name only metrics that /metrics exposes, and none fires while all is well",
  async (options) => {
    const first = await scrape(options);
    const exposed = new Set([...first.series.keys()].map((series) => series.replace(/\{.*/, "")));
    // It appears with the first run that is skipped.
    exposed.add("parley_run_last_skipped_timestamp_seconds");
    const named = [...ALERTS.values()].flatMap((expression) => expression.match(/parley_[a-z_]+/g)!);
    assert.deepEqual(named.filter((name) => !exposed.has(name)), []);
    await ask(options.app, 5);
    options.clock.advance(60_000);
    assert.deepEqual(firing(first, await scrape(options)), []);
  },
  LINEAGE,
);

appTest("an alert fires once the published version is older than 26 hours", async (options) => {
  const { at } = (await options.world.stores.analytics.published())!;
  options.clock.advance(Date.parse(at) + 26 * HOUR - NOW);
  assert.deepEqual(firing(await scrape(options)), []);
  options.clock.advance(6_000);
  assert.deepEqual(firing(await scrape(options)), [OLD]);
});

appTest(
  "no alert fires for an old version if the nightly run had nothing to do within 26 hours",
  async (options) => {
    const { runs } = options.world.stores;
    options.clock.advance(30 * HOUR);
    const skipped = async (dag_id: string, at: number) => {
      await addRun(runs, { run_id: `${dag_id} ${at}`, dag_id, at, task_id: "ingest", error: "nothing new" });
      options.clock.advance(6_000);
      return firing(await scrape(options));
    };
    assert.deepEqual(await skipped("nightly", NOW), [OLD]);
    assert.deepEqual(await skipped("reembed", NOW + 29 * HOUR), [OLD]);
    assert.deepEqual(await skipped("nightly", NOW + 29 * HOUR), []);
    options.clock.advance(26 * HOUR);
    assert.deepEqual(firing(await scrape(options)), [OLD]);
  },
);

appTest("an alert fires while nothing has ever been published", async (options) => {
  const scraped = await scrape(options);
  assert.equal(scraped.series.get("parley_published_age_seconds"), Infinity);
  assert.ok(firing(scraped).includes(OLD));
}, { open: emptyWorld });

const NIGHTLY = { id: "nightly", tasks: [{ id: "ingest", role: "ingest" }] };
appTest("an alert fires if a source is gone, until that is acknowledged", async (options) => {
  const { runs } = options.world.stores;
  const { app, clock } = options;
  assert.deepEqual(firing(await scrape(options)), []);
  const path = { kind: "messages", path: "/chats" };
  const output = { sources: [], given: [path], failed: [{ ...path, error: "is gone" }] };
  const run = { run_id: "one", dag_id: NIGHTLY.id, at: NOW, task_id: "ingest", output };
  await addRun(runs, { ...run, error: "/chats is gone" });
  clock.advance(6_000);
  const scraped = await scrape(options);
  assert.deepEqual(firing(scraped), [CRITICAL]);
  const { health, open } = await (await app.request("/pipeline/anomalies")).json();
  assert.deepEqual(
    ["critical", "warning"].map((severity) => scraped.series.get(`parley_anomalies{severity="${severity}"}`)),
    [health.critical, health.warnings],
  );
  await acknowledge({ runs, open, clock, id: health.anomaly_id, until: "8h", by: "ann" });
  clock.advance(6_000);
  assert.deepEqual(firing(await scrape(options)), []);
}, { options: () => ({ dags: [NIGHTLY] }) });

let isDown = false;
const fickleGraph: { open: typeof openWorld } = {
  open: async () => {
    const world = await openWorld();
    const graph = new Proxy(world.stores.graph, {
      get: (store, name) => {
        const value = Reflect.get(store, name);
        if (typeof value !== "function") return value;
        return isDown && name !== "close" ? fails : value.bind(store);
      },
    });
    return { ...world, stores: { ...world.stores, graph } };
  },
};

appTest("an alert fires while a store does not answer", async (options) => {
  isDown = false;
  assert.deepEqual(firing(await scrape(options)), []);
  isDown = true;
  options.clock.advance(6_000);
  assert.deepEqual(firing(await scrape(options)), [CRITICAL, DOWN]);
  isDown = false;
  options.clock.advance(6_000);
  assert.deepEqual(firing(await scrape(options)), []);
}, fickleGraph);

appTest("an alert fires while a store of the published version is empty", async (options) => {
  assert.deepEqual(firing(await scrape(options)), [CRITICAL, DOWN]);
}, {
  open: async () => {
    const { stores, ...world } = await openWorld();
    await stores.graph.close();
    return { ...world, stores: { ...stores, graph: new SqliteGraph({ path: ":memory:" }) } };
  },
});

appTest(
  "an alert fires if more than 1 % of answers lack a part, from the first outage on",
  async (options) => {
    const asked = async (whole: number, lacking: number) => {
      const before = await scrape(options);
      await ask(options.app, whole);
      isDown = true;
      await ask(options.app, lacking);
      isDown = false;
      options.clock.advance(60_000);
      return firing(before, await scrape(options));
    };
    isDown = false;
    assert.deepEqual(await asked(97, 3), [DEGRADED], "the first ones");
    assert.deepEqual(await asked(100, 0), [], "it is over");
    assert.deepEqual(await asked(198, 2), [], "not more than 1 %");
    assert.deepEqual(await asked(197, 3), [DEGRADED]);
  },
  fickleGraph,
);

appTest(
  "an alert fires if lineage waits for two hours, and not if all of it was sent meanwhile",
  async (options) => {
    const { runs } = options.world.stores;
    const add = (run_id: string) => addRun(runs, { run_id, dag_id: "d", at: NOW, task_id: "a" });
    const sent = (run_id: string) =>
      runs.markSent({ attempts: [{ run_id, task_id: "a", attempt: 1 }], again_at: null });
    const scrapes: Scrape[] = [];
    const later = async () => {
      options.clock.advance(HOUR);
      scrapes.push(await scrape(options));
      return firing(...scrapes).includes(UNSENT);
    };
    assert.equal(await later(), false);
    await add("one");
    assert.deepEqual([await later(), await later(), await later()], [false, false, true]);
    await add("two");
    await sent("one");
    assert.equal(await later(), true, "another one waits");
    await sent("two");
    assert.equal(await later(), false);
  },
  LINEAGE,
);

const opening = Promise.withResolvers<Embedder>();
appTest("an alert fires ten minutes after writes are ahead of what is derived of them", async (options) => {
  const { app, clock } = options;
  const depth = 'parley_derivation_queue_depth{kind="users"}';
  const user_ids = Array.from({ length: 150 }, (_, n) => `user-${n}`);
  const timestamp = new Date(clock.now()).toISOString();
  const rows = user_ids.map((user_id) => ({ user_id, message: "Hello there", timestamp }));
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(rows);
  assert.equal((await app.request("/messages", { method: "POST", headers, body })).status, 200);
  const scrapes = [await scrape(options)];
  assert.ok(scrapes[0]!.series.get(depth)! > 100);
  for (let minute = 0; minute < 20; minute++) {
    clock.advance(60_000);
    scrapes.push(await scrape(options));
  }
  assert.ok(firing(...scrapes).includes(LATE));
  // Of another model than is published: what waits is left to a run.
  opening.resolve(openDeterministic("8"));
  await until(async () => (await scrape(options)).series.get(depth) === 0);
  clock.advance(60_000);
  scrapes.push(await scrape(options));
  assert.ok(!firing(...scrapes).includes(LATE));
}, { options: () => ({ embedder: () => opening.promise }) });
