import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import { type Message, type ModelIdentity, modelKey } from "../../../lib/core/types.ts";
import { type Answer, SOURCES } from "../../../lib/recommend/answer.ts";
import { Recommender, type RecommenderStores } from "../../../lib/recommend/recommender.ts";
import { campaign, event } from "./samples.ts";
import { ANSWER_MS, emptyWorld, fails, faulty, hangs, HIDDEN, NOW, openWorld, type World } from "./world.ts";
import type { Negation, ProfileWords } from "../../../lib/stores/analytics/port.ts";
import { NO_USER } from "../../../lib/recommend/posted_user.ts";
import { LATEST, message as messageRow } from "../../fixtures/rows.ts";
import { encodeUncertain, UNCERTAIN_FILE } from "../../../lib/recommend/uncertain_file.ts";
import { claimsLapse } from "../../fixtures/stampede.ts";
import { told } from "../../fixtures/told.ts";

interface Scene {
  readonly world: World;
  readonly clock: ManualClock;
  /** Asks the world's stores, some of them replaced. */
  ask(user_id: string, options?: { k?: number; stores?: Partial<RecommenderStores> }): Promise<Answer>;
}

function scene(name: string, body: (scene: Scene) => Promise<void>, open = openWorld) {
  Deno.test(`Recommender.serve() ${name}`, async () => {
    const world = await open();
    const clock = new ManualClock(NOW);
    try {
      await body({
        world,
        clock,
        async ask(user_id, options = {}) {
          const recommender = new Recommender({
            stores: { ...world.stores, ...options.stores },
            clock,
            answer_ms: ANSWER_MS,
          });
          return JSON.parse((await recommender.serve({ user_id, k: options.k ?? 10 })).body);
        },
      });
    } finally {
      await world.close();
    }
  });
}

const ids = (answer: Answer) => answer.items.map((item) => item.campaign_id);

scene("puts campaigns first that people with similar requests chose, and says so", async ({ ask }) => {
  const answer = await ask("ann");
  assert.equal(answer.strategy, "personal");
  assert.equal(answer.version, 1);
  assert.deepEqual(answer.degraded, []);
  const [first] = answer.items;
  assert.equal(first?.campaign_id, "g1");
  assert.equal(first?.title, "Title of g1");
  assert.deepEqual(first?.reasons[0], {
    code: "similar_conversations",
    facts: { converted: 1, clicked: 1, shown: 0 },
    text: "1 person asked for something like this and chose it, and 1 more looked at it.",
  });
  assert.ok(first?.reasons.some((reason) => reason.code === "intent"));
});

scene("gives no reason by conversations that are far from the user's", async ({ ask }) => {
  const k1 = (await ask("ann")).items.find((item) => item.campaign_id === "k1");
  assert.ok(k1 !== undefined && k1.reasons.every((reason) => reason.code !== "similar_conversations"));
});

scene("makes no certainty of one conversation or two", async ({ ask }) => {
  for (const { sources, score } of (await ask("ann")).items) {
    assert.ok(
      sources.similar_conversations < 0.5 && score < 0.8,
      `${sources.similar_conversations} ${score}`,
    );
  }
});

scene("answers a user who only clicked with related campaigns, and names the reason", async ({ ask }) => {
  const { strategy, degraded, items: [first] } = await ask("fay");
  assert.deepEqual([strategy, degraded], ["personal", []]);
  assert.deepEqual([first?.campaign_id, first?.sources.co_engagement], ["g1", 0.5]);
  assert.deepEqual(first?.reasons[0], {
    code: "co_engagement",
    facts: { campaign_id: "g3", title: "Title of g3", engagement: "click" },
    text: "It goes with Title of g3, which you looked at.",
  });
});

scene(
  "says `popular` only of users of whom nothing is known, and which source led",
  async ({ world, ask }) => {
    const { graph } = world.stores;
    const led = async (user_id: string) => {
      const { strategy, led_by } = await ask(user_id);
      return [strategy, led_by];
    };
    for (
      const [does, source] of [
        ["impression", "popularity"],
        ["dismissal", "popularity"],
        ["click", "co_engagement"],
        ["conversion", "co_engagement"],
      ] as const
    ) {
      const user_id = `who only has a ${does}`;
      await world.add([event(user_id, does, "k1")]);
      const edges = await world.stores.analytics.engagement({ user_ids: [user_id] });
      await graph.setEngaged({ user_ids: [user_id], edges });
      assert.deepEqual(await led(user_id), ["personal", source], does);
    }
    await graph.setExpressed({
      user_ids: ["who asked"],
      edges: [{ user_id: "who asked", intent: "plants", count: 1, last: "2025-03-01T00:00:00.000Z" }],
    });
    assert.deepEqual(await led("who asked"), ["personal", "intent"]);
    assert.deepEqual(await led("bob"), ["personal", "similar_conversations"]);
    assert.deepEqual(await led("dan"), ["personal", "mention"]);
    assert.deepEqual(await led("nobody"), ["popular", "popularity"]);
  },
);

scene("lowers campaigns that were shown repeatedly and never clicked", async ({ world, ask }) => {
  const [first, second] = (await ask("nobody")).items;
  const shown = async (user_id: string, impressions: number, clicks: number) => {
    const { campaign_id } = first!;
    const counts = { impressions, clicks, conversions: 0, dismissals: 0 };
    const edge = { user_id, campaign_id, ...counts, last: "2025-03-01T12:00:00.000Z" };
    await world.stores.graph.setEngaged({ user_ids: [user_id], edges: [edge] });
    const { items } = await ask(user_id);
    const { fatigue, score } = items.find((item) => item.campaign_id === campaign_id)!;
    return { leads: items[0]!.campaign_id, fatigue, share: score / first!.score };
  };
  assert.deepEqual(first!.fatigue, 0);
  assert.deepEqual(await shown("gus", 1, 0), { leads: first!.campaign_id, fatigue: 0, share: 1 });
  const tired = await shown("hal", 20, 0);
  assert.deepEqual(tired, { leads: second!.campaign_id, fatigue: 0.5, share: 0.5 });
  assert.equal((await shown("ida", 20, 1)).fatigue, 0);
});

scene("answers by messages and events together", async ({ ask }) => {
  const k2 = (await ask("dan")).items.find((item) => item.campaign_id === "k2");
  const codes = k2?.reasons.map(({ code }) => code) ?? [];
  assert.ok(codes.includes("similar_conversations") && codes.includes("co_engagement"), codes.join());
});

scene(
  "asks the cache, then the vectors, then the graph for what was found there, then analytics",
  async ({ ask, world }) => {
    const calls: string[] = [];
    const watched = <Store extends object>(name: string, store: Store): Store =>
      new Proxy(store, {
        get: (target, key) => {
          const value = Reflect.get(target, key);
          if (typeof value !== "function") return value;
          return (...args: unknown[]) => {
            calls.push(`${name}.${String(key)}`);
            const result = value.apply(target, args);
            return key === "forModel" ? result.then((one: object) => watched(name, one)) : result;
          };
        },
      });
    const { cache, vectors, graph, analytics } = world.stores;
    await ask("ann", {
      stores: {
        cache: watched("cache", cache),
        vectors: watched("vectors", vectors),
        graph: watched("graph", graph),
        analytics: watched("analytics", analytics),
      },
    });
    const path = ["cache.get", "vectors.search", "graph.engagedIn", "analytics.stats", "cache.set"];
    const places = path.map((call) => calls.indexOf(call));
    assert.ok(places.every((place) => place >= 0), `${path} are among ${calls}`);
    assert.deepEqual(places, places.toSorted((a, b) => a - b));
  },
);

scene("counts people with similar wording", async ({ ask, world }) => {
  // Gil has no profile: his words alone are near to those of Dan and Eve.
  await world.stores.analytics.setWords({
    user_ids: ["gil"],
    profiles: [{ user_id: "gil", words: { pan: 1 }, named: [], negations: [] }],
    conversations: [],
  });
  const { strategy, items: [first] } = await ask("gil");
  assert.deepEqual([strategy, first?.campaign_id], ["personal", "k1"]);
  assert.deepEqual(first?.reasons[0], {
    code: "wording",
    facts: { converted: 2, clicked: 0, shown: 0 },
    text: "2 people asked in words like yours and chose it.",
  });
});

scene(
  "shows what a user named and says so, or if users name what they know, leaves it out",
  async ({ ask, world }) => {
    const [first] = (await ask("dan")).items;
    assert.equal(first?.campaign_id, "k3");
    assert.deepEqual(first?.reasons[0], { code: "mention", facts: {}, text: "You named it." });
    await world.stores.analytics.setWords({
      user_ids: ["hal"],
      profiles: [],
      conversations: [{ conversation_id: "of hal", user_id: "hal", words: {}, named: 20, named_shown: 0 }],
    });
    await world.publish(2);
    const ids = (await ask("dan")).items.map(({ campaign_id }) => campaign_id);
    assert.ok(ids.length > 0 && !ids.includes("k3"));
  },
);

scene(
  "shows what a user named, if users name what they know, rather than nothing",
  async ({ ask, world }) => {
    const all = ids(await ask("nobody", { k: 50 }));
    const knows = (user_id: string) => ({ user_id, words: {}, named: all, negations: [] });
    await world.stores.analytics.setWords({
      user_ids: ["dan", "hal", "ivy"],
      profiles: [knows("dan"), knows("ivy")],
      conversations: [{ conversation_id: "of hal", user_id: "hal", words: {}, named: 20, named_shown: 0 }],
    });
    await world.publish(2);
    assert.deepEqual(ids(await ask("ivy", { k: 50 })).toSorted(), all.toSorted());
    assert.ok(!ids(await ask("dan", { k: 50 })).includes("k1"), "but nothing that was converted on");
  },
);

scene("does not count the user's own conversations", async ({ ask }) => {
  const of = (answer: Answer, id: string) => answer.items.find((item) => item.campaign_id === id)?.sources;
  // Eve alone clicked k2, Cat alone g3.
  assert.equal(of(await ask("eve"), "k2")?.similar_conversations, 0);
  assert.ok(of(await ask("dan"), "k2")!.similar_conversations > 0);
});

scene(
  "goes without weights and postings that a version lacks or that are damaged, says so, and is whole",
  async (scene) => {
    const { world, clock } = scene;
    for (const [bytes, lines] of [[null, 0], [new Uint8Array(100), 4]] as const) {
      const analytics = new Proxy(world.stores.analytics, {
        get: (target, name) => {
          if (name === "file") return () => Promise.resolve(bytes);
          const value = Reflect.get(target, name);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
      const said: string[] = [];
      const stores = { ...world.stores, analytics };
      const recommender = new Recommender({
        stores,
        clock,
        warn: (line) => said.push(line),
        answer_ms: ANSWER_MS,
      });
      const { answer } = await recommender.explain({ user_id: "fay", k: 10 });
      assert.deepEqual([answer.strategy, answer.led_by, answer.degraded], ["personal", "popularity", []]);
      assert.equal(said.length, lines);
      assert.doesNotMatch(said.join(), /fay/);
      // Whether users ask by name or name what they know is not known then.
      const dan = await recommender.explain({ user_id: "dan", k: 10 });
      const named = dan.answer.items.find(({ campaign_id }) => campaign_id === "k3");
      assert.equal(named?.sources.mention, 0);
    }
  },
);

scene(
  "gives every item a title, a score in 0..1 and one to three reasons, naming no one",
  async ({ ask }) => {
    const answer = await ask("ann");
    assert.equal(answer.items.length, 7);
    assert.ok(SOURCES.every((source) => answer.items.every(({ sources }) => sources[source] >= 0)));
    for (const item of answer.items) {
      assert.ok(item.title !== "" && item.score >= 0 && item.score <= 1);
      assert.ok(item.reasons.length >= 1 && item.reasons.length <= 3);
    }
    assert.doesNotMatch(JSON.stringify(answer.items), /\b(bob|cat|dan|eve)\b/);
  },
);

scene("shows nothing dismissed, ended, not begun or paused", async ({ ask }) => {
  const shown = ids(await ask("ann"));
  for (const id of ["g2", ...HIDDEN]) assert.ok(!shown.includes(id), id);
  assert.ok(shown.includes("g-last-day"));
});

scene("shows nothing that the user converted on", async ({ ask }) => {
  assert.ok(!ids(await ask("dan")).includes("k1"));
});

scene("gives an unknown user the popular campaigns, marked so", async ({ ask }) => {
  const answer = await ask("nobody");
  assert.equal(answer.strategy, "popular");
  assert.equal(answer.items[0]?.campaign_id, "k1");
  assert.deepEqual([answer.items[0]?.score, answer.items[0]?.sources.popularity], [1, 1]);
  assert.ok(answer.items.every((item) => item.reasons[0]?.code === "popular"));
});

scene("gives at most k items, and the same ones each time", async ({ ask }) => {
  const two = await ask("ann", { k: 2 });
  assert.equal(two.items.length, 2);
  assert.deepEqual(ids(two), ids(await ask("ann", { k: 2 })));
});

scene("reaches past popular campaigns that may not be shown", async ({ world, ask }) => {
  const gone = Array.from({ length: 400 }, (_, i) => campaign(`gone${i}`, { status: "ended" }));
  await world.stores.analytics.upsertCampaigns({ campaigns: [...gone, campaign("left")] });
  await world.add(gone.map((one) => event("fan", "conversion", one.campaign_id)));
  await world.add([event("fan", "impression", "left")]);
  await world.publish(1);
  assert.deepEqual(ids(await ask("nobody")), ["left"]);
}, emptyWorld);

scene("answers the same question from the cache", async ({ world, clock }) => {
  const recommender = new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS });
  const miss = await recommender.serve({ user_id: "ann", k: 3 });
  clock.advance(1);
  const hit = await recommender.serve({ user_id: "ann", k: 3 });
  assert.deepEqual([miss.cache, hit.cache], ["miss", "hit"]);
  assert.equal(hit.body, miss.body);
  assert.deepEqual([...hit.timings.keys()], ["cache"]);
  assert.deepEqual([...miss.timings.keys()].toSorted(), ["analytics", "cache", "graph", "rank", "vectors"]);
  assert.equal((await recommender.serve({ user_id: "ann", k: 4 })).cache, "miss");
  assert.equal((await recommender.serve({ user_id: "bob", k: 3 })).cache, "miss");
});

scene(
  "asks the cache, vectors, graph and analytics for one user, in this order",
  async ({ world, clock }) => {
    const calls: string[] = [];
    const stores = told(world.stores, (store, method) => calls.push(`${store}.${method}`) > 0);
    await new Recommender({ stores, clock, answer_ms: ANSWER_MS }).serve({ user_id: "dan", k: 3 });
    const order = [
      "cache.get",
      "analytics.finalEngagement",
      "vectors.search",
      "graph.engagedIn",
      "analytics.stats",
      "cache.set",
    ];
    const places = order.map((call) => calls.indexOf(call));
    assert.ok(places.every((place) => place >= 0), calls.join());
    assert.deepEqual(places, places.toSorted((a, b) => a - b));
  },
);

scene("sees a dismissal in the next answer", async ({ world, clock }) => {
  const recommender = new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS });
  await recommender.serve({ user_id: "ann", k: 10 });
  await world.add([event("ann", "dismissal", "g1")]);
  const next = await recommender.serve({ user_id: "ann", k: 10 });
  assert.equal(next.cache, "miss");
  assert.ok(!ids(JSON.parse(next.body)).includes("g1"));
});

scene("shows a chosen campaign again from the moment at which it may return", async ({ world, clock }) => {
  const { analytics } = world.stores;
  const campaigns = await analytics.campaigns({ campaign_ids: ["g1", "g3"] });
  await analytics.upsertCampaigns({
    campaigns: campaigns.map((one) => ({ ...one, repurchase_days: one.campaign_id === "g3" ? 365 : null })),
  });
  await world.add(["g1", "g3"].map((id) => event("ann", "conversion", id)));
  // The conversions are eight and a half days old.
  const recommender = new Recommender({
    stores: world.stores,
    clock,
    repurchase_days: 8.5 + 20 / 86_400,
    answer_ms: ANSWER_MS,
  });
  const shown = async () => {
    const { body, cache } = await recommender.serve({ user_id: "ann", k: 10 });
    return [cache, ...ids(JSON.parse(body)).filter((id) => ["g1", "g2", "g3"].includes(id))];
  };
  assert.deepEqual(await shown(), ["miss"]);
  clock.advance(19_999);
  assert.deepEqual(await shown(), ["hit"]);
  await claimsLapse();
  clock.advance(1);
  assert.deepEqual(await shown(), ["miss", "g1"]);
  const never = new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS });
  const { answer, provenance } = await never.explain({ user_id: "ann", k: 10 });
  assert.ok(!ids(answer).includes("g1"));
  assert.deepEqual(provenance?.suppressed, [
    { campaign_id: "g1", by: "conversion", until: null },
    { campaign_id: "g2", by: "dismissal", until: null },
    { campaign_id: "g3", by: "conversion", until: "2026-03-01T12:00:00.000Z" },
  ]);
});

scene("answers from a newly published version within 250 ms", async ({ world, clock }) => {
  const recommender = new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS });
  await recommender.serve({ user_id: "ann", k: 10 });
  await world.publish(2);
  clock.advance(250);
  const next = await recommender.serve({ user_id: "ann", k: 10 });
  assert.equal(next.cache, "miss");
  assert.equal(JSON.parse(next.body).version, 2);
});

for (const [how, fault] of [["fails", fails], ["hangs", hangs]] as const) {
  scene(`continues without vectors if they ${how.slice(0, -1)}`, async ({ world, ask }) => {
    const answer = await ask("ann", { stores: { vectors: faulty(world.stores.vectors, fault) } });
    assert.deepEqual(answer.degraded, ["vectors"]);
    assert.equal(answer.items[0]?.sources.intent, 1);
  });

  scene(`continues without a graph that ${how}`, async ({ world, ask }) => {
    const answer = await ask("ann", { stores: { graph: faulty(world.stores.graph, fault) } });
    assert.deepEqual(answer.degraded, ["graph"]);
    assert.ok(answer.items.length > 0 && answer.items[0]!.sources.similarity > 0);
  });

  scene(`continues without a cache that ${how}`, async ({ world, clock }) => {
    const stores = { ...world.stores, cache: faulty(world.stores.cache, fault) };
    const served = await new Recommender({ stores, clock, answer_ms: ANSWER_MS }).serve({
      user_id: "ann",
      k: 10,
    });
    assert.equal(served.cache, "bypass");
    assert.deepEqual(JSON.parse(served.body).degraded, []);
    assert.deepEqual([...served.failures.keys()], ["cache"]);
  });

  scene(`gives an empty answer, marked so, where analytics ${how}`, async ({ world, ask }) => {
    const answer = await ask("ann", { stores: { analytics: faulty(world.stores.analytics, fault) } });
    assert.deepEqual(answer.degraded, ["analytics"]);
    assert.deepEqual(answer.items, []);
    assert.equal(answer.version, null);
  });
}

scene("gives the popular campaigns where all but analytics is down", async ({ world, ask }) => {
  const { vectors, graph, cache } = world.stores;
  const answer = await ask("ann", {
    stores: { vectors: faulty(vectors, fails), graph: faulty(graph, fails), cache: faulty(cache, fails) },
  });
  assert.equal(answer.led_by, "popularity");
  assert.deepEqual(answer.degraded, ["vectors", "graph"]);
  assert.equal(answer.items[0]?.campaign_id, "k1");
});

scene("names the stores that a cached answer was made without", async ({ world, clock }) => {
  const kept = new Map<string, string>();
  const cache = {
    get: ({ key }: { key: string }) => Promise.resolve(kept.get(key) ?? null),
    set: (options: { key: string; value: string }) =>
      Promise.resolve(void kept.set(options.key, options.value)),
    tryLock: () => Promise.resolve(true),
  };
  const stores = { ...world.stores, cache, graph: faulty(world.stores.graph, fails) };
  const recommender = new Recommender({ stores, clock, answer_ms: ANSWER_MS });
  for (const how of ["miss", "hit"]) {
    const { cache, degraded } = await recommender.serve({ user_id: "ann", k: 10 });
    assert.deepEqual([cache, degraded], [how, ["graph"]]);
  }
});

scene(
  "caches an answer for 15 minutes, and none beyond a campaign's end",
  async ({ world, clock }) => {
    const kept: number[] = [];
    const { graph, cache } = world.stores;
    const watched = {
      get: (options: { key: string }) => cache.get(options),
      set: (options: { key: string; value: string; ttl_ms: number }) => {
        kept.push(options.ttl_ms);
        return cache.set(options);
      },
      tryLock: (options: { key: string; ttl_ms: number }) => cache.tryLock(options),
    };
    const ask = async (stores: Partial<RecommenderStores>, k: number) => {
      const all = { ...world.stores, cache: watched, ...stores };
      await new Recommender({ stores: all, clock, answer_ms: ANSWER_MS }).serve({ user_id: "ann", k });
    };
    await ask({ graph: faulty(graph, fails) }, 1);
    await ask({}, 2);
    await ask({}, 9);
    assert.deepEqual(kept, [900_000, 900_000, 30_000]);
  },
);

scene("says what to do if nothing is published", async ({ ask }) => {
  await assert.rejects(ask("ann"), { code: "unavailable", message: /deno task pipeline/ });
}, emptyWorld);

scene("gives the campaigns that were popular last if the published version is gone", async (scene) => {
  const { world, clock } = scene;
  const empty = await emptyWorld();
  let isGone = false;
  const analytics = new Proxy(world.stores.analytics, {
    get: (target, name) => {
      const store = isGone ? empty.stores.analytics : target;
      const value = Reflect.get(store, name);
      return typeof value === "function" ? value.bind(store) : value;
    },
  });
  try {
    const recommender = new Recommender({
      stores: { ...world.stores, analytics },
      clock,
      answer_ms: ANSWER_MS,
    });
    const ask = async (user_id: string): Promise<Answer> =>
      JSON.parse((await recommender.serve({ user_id, k: 3 })).body);
    const { items } = await ask("nobody");
    isGone = true;
    // At once, while the published row counts as read, and when it is read again.
    for (const wait_ms of [0, 100, 250, 1_000]) {
      clock.advance(wait_ms);
      const answer = await ask("ann");
      assert.deepEqual([answer.degraded.at(-1), answer.strategy], ["analytics", "popular"]);
      assert.deepEqual(ids(answer), items.map(({ campaign_id }) => campaign_id));
    }
    isGone = false;
    clock.advance(60_000);
    assert.deepEqual((await ask("ann")).degraded, []);
  } finally {
    await empty.close();
  }
});

scene("computes once what many ask at the same time", async ({ world, clock }) => {
  let asked = 0;
  const vectors = new Proxy(world.stores.vectors, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]) => {
        if (name === "forModel") asked++;
        await new Promise((resume) => setTimeout(resume, 1));
        return value.apply(target, args);
      };
    },
  });
  const recommender = new Recommender({ stores: { ...world.stores, vectors }, clock, answer_ms: ANSWER_MS });
  const question = { user_id: "ann", k: 10 };
  await recommender.serve(question);
  const once = asked;
  assert.equal(once, 2);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => recommender.serve({ user_id: "bob", k: 10 })),
  );
  assert.equal(asked, 2 * once);
  assert.equal(new Set(answers.map(({ body }) => body)).size, 1);
});

scene("takes the vectors of the model that the published version is of", async ({ world, clock, ask }) => {
  const before = await ask("ann");
  // By another model, of other dimensions, Ann is among the cooks.
  const model: ModelIdentity = { name: "other", revision: "0", dimension: 2, pooling: "mean" };
  const store = await world.stores.vectors.forModel({ model });
  const row = (id: string, at: number) => {
    const vector = Float32Array.from([at === 0 ? 1 : 0, at]);
    return { id, user_id: id, role: "user", timestamp: null, content_hash: "0", vector } as const;
  };
  const profiles = [row("ann", 0), row("dan", 0), row("eve", 0), row("bob", 1), row("cat", 1)];
  await store.upsert({ collection: "profiles", rows: profiles });
  await store.upsert({
    collection: "conversations",
    rows: profiles.map((profile) => ({ ...profile, id: `of ${profile.id}` })),
  });
  await store.build({ version: 2 });
  await world.stores.analytics.buildStats({ version: 2, half_life_days: 30, latest: LATEST });
  assert.deepEqual(await ask("ann"), before);
  const at = "2025-03-09T13:00:00.000Z";
  const published = { version: 2, run_id: "run 2", model: modelKey(model), at };
  await world.stores.analytics.publish({ published, sources: [] });
  clock.advance(300);
  const after = await ask("ann");
  assert.deepEqual([after.version, after.degraded], [2, []]);
  const chosen = (answer: Answer) =>
    answer.items.filter(({ reasons }) => reasons.some(({ code }) => code === "similar_conversations"))
      .map(({ campaign_id }) => campaign_id).sort();
  assert.deepEqual(chosen(before), ["g1", "g3"]);
  assert.deepEqual(chosen(after), ["k1", "k2"]);
});

scene("continues without vectors if the published row names no model", async ({ world, ask }) => {
  const published = { version: 2, run_id: "run 2", model: "none", at: "2025-03-09T13:00:00.000Z" };
  await world.stores.analytics.buildStats({ version: 2, half_life_days: 30, latest: LATEST });
  await world.stores.analytics.publish({ published, sources: [] });
  const answer = await ask("ann");
  assert.deepEqual(answer.degraded, ["vectors"]);
  assert.ok(answer.items.length > 0);
});

Deno.test("Recommender.explain() gives the answer that serve() gives, computed now, with what led to it", async () => {
  const world = await openWorld();
  try {
    const recommender = new Recommender({
      stores: world.stores,
      clock: new ManualClock(NOW),
      answer_ms: ANSWER_MS,
    });
    for (const user_id of ["ann", "bob", "nobody"] as const) {
      const served = await recommender.serve({ user_id, k: 5 });
      const { answer, provenance, steps, failures } = await recommender.explain({ user_id, k: 5 });
      assert.equal(JSON.stringify(answer), served.body);
      assert.equal(failures.size, 0);
      assert.deepEqual([...new Set(steps.map(({ stage }) => stage))].toSorted(), [
        "analytics",
        "graph",
        "rank",
        "vectors",
      ]);
      assert.ok(steps.every(({ from_ms, to_ms }) => 0 <= from_ms && from_ms <= to_ms));
      assert.equal(provenance?.neighbours.length, { ann: 4, bob: 4, "nobody": 0 }[user_id]);
    }
    const { answer, provenance } = await recommender.explain({ user_id: "ann", k: 5 });
    assert.deepEqual(provenance?.suppressed, [{ campaign_id: "g2", by: "dismissal", until: null }]);
    assert.deepEqual(provenance?.own.map(({ campaign_id }) => campaign_id), ["g2"]);
    assert.deepEqual(provenance?.intents.map(({ intent }) => intent), ["plants"]);
    const [nearest] = provenance?.neighbours ?? [];
    assert.deepEqual([nearest?.user_id, nearest?.weight], ["bob", 1]);
    assert.ok(nearest?.engagement.some(({ campaign_id }) => campaign_id === "g1"));
    const sum = Object.values(provenance!.weights).reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(sum - 1) < 1e-9);
    await world.add([event("ann", "conversion", answer.items[0]!.campaign_id)]);
    const { answer: after } = await recommender.explain({ user_id: "ann", k: 5 });
    assert.ok(!ids(after).includes(answer.items[0]!.campaign_id), "computed again");
  } finally {
    await world.close();
  }
});

Deno.test("Recommender.explain() names what failed, and has no provenance without analytics", async () => {
  const world = await openWorld();
  try {
    const graph = faulty(world.stores.graph, fails);
    const half = new Recommender({
      stores: { ...world.stores, graph },
      clock: new ManualClock(NOW),
      answer_ms: ANSWER_MS,
    });
    const { answer, provenance, failures } = await half.explain({ user_id: "ann", k: 5 });
    assert.deepEqual(answer.degraded, ["graph"]);
    assert.ok(failures.get("graph") instanceof Error);
    assert.deepEqual([provenance?.campaigns.length, provenance?.neighbours.length], [11, 0]);
    const analytics = faulty(world.stores.analytics, fails);
    const none = new Recommender({
      stores: { ...world.stores, analytics },
      clock: new ManualClock(NOW),
      answer_ms: ANSWER_MS,
    });
    const nothing = await none.explain({ user_id: "ann", k: 5 });
    assert.deepEqual([nothing.answer.degraded, nothing.provenance], [["analytics"], null]);
  } finally {
    await world.close();
  }
});

Deno.test("Recommender.serve() takes nothing from memory or cache once a reset has begun the versions again", async () => {
  const [before, after] = [await openWorld(), await emptyWorld()];
  try {
    const clock = new ManualClock(NOW);
    const fresh = [campaign("new-1", {}), campaign("new-2", {})];
    await after.stores.analytics.upsertCampaigns({ campaigns: fresh });
    await after.add([event("zoe", "conversion", "new-1")]);
    await after.publish(1, "another run");
    let analytics = before.stores.analytics;
    const replaced = new Proxy(before.stores.analytics, {
      get: (_, name) => {
        const value = Reflect.get(analytics, name);
        return typeof value === "function" ? value.bind(analytics) : value;
      },
    });
    const recommender = new Recommender({
      stores: { ...before.stores, analytics: replaced },
      clock,
      answer_ms: ANSWER_MS,
    });
    const ask = async (user_id: string): Promise<Answer> =>
      JSON.parse((await recommender.serve({ user_id, k: 10 })).body);
    assert.ok(ids(await ask("nobody-known")).includes("g1"));
    analytics = after.stores.analytics;
    clock.advance(1_000);
    for (const user_id of ["nobody-known", "nobody-else"]) {
      assert.deepEqual(ids(await ask(user_id)), ["new-1", "new-2"]);
    }
  } finally {
    await before.close();
    await after.close();
  }
});

const OVER = "2025-03-10T00:00:20.000Z";
async function negate(world: World, user_id: string, negations: readonly Negation[]): Promise<void> {
  const profile = { user_id, words: {}, named: [], negations };
  await world.stores.analytics.setWords({ user_ids: [user_id], profiles: [profile], conversations: [] });
}

scene("leaves out what the user does not want, to the end of the conversation", async ({ world, clock }) => {
  await negate(world, "gil", [
    { of: "campaign", name: "g1", until: OVER },
    { of: "category", name: "kitchen", until: OVER },
  ]);
  const recommender = new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS });
  const { answer, provenance } = await recommender.explain({ user_id: "gil", k: 10 });
  assert.deepEqual(ids(answer).toSorted(), ["g-last-day", "g2", "g3", "g4"]);
  assert.equal(answer.vetoes.length, 2);
  assert.deepEqual(provenance?.suppressed, [{ campaign_id: "g1", by: "negation", until: OVER }]);
  const first = await recommender.serve({ user_id: "gil", k: 2 });
  const second = await recommender.serveNext(JSON.parse(first.body).recommendation_id, {
    rows: () => ({ messages: [], events: [] }),
  });
  const pages = [first, second].flatMap(({ body }) => ids(JSON.parse(body)));
  assert.deepEqual(pages.toSorted(), ["g-last-day", "g2", "g3", "g4"]);
  clock.advance(20_000);
  await claimsLapse();
  const after = await recommender.serve({ user_id: "gil", k: 2 });
  assert.equal(after.cache, "miss", "the answer held until the conversation was over");
  assert.deepEqual(JSON.parse(after.body).vetoes, []);
  const all = await recommender.explain({ user_id: "gil", k: 10 });
  assert.ok(["g1", "k1", "k2", "k3"].every((id) => ids(all.answer).includes(id)));
});

for (
  const [what, share] of [["an answer that hardly any time is left for", 0.65], [
    "an answer that is too late",
    1.1,
  ]] as const
) {
  scene(`${what} shows nothing that the user does not want`, async ({ world, clock }) => {
    await negate(world, "gil", [
      { of: "category", name: "kitchen", until: OVER },
      { of: "tag", name: "late", until: OVER },
    ]);
    const { analytics } = world.stores;
    const tagged = (await analytics.campaigns({ campaign_ids: ["g1"] })).map((row) => ({
      ...row,
      tags: ["late"],
    }));
    await analytics.upsertCampaigns({ campaigns: tagged });
    await world.add([event("gil", "dismissal", "g2")]);
    const answer_ms = 1_000;
    const epochs = (options: { user_id: string }) => {
      const until = performance.now() + share * answer_ms;
      while (options.user_id === "gil" && performance.now() < until);
      return analytics.epochs(options);
    };
    const stores = { ...world.stores, analytics: Object.assign(Object.create(analytics), { epochs }) };
    const recommender = new Recommender({ stores, clock, answer_ms });
    const popular = await recommender.serve({ user_id: "nobody", k: 20 });
    assert.deepEqual(["g1", "g2", "k1"].filter((id) => !ids(JSON.parse(popular.body)).includes(id)), []);
    const { body, degraded } = await recommender.serve({ user_id: "gil", k: 20 });
    assert.deepEqual(degraded, ["time"]);
    assert.deepEqual(ids(JSON.parse(body)).toSorted(), ["g-last-day", "g3", "g4"]);
  });
}

scene(
  "an answer that is too late shows nothing of what is not derived that the user does not want",
  async ({ world, clock }) => {
    const { stores } = world;
    const timestamp = new Date(NOW - 60_000).toISOString();
    const said = { ...messageRow(), user_id: "gil", message: "anything but kitchen", timestamp };
    await stores.documents.upsert({ messages: [said] });
    await world.add([event("gil", "dismissal", "g2")]);
    const answer_ms = 500;
    const derived = () => {
      const until = performance.now() + 1.1 * answer_ms;
      while (performance.now() < until);
      return Promise.resolve(false);
    };
    const recommender = new Recommender({ stores, clock, answer_ms, derived });
    await recommender.prepare();
    await recommender.names();
    const { body, degraded } = await recommender.serve({ user_id: "gil", k: 20 });
    assert.deepEqual(degraded, ["analytics", "time"]);
    assert.deepEqual(ids(JSON.parse(body)).filter((id) => id === "g2" || id.startsWith("k")), []);
    assert.ok(ids(JSON.parse(body)).length > 2);
  },
);

scene(
  "what a user does not want counts in a posted conversation whose stored rows cannot be read",
  async ({ world, clock }) => {
    await negate(world, "gil", [{ of: "category", name: "kitchen", until: OVER }]);
    await world.add([event("gil", "dismissal", "g2")]);
    const { stores } = world;
    const names = { campaignPage: hangs };
    for (
      const broken of [
        { documents: faulty(stores.documents, fails) },
        { documents: faulty(stores.documents, hangs), graph: faulty(stores.graph, hangs) },
        { analytics: Object.assign(Object.create(stores.analytics), names) },
      ]
    ) {
      const recommender = new Recommender({ stores: { ...stores, ...broken }, clock, answer_ms: ANSWER_MS });
      const posted = { user_id: "gil", messages: [], events: [], k: 20 };
      const { body } = await recommender.servePosted(posted);
      assert.deepEqual(ids(JSON.parse(body)).filter((id) => id === "g2" || id.startsWith("k")), []);
    }
  },
);

scene(
  "a cached answer from before what the user did last is not served if analytics fails on the way",
  async ({ world, clock }) => {
    const { analytics } = world.stores;
    let profileWords: () => Promise<ProfileWords | null> = () => analytics.profileWords({ user_id: "gil" });
    const watched = Object.assign(Object.create(analytics), { profileWords: () => profileWords() });
    const recommender = new Recommender({
      stores: { ...world.stores, analytics: watched },
      clock,
      answer_ms: ANSWER_MS,
    });
    const ask = async () => await recommender.serve({ user_id: "gil", k: 20 });
    assert.ok(ids(JSON.parse((await ask()).body)).includes("g1"));
    await world.add([event("gil", "dismissal", "g1")]);
    profileWords = fails;
    assert.equal((await ask()).cache, "bypass");
  },
);

scene(
  "caches no answer beyond the end of a conversation that leaves out a category or tag alone",
  async ({ world, clock }) => {
    for (
      const [user_id, of, name] of [["hal", "category", "kitchen"], ["ida", "tag", "none-has-it"]] as const
    ) {
      await negate(world, user_id, [{ of, name, until: OVER }]);
    }
    const recommender = new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS });
    const ask = async (user_id: string) => {
      // Without the campaign that ends sooner than the others.
      const { cache, body } = await recommender.serve({ user_id, k: 10, exclude: ["g-last-day"] });
      return { cache, answer: JSON.parse(body) as Answer };
    };
    for (const user_id of ["hal", "ida"]) assert.equal((await ask(user_id)).answer.vetoes.length, 1);
    clock.advance(19_000);
    for (const user_id of ["hal", "ida"]) assert.equal((await ask(user_id)).cache, "hit");
    clock.advance(1_000);
    await claimsLapse();
    for (const user_id of ["hal", "ida"]) {
      const { cache, answer } = await ask(user_id);
      assert.deepEqual([cache, answer.vetoes], ["miss", []]);
    }
    assert.ok(ids((await ask("hal")).answer).includes("k1"));
  },
);

scene("ranks lower what the user did not want in an earlier conversation", async ({ ask, world }) => {
  const scoreOfK1 = async () => (await ask("eve")).items.find(({ campaign_id }) => campaign_id === "k3")!;
  const before = await scoreOfK1();
  const { words } = (await world.stores.analytics.profileWords({ user_id: "eve" }))!;
  const negations: Negation[] = [{ of: "campaign", name: "k3", until: "2025-03-09T23:59:59.999Z" }];
  const profile = { user_id: "eve", words, named: ["k3"], negations };
  await world.stores.analytics.setWords({ user_ids: ["eve"], profiles: [profile], conversations: [] });
  await world.publish(2);
  const after = await scoreOfK1();
  assert.deepEqual([before.fatigue, after.fatigue, after.sources.mention], [0, 0.5, 0]);
  assert.ok(Math.abs(after.score - before.score / 2) < 0.001, `${before.score} ${after.score}`);
});

scene("leaves out what posted rows negate while analytics is down", async ({ world, clock }) => {
  const switched = { down: false };
  const analytics = new Proxy(world.stores.analytics, {
    get(target, key) {
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      return (...given: unknown[]) =>
        switched.down ? Promise.reject(new Error("down")) : value.apply(target, given);
    },
  });
  const stores = { ...world.stores, analytics };
  const recommender = new Recommender({ stores, clock, answer_ms: ANSWER_MS });
  await recommender.prepare();
  await recommender.names();
  switched.down = true;
  clock.advance(250);
  const message = { ...messageRow(), timestamp: new Date(NOW).toISOString(), message: "no kitchen things" };
  const request = { user_id: null, events: [], k: 10 };
  const asked = async (messages: readonly Message[]): Promise<Answer> =>
    JSON.parse((await recommender.servePosted({ ...request, messages })).body);
  assert.ok(ids(await asked([])).includes("k1"));
  const answer = await asked([{ ...message, user_id: NO_USER }]);
  assert.ok(answer.degraded.includes("analytics"));
  assert.ok(ids(answer).length > 0 && !ids(answer).some((id) => id.startsWith("k")), ids(answer).join());
});

scene(
  "waits for what the user has just written, and names analytics if that is late, which is not answered from the cache",
  async ({ world, clock }) => {
    let written: Promise<boolean> | null = null;
    const derived = (user_id: string) => user_id === "ann" ? written : null;
    const options = { stores: world.stores, clock, derived };
    const patient = new Recommender({ ...options, answer_ms: ANSWER_MS });
    const request = { user_id: "ann", k: 5 };
    const gate = Promise.withResolvers<boolean>();
    written = gate.promise;
    const pending = patient.serve(request);
    await patient.serve({ user_id: "bob", k: 5 });
    assert.equal(
      await Promise.race([pending, Promise.resolve("waiting")]),
      "waiting",
      "and no one else does",
    );
    gate.resolve(true);
    assert.deepEqual((await pending).degraded, []);
    written = Promise.resolve(false);
    const late = await patient.serve(request);
    assert.deepEqual([late.cache, late.degraded], ["bypass", ["analytics"]]);
    const { strategy, degraded } = JSON.parse(late.body);
    assert.deepEqual([strategy, degraded], ["personal", ["analytics"]]);
    written = new Promise(() => {});
    const timed = await new Recommender({ ...options, answer_ms: 100 }).serve(request);
    assert.deepEqual(timed.degraded, ["analytics"]);
  },
);

scene("explores nothing that the user does not want now", async ({ world, clock }) => {
  const pans = Array.from({ length: 9 }, (_, n) => campaign(`pan-${n}`, { category: "kitchen" }));
  const campaigns = [...pans, campaign("spade", { category: "garden" })];
  await world.stores.analytics.upsertCampaigns({ campaigns });
  const bytes = encodeUncertain(campaigns.map(({ campaign_id }) => campaign_id));
  await world.stores.analytics.saveFile({ version: 2, name: UNCERTAIN_FILE, bytes });
  await world.publish(2);
  const recommender = new Recommender({ stores: world.stores, clock, answer_ms: ANSWER_MS, exploration: 1 });
  const explored = async () => {
    const { items }: Answer = JSON.parse((await recommender.serve({ user_id: "gil", k: 4 })).body);
    return items.filter(({ reasons }) => reasons[0]!.code === "exploration").map((item) => item.campaign_id);
  };
  assert.ok((await explored()).some((id) => id.startsWith("pan")));
  await negate(world, "gil", [{ of: "category", name: "kitchen", until: OVER }]);
  await world.stores.analytics.raiseEpochs({ user_ids: ["gil"], campaign_ids: [] });
  assert.deepEqual(await explored(), ["spade"]);
});

scene(
  "answers a request that waited too long for those before it by popular campaigns, and marks it",
  async ({ world, clock }) => {
    const { analytics } = world.stores;
    const profileWords: typeof analytics.profileWords = (options) => {
      // As an embedded store does: nothing else has its turn meanwhile.
      const until = options.user_id === "ann" ? performance.now() + 0.7 * ANSWER_MS : 0;
      while (performance.now() < until);
      return analytics.profileWords(options);
    };
    const stores = { ...world.stores, analytics: Object.assign(Object.create(analytics), { profileWords }) };
    const recommender = new Recommender({ stores, clock, answer_ms: ANSWER_MS });
    await recommender.prepare();
    const [first, second] = await Promise.all(
      ["ann", "bob"].map(async (user_id): Promise<Answer> =>
        JSON.parse((await recommender.serve({ user_id, k: 3 })).body)
      ),
    );
    assert.deepEqual([first!.strategy, first!.degraded], ["personal", []]);
    assert.deepEqual([second!.strategy, second!.degraded, second!.items.length], [
      "popular",
      ["time"],
      3,
    ]);
    clock.advance(60_000);
    assert.equal(
      (await recommender.explain({ user_id: "bob", k: 3 })).answer.strategy,
      "personal",
      "the store is not taken to be down",
    );
  },
);
