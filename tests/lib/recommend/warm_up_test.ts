import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import { Recommender } from "../../../lib/recommend/recommender.ts";
import { MAX_WARM_UP_MS, WarmUp, type WarmUpOptions } from "../../../lib/recommend/warm_up.ts";
import { type Call, told } from "../../fixtures/told.ts";
import { until } from "../../fixtures/until.ts";
import { emptyWorld, fails, NOW, openWorld, type World } from "./world.ts";

interface Scene {
  readonly world: World;
  readonly clock: ManualClock;
  readonly recommender: Recommender;
  readonly warmUp: WarmUp;
  /** Ends with it. */
  readonly running: Promise<void>;
}

/** A warm-up over a world's stores, some of them replaced, which ends with the test. */
function scene(
  name: string,
  body: (scene: Scene) => Promise<void>,
  options: { open?: () => Promise<World>; stores?: (world: World) => Partial<WarmUpOptions["stores"]> } = {},
) {
  Deno.test(`WarmUp ${name}`, async () => {
    const world = await (options.open ?? openWorld)();
    const clock = new ManualClock(NOW);
    const stores = { ...world.stores, ...options.stores?.(world) };
    const recommender = new Recommender({ stores, clock });
    const ended = new AbortController();
    const warmUp = new WarmUp({ stores, recommender, clock, signal: ended.signal });
    const running = warmUp.run();
    try {
      await body({ world, clock, recommender, warmUp, running });
    } finally {
      ended.abort();
      await running;
      await world.close();
    }
  });
}

const calls = new Set<string>();
const note: Call = (store, method) => calls.add(`${store}.${method}`).size > 0;

scene(
  "asks each store what answers ask, about users and an intent that exist",
  async ({ warmUp, running }) => {
    assert.equal(warmUp.status().starting, true);
    await running;
    assert.deepEqual(warmUp.status(), { starting: false, late: [] });
    const asked = [
      "vectors.get",
      "vectors.search",
      "graph.engagedBy",
      "graph.engagedIn",
      "graph.intentsOf",
      "graph.targeting",
      "analytics.epochs",
      "analytics.file",
      "analytics.finalEngagement",
      "cache.get",
    ];
    for (const call of asked) assert.ok(calls.has(call), call);
    assert.ok(!calls.has("cache.set"), "its answers are not cached");
  },
  { stores: ({ stores }) => told(stores, note) },
);

scene(
  "reads popular campaigns at the start, so the first answer without analytics is not empty",
  async (scene) => {
    await scene.running;
    const { analytics } = scene.world.stores;
    for (const method of ["published", "epochs"] as const) analytics[method] = fails;
    const { body } = await scene.recommender.serve({ user_id: "ann", k: 3 });
    const { degraded, items } = JSON.parse(body);
    assert.deepEqual([degraded, items.length], [["analytics"], 3]);
  },
);

for (const down of ["vectors", "graph", "cache"]) {
  scene(`does not wait for ${down} that is down`, async ({ warmUp, running }) => {
    await running;
    assert.deepEqual(warmUp.status(), { starting: false, late: [] });
  }, { stores: ({ stores }) => told(stores, (store) => store !== down) });
}

/** Late for answers, not for health, until it is warm. */
const graph = { late: true };
scene(
  "waits for a store that is up but late, names it in the end, and notices when it is not",
  async (scene) => {
    const { warmUp, clock, running } = scene;
    await until(() => Promise.resolve(warmUp.status().late.length > 0));
    assert.deepEqual(warmUp.status(), { starting: true, late: ["graph"] });
    clock.advance(MAX_WARM_UP_MS);
    assert.deepEqual(warmUp.status(), { starting: false, late: ["graph"] });
    graph.late = false;
    await running;
    assert.deepEqual(warmUp.status(), { starting: false, late: [] });
  },
  {
    stores: ({ stores }) =>
      told(stores, (store, method) => store !== "graph" || method === "health" || !graph.late),
  },
);

scene("names vectors that are up but cannot be searched", async ({ warmUp, clock }) => {
  await until(() => Promise.resolve(warmUp.status().late.length > 0));
  assert.deepEqual(warmUp.status(), { starting: true, late: ["vectors"] });
  clock.advance(MAX_WARM_UP_MS);
  assert.deepEqual(warmUp.status(), { starting: false, late: ["vectors"] });
}, { stores: ({ stores }) => told(stores, (_, method) => method !== "search") });

scene("waits for a first publish, however long that takes", async ({ world, clock, warmUp, running }) => {
  await warmUp.ready;
  clock.advance(2 * MAX_WARM_UP_MS);
  await until(() => Promise.resolve(warmUp.status().starting));
  await world.publish(1);
  clock.advance(1_000);
  await running;
  assert.deepEqual(warmUp.status(), { starting: false, late: [] });
}, { open: emptyWorld });

const analytics = { down: true };
scene("waits for analytics that is down, since nothing else can be asked without it", async (scene) => {
  const { warmUp, clock, running } = scene;
  await warmUp.ready;
  clock.advance(2 * MAX_WARM_UP_MS);
  await until(() => Promise.resolve(warmUp.status().starting));
  analytics.down = false;
  clock.advance(1_000);
  await running;
  assert.deepEqual(warmUp.status(), { starting: false, late: [] });
}, { stores: ({ stores }) => told(stores, (store) => store !== "analytics" || !analytics.down) });
