import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { openDeterministic } from "../../lib/embed/deterministic_embedder.ts";
import type { Embedder } from "../../lib/embed/port.ts";
import type { Answer } from "../../lib/recommend/answer.ts";
import { event } from "../lib/recommend/samples.ts";
import { appTest } from "./app.ts";

/** How long an answer may take in tests of slow models. */
const WAIT_MS = 1_000;
const SOIL = [{ message: "which soil for seeds?" }];

async function post(app: Hono, path: string, body?: unknown): Promise<Response> {
  return await app.request(path, {
    method: "POST",
    ...body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) },
  });
}

async function ask(app: Hono, body: unknown, path = "/recommendations"): Promise<Answer> {
  const response = await post(app, path, body);
  assert.equal(response.status, 200, await response.clone().text());
  return await response.json();
}

const idsOf = ({ items }: Answer) => items.map(({ campaign_id }) => campaign_id);

appTest(
  "POST /recommendations answers a conversation of no user by its words, marked without a model",
  async ({ app, world, log }) => {
    const response = await post(app, "/recommendations", { messages: SOIL, k: 3 });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("x-cache"), "bypass");
    assert.equal(response.headers.get("cache-control"), "no-store");
    const answer: Answer = await response.json();
    assert.equal(answer.user_id, null);
    assert.deepEqual([answer.strategy, answer.led_by, answer.degraded], ["personal", "wording", [
      "embeddings",
    ]]);
    assert.equal(answer.items[0]!.reasons[0]!.code, "wording");
    assert.deepEqual(log.at(-1)!.degraded, {
      embeddings: "unavailable: this process has no embedding model",
    });
    assert.ok(!JSON.stringify(log).includes("soil"));
    assert.equal((await world.stores.documents.counts()).messages, 0);
  },
);

appTest("POST /recommendations leaves out what the posted events dismissed and bought", async ({ app }) => {
  const at = { timestamp: "2025-03-01T00:00:00Z" };
  const before = idsOf(await ask(app, { messages: SOIL, k: 9 }));
  assert.ok(before.includes("g1") && before.includes("g3"));
  const events = [{ campaign_id: "g1", type: "dismissal", ...at }, { campaign_id: "g3", type: "conversion" }];
  const answer = await ask(app, { messages: SOIL, events, k: 9 });
  assert.deepEqual(idsOf(answer).toSorted(), before.filter((id) => id !== "g1" && id !== "g3").toSorted());
  const bought = await ask(app, {
    messages: SOIL,
    events: [{ campaign_id: "k1", type: "conversion" }],
    k: 9,
  });
  assert.ok(bought.items.some(({ sources }) => sources.co_engagement > 0));
  // Without words there is nothing that a model would be needed for.
  assert.deepEqual((await ask(app, { events, k: 3 })).degraded, []);
});

appTest("POST /recommendations counts given intents, and only what the user said", async ({ app }) => {
  const messages = [{ message: "hm", intent: "cooking" }, { message: "soil and seeds", role: "assistant" }];
  const answer = await ask(app, { messages, k: 3 });
  assert.equal(answer.items[0]!.category, "kitchen");
  assert.ok(answer.items.every(({ sources }) => sources.wording === 0));
});

appTest(
  "POST /recommendations without rows is GET for the user, and popular without one",
  async ({ app }) => {
    const got: Answer = await (await app.request("/recommendations/ann?k=3")).json();
    assert.deepEqual(await ask(app, { user_id: "ann", k: 3 }), got);
    assert.equal((await ask(app, { k: 3 })).strategy, "popular");
  },
);

appTest("exclude, category, filter and diversity are kept to, by GET and by POST", async ({ app }) => {
  const cases: [query: string, body: Record<string, unknown>, expected: (ids: string[]) => boolean][] = [
    ["exclude=g1&exclude=k1", { exclude: ["g1", "k1"] }, (ids) => !ids.includes("g1") && !ids.includes("k1")],
    [
      "category=kitchen",
      { category: "kitchen" },
      (ids) => ids.every((id) => id.startsWith("k")) && ids.length >= 2,
    ],
    [
      "filter=" + encodeURIComponent('campaign_id in ["k3", "g4"]'),
      { filter: 'campaign_id in ["k3", "g4"]' },
      (ids) => ids.toSorted().join() === "g4,k3",
    ],
    [
      "diversity=1",
      { diversity: 1 },
      (ids) => ids.slice(0, 2).map((id) => id[0]).toSorted().join() === "g,k",
    ],
  ];
  for (const [query, body, isExpected] of cases) {
    const got: Answer = await (await app.request(`/recommendations/eve?k=9&${query}`)).json();
    assert.ok(isExpected(idsOf(got)), `${query}: ${idsOf(got)}`);
    const again = await app.request(`/recommendations/eve?k=9&${query}`);
    assert.equal(again.headers.get("x-cache"), "hit");
    assert.deepEqual(await again.json(), got);
    assert.deepEqual(idsOf(await ask(app, { user_id: "eve", k: 9, ...body })), idsOf(got));
    const posted = idsOf(await ask(app, { messages: SOIL, k: 9, ...body }));
    assert.ok("diversity" in body || isExpected(posted), `${JSON.stringify(body)}: ${posted}`);
  }
  const plain: Answer = await (await app.request("/recommendations/eve?k=9")).json();
  assert.ok(plain.items.length > 3);
});

appTest(
  "POST /recommendations/:id/next gives page after page without repeats, for a user and for a conversation",
  async ({ app }) => {
    const all: Answer = await (await app.request("/recommendations/ann?k=100")).json();
    const first: Answer = await (await app.request("/recommendations/ann?k=2")).json();
    const pages = [first];
    while (pages.at(-1)!.items.length > 0) {
      const id = pages.at(-1)!.recommendation_id!;
      const response = await post(app, `/recommendations/${id}/next`);
      assert.equal(response.status, 200);
      pages.push(await response.json());
      assert.equal(pages.at(-1)!.user_id, "ann");
    }
    const ids = pages.flatMap(idsOf);
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(ids.toSorted(), idsOf(all).toSorted());
    // The cursor of GET and POST is the same.
    const path = `/recommendations/ann?k=2&cursor=${first.recommendation_id}`;
    assert.deepEqual(idsOf(await (await app.request(path)).json()), idsOf(pages[1]!));

    const posted = await ask(app, { messages: SOIL, k: 2 });
    const next = await ask(app, { messages: SOIL }, `/recommendations/${posted.recommendation_id}/next`);
    assert.deepEqual([next.user_id, next.led_by, next.items.length], [null, "wording", 2]);
    assert.ok(idsOf(next).every((id) => !idsOf(posted).includes(id)));
    assert.deepEqual(
      idsOf(await ask(app, { messages: SOIL, k: 2, cursor: posted.recommendation_id })),
      idsOf(next),
    );
  },
);

appTest(
  "a next page keeps to the conditions of the first, and repeats nothing although data have changed",
  async ({ app, world, clock }) => {
    const query = `k=1&category=garden&filter=${encodeURIComponent('campaign_id != "g4"')}`;
    const first: Answer = await (await app.request(`/recommendations/fay?${query}`)).json();
    // What was last is now far ahead of all, under another data version.
    await world.add(Array.from({ length: 50 }, (_, n) => event(`new ${n}`, "conversion", "g-last-day")));
    await world.publish(2);
    clock.advance(1_000);
    let answer = first;
    const ids = idsOf(first);
    for (let page = 0; page < 6; page++) {
      answer = await ask(app, {}, `/recommendations/${answer.recommendation_id}/next`);
      ids.push(...idsOf(answer));
    }
    assert.equal(new Set(ids).size, ids.length, ids.join());
    assert.ok(ids.every((id) => id.startsWith("g") && id !== "g4"), ids.join());
  },
);

appTest("a bad posted request is refused, with the place and without the text", async ({ app, log }) => {
  const cases: [body: unknown, detail: RegExp][] = [
    [
      { messages: [{ message: "secret words", role: "boss" }] },
      /^messages\.0\.role must be user or assistant$/,
    ],
    [{ messages: [{ message: " " }] }, /^messages\.0\.message is blank$/],
    [{ messages: "secret words" }, /messages must be a list/],
    [{ messages: Array.from({ length: 201 }, () => ({ message: "x" })) }, /at most 200 messages/],
    [{ messages: [{ message: "x".repeat(8_001) }] }, /^messages\.0\.message is longer than 8000 characters$/],
    [
      { events: Array.from({ length: 1_001 }, () => ({ campaign_id: "g1", type: "click" })) },
      /at most 1000 events/,
    ],
    [{ events: [{ campaign_id: "g1", type: "bought" }] }, /^events\.0\.type /],
    [
      { exclude: Array.from({ length: 1_001 }, (_, n) => `c${n}`) },
      /exclude must be a list of at most 1000 ids/,
    ],
    [{ filter: "secret words" }, /^filter, character \d+: /],
    [{ k: 0 }, /k must be a whole number from 1 to 100/],
    [{ diversity: 2 }, /diversity must be a number from 0 to 1/],
    [{ cursor: "x" }, /not the recommendation_id of an answer/],
    [{ user: "ann" }, /unknown field: user/],
    [[], /^the body must be a JSON object$/],
    [{ filter: 1 }, /^filter must be a string, given once$/],
  ];
  for (const [body, detail] of cases) {
    const response = await post(app, "/recommendations", body);
    assert.equal(response.status, 400, JSON.stringify(body).slice(0, 80));
    const problem = await response.json();
    assert.match(problem.detail, detail);
    assert.ok(!JSON.stringify([problem, log]).includes("secret"));
  }
  assert.equal((await post(app, "/recommendations/none/next")).status, 400);
  const misplaced = await post(app, "/recommendations?k=3", {});
  assert.deepEqual([misplaced.status, (await misplaced.json()).detail], [400, "unknown query parameter: k"]);
  const large = await post(app, "/recommendations", { messages: [{ message: "x".repeat(3_000_000) }] });
  assert.equal(large.status, 413);
  for (const query of ["filter=category", "diversity=1.5", "cursor=x", "k=0", "exclude="]) {
    assert.equal((await app.request(`/recommendations/ann?${query}`)).status, 400, query);
  }
});

/** The model of the world's vectors, which answers so. */
function faulty(embed: Embedder["embed"]): () => Promise<Embedder> {
  const model = { name: "by-hand", revision: "0", dimension: 3, pooling: "mean" } as const;
  return () => Promise.resolve({ model, embed, close: () => Promise.resolve() });
}

for (
  const [how, embedder] of [
    ["cannot be opened", () => Promise.reject(new Error("no such file"))],
    ["fails", faulty(() => Promise.reject(new Error("down")))],
    ["hangs", faulty(() => new Promise(() => {}))],
    ["is another one", () => Promise.resolve(openDeterministic("16"))],
  ] as const
) {
  appTest(
    `POST /recommendations answers by words, marked, if the model ${how}, and soon without a wait for it`,
    async ({ app }) => {
      const expected = await ask(app, { messages: [{ message: "reply", role: "assistant" }], k: 3 });
      assert.deepEqual(expected.degraded, []);
      for (let n = 0; n < 6; n++) {
        const answer = await ask(app, { messages: [...SOIL, { message: `and ${n}` }], k: 3 });
        assert.deepEqual([answer.led_by, answer.degraded], ["wording", ["embeddings"]]);
        assert.equal(answer.items[0]!.reasons[0]!.code, "wording");
      }
      const start = performance.now();
      await ask(app, { messages: [...SOIL, { message: "once more" }], k: 3 });
      assert.ok(performance.now() - start < WAIT_MS, "the model was waited for");
    },
    { options: () => ({ embedder, answer_ms: WAIT_MS }) },
  );
}

appTest(
  "POST /recommendations uses the vector of what was said, by the model of the data",
  async ({ app }) => {
    // The first axis is the gardeners'.
    const answer = await ask(app, { messages: [{ message: "zzz" }], k: 3 });
    assert.deepEqual([answer.degraded, answer.led_by], [[], "similar_conversations"]);
    assert.ok(answer.items.every(({ category }) => category === "garden"));
  },
  {
    options: () => ({
      embedder: faulty(({ texts }) => Promise.resolve(texts.map(() => Float32Array.of(1, 0, 0)))),
    }),
  },
);

appTest(
  "POST /recommendations leaves out what a posted conversation negates, until the user asks for it",
  async ({ app }) => {
    const answerTo = async (...texts: string[]) =>
      await ask(app, { messages: texts.map((message) => ({ message })), k: 9 });
    const before = idsOf(await answerTo("which soil for seeds?"));
    assert.ok(before.includes("g1") && before.includes("k1"));
    const without = await answerTo("which soil for seeds?", "anything but Title of g1, please");
    assert.deepEqual(idsOf(without).toSorted(), before.filter((id) => id !== "g1").toSorted());
    assert.deepEqual(without.vetoes.map(({ of, name }) => [of, name]), [["campaign", "g1"]]);
    const wanted = await answerTo("anything but Title of g1", "well, Title of g1 is fine after all");
    assert.ok(idsOf(wanted).includes("g1"));
    assert.deepEqual(wanted.vetoes, []);
    const garden = await answerTo("no kitchen things please, which soil for seeds?");
    assert.deepEqual(idsOf(garden).toSorted(), before.filter((id) => !id.startsWith("k")).toSorted());
  },
);

appTest(
  "POST /recommendations/:id/next leaves out what the rows negate that are posted again",
  async ({ app }) => {
    const messages = [{ message: "no kitchen things please" }];
    const first = await ask(app, { messages, k: 2 });
    const rest = await ask(
      app,
      { messages, k: 9 },
      `/recommendations/${first.recommendation_id}/next`,
    );
    assert.ok(idsOf(rest).length > 0);
    assert.deepEqual([...idsOf(first), ...idsOf(rest)].filter((id) => id.startsWith("k")), []);
  },
);
