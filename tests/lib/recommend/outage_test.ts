/** Answers while analytics does not respond. */
import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import type { Answer } from "../../../lib/recommend/answer.ts";
import { OnlineWriter } from "../../../lib/online/online_writer.ts";
import { markErased } from "../../../lib/recommend/answer_cache.ts";
import {
  Recommender,
  type RecommenderStores,
  type ServedAnswer,
} from "../../../lib/recommend/recommender.ts";
import { campaign, event } from "./samples.ts";
import { ANSWER_MS, emptyWorld, fails, hangs, HIDDEN, NOW, openWorld, SOON, type World } from "./world.ts";

type Fault = () => Promise<never>;

interface Scene {
  readonly world: World;
  readonly clock: ManualClock;
  readonly stores: RecommenderStores;
  readonly recommender: Recommender;
  /** Makes analytics do this instead of what it is asked, or only instead of one method; null ends it. */
  break(fault: Fault | null, method?: string): void;
}

function scene(name: string, body: (scene: Scene) => Promise<void>, open = openWorld) {
  Deno.test(`Recommender.serve() without analytics ${name}`, async () => {
    const world = await open();
    const clock = new ManualClock(NOW);
    let broken: { fault: Fault | null; method: string | undefined } = { fault: null, method: undefined };
    const analytics = new Proxy(world.stores.analytics, {
      get: (target, name) => {
        const { fault, method } = broken;
        if (fault !== null && (method === undefined || method === name)) return fault;
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const stores = { ...world.stores, analytics };
    try {
      const recommender = new Recommender({ stores, clock, answer_ms: ANSWER_MS });
      await body({ world, clock, stores, recommender, break: (fault, method) => broken = { fault, method } });
    } finally {
      await world.close();
    }
  });
}

const ANN = { user_id: "ann", k: 9 };
const answerOf = ({ body }: ServedAnswer): Answer => JSON.parse(body);
const idsOf = (served: ServedAnswer) => answerOf(served).items.map(({ campaign_id }) => campaign_id);

for (const [how, fault] of [["fails", fails], ["hangs", hangs]] as const) {
  scene(`that ${how} serves cached answers, marked, until analytics is back`, async (scene) => {
    const { recommender, clock } = scene;
    const before = await recommender.serve(ANN);
    clock.advance(10_000);
    scene.break(fault);
    const during = await recommender.serve(ANN);
    assert.deepEqual([during.cache, during.degraded], ["stale", ["analytics"]]);
    assert.ok(during.failures.has("analytics"));
    assert.deepEqual(answerOf(during), { ...answerOf(before), degraded: ["analytics"] });
    scene.break(null);
    assert.deepEqual(await recommender.serve(ANN).then(({ cache, body }) => [cache, body]), [
      "hit",
      before.body,
    ]);
  });

  scene(`that ${how} serves what another process has cached to one that has just started`, async (scene) => {
    const before = await scene.recommender.serve(ANN);
    scene.break(fault);
    const { stores, clock } = scene;
    const during = await new Recommender({ stores, clock, answer_ms: ANSWER_MS }).serve(ANN);
    assert.deepEqual([during.cache, idsOf(during)], ["stale", idsOf(before)]);
  });

  scene(`that ${how} shows a new user the popular campaigns, as usual`, async (scene) => {
    const { recommender } = scene;
    const otherwise = answerOf(await recommender.serve({ user_id: "new", k: 5 }));
    scene.break(fault);
    const served = await recommender.serve({ user_id: "newer", k: 5 });
    assert.deepEqual([served.cache, served.degraded], ["bypass", ["analytics"]]);
    const { recommendation_id } = answerOf(served);
    assert.notEqual(recommendation_id, otherwise.recommendation_id);
    const same = { ...otherwise, user_id: "newer", recommendation_id, degraded: ["analytics"] };
    assert.deepEqual(answerOf(served), same);
    assert.ok(answerOf(served).items.every(({ reasons }) => reasons.every(({ code }) => code === "popular")));
  });

  scene(
    `that ${how} only at the last question serves what is cached, else what is popular`,
    async (scene) => {
      const { recommender, clock } = scene;
      const before = await recommender.serve(ANN);
      clock.advance(100_000);
      scene.break(fault, "finalEngagement");
      const during = await recommender.serve(ANN);
      assert.deepEqual([during.cache, during.degraded], ["stale", ["analytics"]]);
      assert.deepEqual(idsOf(during), idsOf(before));
      const other = await recommender.serve({ user_id: "bob", k: 5 });
      assert.deepEqual([other.cache, other.degraded], ["bypass", ["analytics"]]);
      assert.equal(answerOf(other).items.length, 5);
    },
  );
}

scene("keeps what else a cached answer lacks", async (scene) => {
  const { stores, clock } = scene;
  const graph = { engagedBy: fails, engagedIn: fails, intentsOf: fails, targeting: fails };
  await new Recommender({ stores: { ...stores, graph }, clock, answer_ms: ANSWER_MS }).serve(ANN);
  scene.break(fails);
  assert.deepEqual((await scene.recommender.serve(ANN)).degraded, ["graph", "analytics"]);
});

scene("serves no answer of an older version than the one that it has seen", async (scene) => {
  const { recommender, clock, world } = scene;
  await recommender.serve(ANN);
  await world.publish(2);
  clock.advance(300);
  await recommender.serve({ user_id: "bob", k: 1 });
  scene.break(fails);
  const served = await recommender.serve(ANN);
  assert.deepEqual([served.cache, answerOf(served).strategy, answerOf(served).version], [
    "bypass",
    "popular",
    2,
  ]);
});

scene("serves no cached answer of a user who was erased", async (scene) => {
  const { recommender, world: { stores } } = scene;
  for (const user_id of ["ann", "bob"]) await recommender.serve({ user_id, k: 9 });
  await stores.analytics.deleteUsers({ user_ids: ["ann"] });
  await markErased({ cache: stores.cache, user_ids: ["ann"] });
  scene.break(fails);
  assert.equal((await recommender.serve(ANN)).cache, "bypass");
  assert.equal((await recommender.serve({ user_id: "bob", k: 9 })).cache, "stale");
});

scene("shows no campaign before it begins nor after its end, to that millisecond", async (scene) => {
  const { recommender, clock } = scene;
  await recommender.serve({ user_id: "new", k: 10 });
  scene.break(fails);
  const shown = async () => idsOf(await recommender.serve({ user_id: "newer", k: 10 }));
  for (const id of HIDDEN) assert.ok(!(await shown()).includes(id), id);
  clock.advance(Date.parse(SOON) - NOW - 1);
  assert.ok((await shown()).includes("g-last-day"));
  clock.advance(1);
  assert.ok(!(await shown()).includes("g-last-day"));
  clock.advance(Date.parse("2025-03-11T00:00:00.000Z") - Date.parse(SOON));
  assert.ok((await shown()).includes("g-future"));
});

scene("shows what targets the intent that was asked for", async (scene) => {
  const { recommender } = scene;
  await recommender.serve({ user_id: "new", k: 10 });
  scene.break(fails);
  const asked = async (intent: string) => idsOf(await recommender.serve({ user_id: "ann", k: 10, intent }));
  assert.deepEqual((await asked("cooking")).toSorted(), ["k1", "k2", "k3"]);
  assert.deepEqual(await asked("nothing"), []);
});

scene("caches nothing", async (scene) => {
  const { recommender } = scene;
  scene.break(fails, "finalEngagement");
  await recommender.serve(ANN);
  scene.break(null);
  assert.deepEqual(await recommender.serve(ANN).then(({ cache, degraded }) => [cache, degraded]), [
    "miss",
    [],
  ]);
});

scene("has nothing to show if it never responded, and says so", async (scene) => {
  scene.break(fails);
  const served = await scene.recommender.serve(ANN);
  assert.deepEqual([served.cache, answerOf(served).version, idsOf(served)], ["bypass", null, []]);
  assert.deepEqual(served.degraded, ["analytics"]);
});

scene("explains what it serves a new user", async (scene) => {
  const { recommender } = scene;
  await recommender.serve({ user_id: "new", k: 3 });
  scene.break(fails);
  const { answer, provenance } = await recommender.explain(ANN);
  assert.deepEqual([provenance, answer.degraded, answer.items.length], [null, ["analytics"], 8]);
});

scene(
  "holds 200 popular campaigns, past those that are over, and reads them again when the catalogue changes",
  async (scene) => {
    const { recommender, world } = scene;
    const ids = (name: string, count: number) =>
      Array.from({ length: count }, (_, i) => `${name}${1_000 + i}`);
    const [over, left] = [ids("over", 450), ids("left", 250)];
    await world.stores.analytics.upsertCampaigns({
      campaigns: [...over.map((id) => campaign(id, { status: "ended" })), ...left.map((id) => campaign(id))],
    });
    await world.add(over.map((id) => event("fan", "conversion", id)));
    await world.add(left.map((id) => event("fan", "click", id)));
    await world.publish(1);
    await recommender.prepare();
    const shown = async () => {
      scene.break(fails);
      const served = await recommender.serve({ user_id: "new", k: 1_000 });
      scene.break(null);
      return idsOf(served).toSorted();
    };
    assert.deepEqual(await shown(), left.slice(0, 200));
    await world.stores.analytics.upsertCampaigns({ campaigns: [campaign("left1000", { status: "paused" })] });
    await recommender.prepare();
    assert.deepEqual(await shown(), left.slice(1, 201));
  },
  emptyWorld,
);

scene(
  "shows no campaign that this process has just changed or deleted",
  async ({ recommender, world, ...scene }) => {
    await recommender.prepare();
    await recommender.serve({ user_id: "new", k: 9 });
    const writer = new OnlineWriter({
      stores: world.stores,
      clock: scene.clock,
      names: (abort) => recommender.names(abort),
      onCampaignsChanged: (ids) => recommender.forgetPopular(ids),
    });
    scene.break(fails);
    const [deleted, paused, ...others] = idsOf(await recommender.serve({ user_id: "other", k: 9 }));
    assert.ok(others.length > 0);
    await writer.deleteCampaign(deleted!);
    await writer.changeCampaign(paused!, { status: "paused" });
    await writer.close();
    assert.deepEqual(idsOf(await recommender.serve({ user_id: "third", k: 9 })), others);
  },
);
