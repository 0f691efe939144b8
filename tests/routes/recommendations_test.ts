import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import type { Embedder } from "../../lib/embed/port.ts";
import type { Answer } from "../../lib/recommend/answer.ts";
import { appTest } from "./app.ts";
import { campaign } from "../lib/recommend/samples.ts";
import { emptyWorld, fails, faulty, NOW } from "../lib/recommend/world.ts";

const PATH = "/recommendations/ann";

appTest("GET /recommendations/:user_id answers in the documented shape", async ({ app }) => {
  const response = await app.request(`${PATH}?k=3`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("cache-control"), "no-store");
  const answer = await response.json();
  assert.equal(answer.arm, "default");
  assert.deepEqual(Object.keys(answer).sort(), [
    "arm",
    "degraded",
    "generated_at",
    "items",
    "led_by",
    "recommendation_id",
    "strategy",
    "user_id",
    "version",
    "vetoes",
  ]);
  assert.equal(answer.items.length, 3);
  assert.deepEqual(Object.keys(answer.items[0]).sort(), [
    "campaign_id",
    "category",
    "fatigue",
    "reasons",
    "score",
    "sources",
    "title",
  ]);
});

appTest("GET /recommendations/:user_id times its stages and reports the cache", async ({ app }) => {
  const miss = await app.request(PATH);
  assert.equal(miss.headers.get("x-cache"), "miss");
  for (const stage of ["cache", "vectors", "graph", "analytics", "rank"]) {
    assert.match(miss.headers.get("server-timing") ?? "", new RegExp(`${stage};dur=\\d`));
  }
  const hit = await app.request(PATH);
  assert.equal(hit.headers.get("x-cache"), "hit");
  assert.match(hit.headers.get("server-timing") ?? "", /^cache;dur=\d+(\.\d+)?$/);
  assert.equal(await hit.text(), await miss.text());
});

appTest(
  "GET /recommendations/:user_id gives ten items where k is left out, else k, or as many as there are",
  async ({ app, world }) => {
    const more = Array.from({ length: 6 }, (_, n) => campaign(`more-${n}`));
    await world.stores.analytics.upsertCampaigns({ campaigns: more });
    await world.publish(2);
    for (
      const [query, count] of [["", 10], ["?k=1", 1], ["?k=9", 9], ["?k=11", 11], ["?k=100", 14]] as const
    ) {
      const { items } = await (await app.request(`/recommendations/nobody${query}`)).json();
      assert.equal(items.length, count, query);
    }
  },
);

appTest("HEAD /recommendations/:user_id gives the headers alone", async ({ app }) => {
  const response = await app.request(PATH, { method: "HEAD" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-cache"), "miss");
  assert.equal(await response.text(), "");
});

appTest("GET /recommendations/:user_id decodes the id", async ({ app }) => {
  const answer = await (await app.request("/recommendations/a%2Fb%20%C3%A9")).json();
  assert.equal(answer.user_id, "a/b é");
});

appTest("GET /recommendations/:user_id trims ids as an import does", async ({ app }) => {
  const answer = async (path: string) => {
    const { generated_at: _, ...rest } = await (await app.request(path)).json();
    return rest;
  };
  assert.deepEqual(await answer(PATH.replace(/[^/]+$/, "%20%09$&%C2%A0%0A")), await answer(PATH));
  const [padded, plain] = ["%20cooking%20", "cooking"].map((intent) => answer(`${PATH}?intent=${intent}`));
  assert.deepEqual(await padded, await plain);
});

appTest(
  "GET /recommendations/:user_id?intent=x gives what targets that intent only, and keeps it apart",
  async ({ app }) => {
    const items = async (path: string) =>
      (await (await app.request(path)).json()).items.map(({ campaign_id }: { campaign_id: string }) =>
        campaign_id
      );
    const all = await items(PATH);
    const cooking = await items(`${PATH}?intent=cooking`);
    assert.deepEqual(cooking.toSorted(), ["k1", "k2", "k3"]);
    assert.deepEqual(await items(`${PATH}?intent=cooking`), cooking);
    assert.deepEqual(await items(`/recommendations/nobody?intent=cooking&k=2`), cooking.slice(0, 2));
    assert.deepEqual(await items(`${PATH}?intent=nothing`), []);
    assert.deepEqual(await items(PATH), all);
  },
);

const REFUSED: readonly [string, string, RegExp][] = [
  ["an empty intent", `${PATH}?intent=`, /^intent is blank$/],
  ["two intents", `${PATH}?intent=a&intent=b`, /^intent must be given once$/],
  ["k of 0", `${PATH}?k=0`, /^k must be a whole number from 1 to 100/],
  ["k of 101", `${PATH}?k=101`, /^k must be/],
  ["a negative k", `${PATH}?k=-1`, /^k must be/],
  ["a fraction", `${PATH}?k=1.5`, /^k must be/],
  ["an exponent", `${PATH}?k=1e1`, /^k must be/],
  ["an empty k", `${PATH}?k=`, /^k must be/],
  ["a k that is no number", `${PATH}?k=ten`, /^k must be/],
  ["two k", `${PATH}?k=1&k=2`, /^k must be .* given once$/],
  ["an unknown parameter", `${PATH}?limit=5`, /^unknown query parameter: limit$/],
  ["two unknown parameters", `${PATH}?k=5&a=1&b=2`, /^unknown query parameters: a, b$/],
  ["a blank id", "/recommendations/%20", /^user_id is blank$/],
  [
    "an intent of 257 characters",
    `${PATH}?intent=${"x".repeat(257)}`,
    /^intent is longer than 256 characters$/,
  ],
  ["an id of 10 kB", `/recommendations/${"x".repeat(10_240)}`, /^user_id is longer than 256 characters$/],
  ["a control character in the id", "/recommendations/a%00b", /^user_id holds a control character$/],
  ["Latin-1 in the id", "/recommendations/%E9", /^the address is not percent-encoded UTF-8: /],
  ["a bare % in the id", "/recommendations/100%", /^the address is not percent-encoded UTF-8: /],
  ["an invalid escape in the id", "/recommendations/%zz", /^the address is not percent-encoded UTF-8: /],
  ["Latin-1 in the query", `${PATH}?intent=caf%E9`, /^the address is not percent-encoded UTF-8: /],
  ["a line feed in the id", "/recommendations/a%0Ab", /^user_id holds a control character$/],
];
for (const [what, path, detail] of REFUSED) {
  appTest(`GET /recommendations/:user_id refuses ${what}`, async ({ app }) => {
    const response = await app.request(path);
    assert.equal(response.status, 400);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    const problem = await response.json();
    assert.equal(problem.code, "invalid");
    assert.match(problem.detail, detail);
  });
}

appTest("GET /recommendations/:user_id takes an id of 256 characters", async ({ app }) => {
  assert.equal((await app.request(`/recommendations/${"x".repeat(256)}`)).status, 200);
});

appTest("GET /recommendations/:user_id answers with a store down, says so and logs why", async (options) => {
  const response = await options.app.request(PATH);
  assert.equal(response.status, 200);
  assert.deepEqual((await response.json()).degraded, ["graph"]);
  assert.match(options.log[0]?.degraded?.graph ?? "", /^Error at /);
}, { options: ({ stores }) => ({ stores: { ...stores, graph: faulty(stores.graph, fails) } }) });

appTest("the log names no store if an answer lacks nothing", async ({ app, log }) => {
  for (const cache of ["miss", "hit"]) {
    const response = await app.request(PATH);
    assert.equal(response.headers.get("x-cache"), cache);
  }
  assert.deepEqual(log.map(({ degraded }) => degraded), [undefined, undefined]);
});

appTest("the log names a cache that is down, though no answer lacks anything", async ({ app, log }) => {
  assert.deepEqual((await (await app.request(PATH)).json()).degraded, []);
  assert.deepEqual(Object.keys(log[0]?.degraded ?? {}), ["cache"]);
}, { options: ({ stores }) => ({ stores: { ...stores, cache: faulty(stores.cache, fails) } }) });

appTest("GET /recommendations/:user_id answers with every store down", async ({ app }) => {
  const response = await app.request(PATH);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("x-cache"), "bypass");
  const { items, degraded } = await response.json();
  assert.deepEqual([items, degraded], [[], ["analytics"]]);
}, {
  options: ({ stores }) => ({
    stores: {
      analytics: faulty(stores.analytics, fails),
      vectors: faulty(stores.vectors, fails),
      graph: faulty(stores.graph, fails),
      documents: faulty(stores.documents, fails),
      cache: faulty(stores.cache, fails),
      runs: faulty(stores.runs, fails),
    },
  }),
});

appTest("GET /recommendations/:user_id is 503 before the first publish", async ({ app }) => {
  const response = await app.request(PATH);
  assert.equal(response.status, 503);
  assert.match((await response.json()).detail, /no data has been published yet: run `deno task pipeline`/);
}, { open: emptyWorld });

const MODEL = { name: "by-hand", revision: "0", dimension: 3, pooling: "mean" } as const;
const refusing: Embedder = {
  model: MODEL,
  embed: () => Promise.reject(new ParleyError("denied", "the key has expired")),
  close: () => Promise.resolve(),
};

for (
  const [what, options] of [
    ["the model is still being loaded", { embedder: () => new Promise<never>(() => {}) }],
    ["the model refuses its texts", { embedder: () => Promise.resolve(refusing) }],
    ["the process has no model", {}],
  ] as const
) {
  appTest(
    `an answer right after a message of the user has nothing that they do not want, if ${what}`,
    async ({ app }) => {
      const before = await answerOf(app);
      assert.ok(kitchen(before) > 0);
      await say(app, "anything but kitchen", 0);
      // The second comes after the derivation has ended, in whatever way it does.
      for (let asked = 0; asked < 2; asked++) {
        const { vetoes, degraded, ...after } = await answerOf(app);
        assert.deepEqual(vetoes.map(({ of, name }) => [of, name]), [["category", "kitchen"]]);
        assert.deepEqual([kitchen(after), after.strategy, degraded], [0, "personal", ["analytics"]]);
      }
      await say(app, "show me kitchen things again", 1);
      assert.equal(kitchen(await answerOf(app)), kitchen(before));
    },
    { options: () => ({ answer_ms: 1_000, ...options }) },
  );
}

appTest(
  "a message that was stored by a request that failed counts once it is sent again",
  async ({ app }) => {
    assert.ok(kitchen(await answerOf(app)) > 0);
    assert.equal(await say(app, "anything but kitchen", 0), 500);
    assert.equal(await say(app, "anything but kitchen", 0), 200);
    assert.equal(kitchen(await answerOf(app)), 0);
  },
  {
    options: ({ stores }) => {
      const { documents } = stores;
      let calls = 0;
      const upsert: typeof documents.upsert = async (options) => {
        const counts = await documents.upsert(options);
        if (calls++ === 0) throw new Error("cut off");
        return counts;
      };
      return { stores: { ...stores, documents: Object.assign(Object.create(documents), { upsert }) } };
    },
  },
);

async function answerOf(app: Hono): Promise<Answer> {
  return await (await app.request("/recommendations/ann?k=20")).json();
}

function kitchen({ items }: Pick<Answer, "items">): number {
  return items.filter(({ category }) => category === "kitchen").length;
}

/** Posts what ann says; returns the status. */
async function say(app: Hono, message: string, second: number): Promise<number> {
  const timestamp = new Date(NOW - 60_000 + second * 1_000).toISOString();
  const body = JSON.stringify({ user_id: "ann", message, timestamp });
  const headers = { "content-type": "application/json" };
  return (await app.request("/messages", { method: "POST", headers, body })).status;
}
