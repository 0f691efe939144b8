import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import type { Answer, PostedRows } from "../../../lib/recommend/answer.ts";
import { type Arm, Arms, CONTROL_ARM, DEFAULT_ARM } from "../../../lib/recommend/arms.ts";
import { Recommender } from "../../../lib/recommend/recommender.ts";
import { IdSigner } from "../../../lib/recommend/recommendation_id.ts";
import { messageInput, toMessage } from "../../../lib/schema/message.ts";
import { event } from "./samples.ts";
import { ANSWER_MS, fails, faulty, NOW, openWorld, type World } from "./world.ts";

const USERS = Array.from({ length: 20_000 }, (_, n) => `user-${n}`);
const controls = (control_share: number) => {
  const arms = new Arms({ control_share });
  return USERS.filter((user_id) => arms.of(user_id) === CONTROL_ARM);
};

Deno.test("Arms.of() puts the share of users into the control arm, and keeps them when the share grows", () => {
  assert.deepEqual(controls(0), []);
  // Five standard deviations of a binomial count.
  for (const share of [0.02, 0.1, 0.5]) {
    const deviation = Math.abs(controls(share).length - share * USERS.length);
    assert.ok(deviation < 5 * Math.sqrt(USERS.length * share * (1 - share)), `${share} ${deviation}`);
  }
  const tenth = new Set(controls(0.1));
  assert.ok(controls(0.02).every((user_id) => tenth.has(user_id)));
});

Deno.test("Arms.of() gives the arm of every release: an update of Parley moves no user", () => {
  const pinned = ["user-18", "user-33", "user-39", "user-61", "user-71", "user-73", "user-78", "user-86"];
  assert.deepEqual(controls(0.1).slice(0, 8), pinned);
});

Deno.test("Arms.of() puts no one into the control arm without a stored user", () => {
  assert.equal(new Arms({ control_share: 0.5 }).of(null), DEFAULT_ARM);
});

const SECRET = new Uint8Array(32).fill(7);
const inControl = { of: (user_id: string | null): Arm => user_id === "ann" ? CONTROL_ARM : DEFAULT_ARM };
const inDefault = { of: (): Arm => DEFAULT_ARM };
const ids = (answer: Answer) => answer.items.map(({ campaign_id }) => campaign_id);

function armTest(title: string, body: (world: World, control: Asker) => Promise<void>) {
  Deno.test(`Recommender with a control arm: ${title}`, async () => {
    const world = await openWorld();
    try {
      await body(world, asker(world, inControl));
    } finally {
      await world.close();
    }
  });
}

interface Asker {
  serve(user_id: string): Promise<Answer & { readonly cache: string }>;
  post(user_id: string | null, rows: PostedRows): Promise<Answer>;
  next(answer: Answer): Promise<Answer>;
}

function asker({ stores }: Pick<World, "stores">, arms: Pick<Arms, "of">): Asker {
  const recommender = new Recommender({
    stores,
    clock: new ManualClock(NOW),
    answer_ms: ANSWER_MS,
    arms,
    secret: () => Promise.resolve(SECRET),
  });
  const page = { k: 4, diversity: 0 };
  return {
    async serve(user_id) {
      const { body, cache } = await recommender.serve({ ...page, user_id });
      return { ...JSON.parse(body), cache };
    },
    async post(user_id, rows) {
      return JSON.parse((await recommender.servePosted({ ...page, user_id, ...rows })).body);
    },
    async next({ recommendation_id }) {
      const rows = () => ({ messages: [], events: [] });
      return JSON.parse((await recommender.serveNext(recommendation_id!, { rows })).body);
    },
  };
}

armTest("its users get what an unknown user gets, without what they dismissed", async (_, control) => {
  const [ann, unknown] = [await control.serve("ann"), await control.serve("new")];
  assert.deepEqual(ids(unknown), ["k1", "g1", "g3", "g2"]);
  assert.deepEqual(ids(ann).slice(0, 3), ["k1", "g1", "g3"]);
  assert.ok(!ids(ann).includes("g2"), "ann dismissed it");
  assert.deepEqual([ann.strategy, ann.arm, ann.led_by], ["popular", "control", "popularity"]);
  assert.deepEqual([unknown.strategy, unknown.arm], ["popular", "default"]);
  assert.ok(ann.items.every(({ reasons }) => reasons.every(({ code }) => code === "popular")));
  const after = await control.next(ann);
  assert.equal(after.arm, "control");
  assert.ok(ids(after).length > 0 && ids(after).every((id) => id !== "g2" && !ids(ann).includes(id)));
});

armTest("ids say the arm", async (_, control) => {
  const signer = new IdSigner(SECRET);
  assert.equal(signer.read((await control.serve("ann")).recommendation_id!).arm, "control");
  assert.equal(signer.read((await control.serve("new")).recommendation_id!).arm, "default");
});

armTest("an answer that is cached for one arm is not served in another", async (world, control) => {
  const personal = asker(world, inDefault);
  assert.deepEqual([(await personal.serve("ann")).cache, (await personal.serve("ann")).cache], [
    "miss",
    "hit",
  ]);
  const first = await control.serve("ann");
  assert.deepEqual([first.cache, first.arm], ["miss", "control"]);
  assert.deepEqual([(await control.serve("ann")).cache, (await personal.serve("ann")).arm], [
    "hit",
    "default",
  ]);
});

armTest("a posted conversation of one of its users counts as little as stored rows", async (_, control) => {
  const message = toMessage(messageInput.parse({
    user_id: "ann",
    message: "soil and seeds",
    timestamp: "2025-03-09T00:00:00.000Z",
    intent: "plants",
  }));
  const rows = { messages: [message], events: [event("ann", "dismissal", "k1")] };
  const ann = await control.post("ann", rows);
  assert.deepEqual([ids(ann), ann.arm, ann.strategy], [
    ["g1", "g3", "k2", "g-last-day"],
    "control",
    "popular",
  ]);
  const anonymous = await control.post(null, rows);
  assert.deepEqual([anonymous.arm, anonymous.strategy], ["default", "personal"]);
});

armTest("its answers need no store that only personal answers need", async ({ stores }) => {
  const broken = { ...stores, vectors: faulty(stores.vectors, fails), graph: faulty(stores.graph, fails) };
  const [control, personal] = [asker({ stores: broken }, inControl), asker({ stores: broken }, inDefault)];
  assert.deepEqual((await control.serve("ann")).degraded, []);
  assert.deepEqual((await personal.serve("ann")).degraded.toSorted(), ["graph", "vectors"]);
});
