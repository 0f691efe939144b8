import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import type { Answer, PostedRows } from "../../../lib/recommend/answer.ts";
import { type Arm, Arms, type ArmSplit, CONTROL_ARM, DEFAULT_ARM } from "../../../lib/recommend/arms.ts";
import { Recommender } from "../../../lib/recommend/recommender.ts";
import { IdSigner } from "../../../lib/recommend/recommendation_id.ts";
import { messageInput, toMessage } from "../../../lib/schema/message.ts";
import { event, NO_SOURCES } from "./samples.ts";
import { ANSWER_MS, fails, faulty, NOW, openWorld, type World } from "./world.ts";

const USERS = Array.from({ length: 20_000 }, (_, n) => `user-${n}`);
const controls = (control_share: number) => {
  const arms = new Arms({ control_share });
  return USERS.filter((user_id) => arms.of(user_id, NOW) === CONTROL_ARM);
};
/** Five standard deviations of a binomial count. */
const isNear = (count: number, share: number, of = USERS.length) =>
  Math.abs(count - share * of) < 5 * Math.sqrt(of * share * (1 - share));

Deno.test("Arms.of() puts the share of users into the control arm, and keeps them when the share grows", () => {
  assert.deepEqual(controls(0), []);
  for (const share of [0.02, 0.1, 0.5]) assert.ok(isNear(controls(share).length, share), `${share}`);
  const tenth = new Set(controls(0.1));
  assert.ok(controls(0.02).every((user_id) => tenth.has(user_id)));
});

Deno.test("Arms.of() gives the arm of every release: an update of Parley moves no user", () => {
  const pinned = ["user-18", "user-33", "user-39", "user-61", "user-71", "user-73", "user-78", "user-86"];
  assert.deepEqual(controls(0.1).slice(0, 8), pinned);
});

Deno.test("Arms.of() puts no one into the control arm without a stored user", () => {
  assert.equal(new Arms({ control_share: 0.5, splits: [split("x")] }).of(null, NOW), DEFAULT_ARM);
});

function split(id: string, options: Partial<ArmSplit> = {}): ArmSplit {
  const arms = [{ name: `${id}/a` }, { name: `${id}/b` }];
  return { id, starts_at: null, ends_at: null, share: 1, arms, ...options };
}
const armsOf = (options: ConstructorParameters<typeof Arms>[0], now = NOW) => {
  const arms = new Arms(options);
  return USERS.map((user_id) => arms.of(user_id, now).name);
};
const count = (names: readonly string[], name: string) => names.filter((one) => one === name).length;

Deno.test("Arms.of() splits a share of the users outside the control arm into arms of equal size", () => {
  const names = armsOf({ control_share: 0.1, splits: [split("x", { share: 0.5 })] });
  for (
    const [name, share] of [["control", 0.1], ["default", 0.45], ["x/a", 0.225], ["x/b", 0.225]] as const
  ) {
    assert.ok(isNear(count(names, name), share), `${name} ${count(names, name)}`);
  }
  const all = armsOf({ control_share: 0.1, splits: [split("x")] });
  assert.ok(names.every((name, i) => name === "default" || name === all[i]), "a larger share moves users");
});

Deno.test("Arms.of() gives arms of two experiments, and the control arm, independently", () => {
  const [x, y] = ["x", "y"].map((id) => armsOf({ control_share: 0, splits: [split(id)] })) as [
    string[],
    string[],
  ];
  const control = armsOf({ control_share: 0.5 });
  for (const [one, other] of [["x/a", "y/a"], ["x/b", "y/a"]] as const) {
    const both = x.filter((name, i) => name === one && y[i] === other).length;
    assert.ok(isNear(both, 0.25), `${one} ${other} ${both}`);
  }
  assert.ok(isNear(x.filter((name, i) => name === "x/a" && control[i] === "control").length, 0.25));
});

Deno.test("Arms.of() has a split from its start to before its end, and then the next one", () => {
  const at = (ms: number) => new Date(NOW + ms).toISOString();
  const splits = [
    split("x", { starts_at: at(0), ends_at: at(10) }),
    split("y", { starts_at: at(10), ends_at: at(20) }),
  ];
  const nameAt = (ms: number) =>
    new Arms({ control_share: 0, splits }).of("user-1", NOW + ms).name.slice(0, 2);
  assert.deepEqual([-1, 0, 9, 10, 19, 20].map(nameAt), ["de", "x/", "x/", "y/", "y/", "de"]);
});

Deno.test("Arms.of() gives arms of experiments that no update of Parley changes", () => {
  assert.equal(
    armsOf({ control_share: 0, splits: [split("x")] }).slice(0, 12).map((name) => name.at(-1)).join(""),
    "aaaabbbabbba",
  );
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

Deno.test("Recommender ranks by the weights, the sources and the diversity of an arm, and the request's diversity takes precedence", async () => {
  const world = await openWorld();
  try {
    const explained = (arm: Omit<Arm, "name">, diversity?: number, user_id = "ann") =>
      new Recommender({
        stores: world.stores,
        clock: new ManualClock(NOW),
        answer_ms: ANSWER_MS,
        arms: { of: () => ({ name: "x/a", ...arm }) },
      }).explain({ user_id, k: 8, ...diversity !== undefined && { diversity } });
    const used = async (arm: Omit<Arm, "name">) => {
      const { weights } = (await explained(arm)).provenance!;
      return Object.entries(weights).filter(([, weight]) => weight > 0).map(([source]) => source).toSorted();
    };
    assert.ok((await used({})).includes("similar_conversations"));
    assert.deepEqual(await used({ sources: ["wording"] }), ["popularity", "wording"]);
    const weights = { ...NO_SOURCES, intent: 3, popularity: 1 };
    assert.deepEqual((await explained({ weights })).provenance!.weights, {
      ...NO_SOURCES,
      intent: 0.75,
      popularity: 0.25,
    });
    const order = async (arm: Omit<Arm, "name">, diversity?: number) =>
      ids((await explained(arm, diversity, "new")).answer);
    const [none, all] = [await order({ diversity: 0 }), await order({ diversity: 1 })];
    assert.notDeepEqual(none, all);
    assert.deepEqual([await order({ diversity: 1 }, 0), await order({}, 1)], [none, all]);
  } finally {
    await world.close();
  }
});
