import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import { modelKey } from "../../lib/core/types.ts";
import { openEmbedder } from "../../lib/embed/open.ts";
import type { Embedder } from "../../lib/embed/port.ts";
import { parseCatalogue } from "../../lib/intents/catalogue.ts";
import { train } from "../../lib/intents/train.ts";
import { emptyWorld, type World } from "../lib/recommend/world.ts";
import { appTest, type Opened } from "./app.ts";
import { LATEST } from "../fixtures/rows.ts";

const EMBEDDER = await openEmbedder({ url: "test:64" });
const CATALOGUE = parseCatalogue({
  source: "test",
  text: JSON.stringify([
    [
      "order",
      "where is my parcel",
      "my parcel has not come",
      "the parcel is late",
      "parcel lost in the post",
    ],
    ["garden", "when do I plant bulbs", "plant roses in clay", "which bulbs to plant", "plant the bulbs now"],
    ["repair", "mend the zip please", "can you mend boots", "mend my torn jacket", "boots to mend"],
  ].map(([intent, ...examples]) => ({ intent, examples }))),
});

/** Published under this model, with the catalogue learnt where asked for. */
function openTrained(options: { model?: string; learnt?: boolean } = {}) {
  return async (): Promise<World> => {
    const world = await emptyWorld();
    const { documents, vectors, analytics } = world.stores;
    const store = await vectors.forModel({ model: EMBEDDER.model });
    if (options.learnt !== false) {
      await train({ catalogue: CATALOGUE, documents, vectors: store, embedder: EMBEDDER });
    }
    await analytics.buildStats({ version: 1, half_life_days: 30, latest: LATEST });
    const at = "2025-03-09T12:00:00.000Z";
    const model = options.model ?? modelKey(EMBEDDER.model);
    await analytics.publish({ published: { version: 1, run_id: "r", model, at }, sources: [] });
    return world;
  };
}

const withEmbedder = (embedder: () => Promise<Embedder> = () => Promise.resolve(EMBEDDER)) => () => ({
  embedder,
});
const post = (body: unknown) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

appTest(
  "POST /intents/classify gives each text's intent, its score and the likeliest intents",
  async ({ app }) => {
    const texts = ["where has my parcel gone", "zebra quartz violin", "please mend these boots"];
    const response = await app.request("/intents/classify", post({ texts, top: 2 }));
    assert.equal(response.status, 200);
    const answer = await response.json();
    assert.deepEqual(Object.keys(answer), ["classifier", "model", "threshold", "results"]);
    assert.equal(answer.model, modelKey(EMBEDDER.model));
    assert.match(answer.classifier, new RegExp(CATALOGUE.version));
    const best = answer.results.map(({ intents }: { intents: { intent: string }[] }) => intents[0]!.intent);
    assert.deepEqual([best[0], best[2]], ["order", "repair"]);
    for (const { intent, score, intents } of answer.results) {
      assert.equal(intent, score < answer.threshold ? null : intents[0].intent);
      assert.equal(intents.length, 2);
    }
    assert.ok(answer.results[1].score < answer.results[0].score);
  },
  { open: openTrained(), options: withEmbedder() },
);

const REFUSED: readonly [string, unknown, number, RegExp][] = [
  ["a body that is not JSON", "{", 400, /^the body is not JSON$/],
  ["a list", [], 400, /the body must be \{"texts"/],
  ["no texts", { texts: [] }, 400, /1 to 64 texts/],
  ["65 texts", { texts: Array(65).fill("x") }, 400, /1 to 64 texts/],
  ["a number", { texts: [1] }, 400, /texts must be strings/],
  ["a blank text", { texts: ["x", "  "] }, 400, /must not be blank/],
  ["a long text", { texts: ["x".repeat(8_001)] }, 400, /at most 8000 characters/],
  ["an unknown field", { texts: ["x"], topp: 1 }, 400, /only texts and top are known/],
  ["a body of 2 MB", { texts: ["x".repeat(2_000_000)] }, 413, /larger than 1048576 bytes/],
];
for (const [what, body, status, detail] of REFUSED) {
  appTest(`POST /intents/classify refuses ${what}`, async ({ app, log }) => {
    const response = await app.request("/intents/classify", post(body));
    assert.equal(response.status, status);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    assert.match((await response.json()).detail, detail);
    assert.doesNotMatch(JSON.stringify(log), /xxx/);
  }, { open: openTrained(), options: withEmbedder() });
}

const UNAVAILABLE: readonly [
  string,
  Parameters<typeof openTrained>[0],
  (() => Promise<Embedder>) | null,
  RegExp,
][] = [
  ["nothing was learnt", { learnt: false }, null, /set PARLEY_INTENTS to a catalogue and run/],
  [
    "another model is published",
    { model: "other@1/64/mean" },
    null,
    /other@1\/64\/mean is published: run .* intents/,
  ],
  [
    "the model cannot be opened",
    {},
    () => Promise.reject(new ParleyError("denied", "no permission to read")),
    /cannot be opened in this process: no permission to read/,
  ],
  [
    "another model is configured",
    {},
    () => openEmbedder({ url: "test:32" }),
    /^PARLEY_EMBEDDINGS is .*set it back/,
  ],
];
for (const [what, world, embedder, detail] of UNAVAILABLE) {
  appTest(`POST /intents/classify is 503 with the reason where ${what}`, async ({ app }) => {
    const response = await app.request("/intents/classify", post({ texts: ["where is my parcel"] }));
    assert.equal(response.status, 503);
    assert.match((await response.json()).detail, detail);
  }, { open: openTrained(world), options: withEmbedder(embedder ?? undefined) });
}

/** An embedder that hangs until its caller gives up, for as long as requested. */
function hanging() {
  const fault = { on: true, asked: 0, ended: 0 };
  const embed: Embedder["embed"] = (options) => {
    if (!fault.on) return EMBEDDER.embed(options);
    fault.asked++;
    const { promise, reject } = Promise.withResolvers<never>();
    options.signal?.addEventListener("abort", () => (fault.ended++, reject(options.signal!.reason)));
    return promise;
  };
  const embedder: Embedder = { model: EMBEDDER.model, embed, close: () => Promise.resolve() };
  return { fault, options: withEmbedder(() => Promise.resolve(embedder)) };
}

/** So many requests at one time. */
const burst = (app: Opened["app"], count: number, signal?: AbortSignal) =>
  Array.from({ length: count }, () =>
    app.request(
      new Request("http://localhost/intents/classify", {
        ...post({ texts: ["where is my parcel"] }),
        ...signal ? { signal } : {},
      }),
    ));

const slow = hanging();
appTest(
  "POST /intents/classify is 503 for more than ten requests at once, and for one that takes too long",
  async ({ app }) => {
    const responses = await Promise.all(burst(app, 12));
    const told = await Promise.all(responses.map(async (response) => {
      assert.equal(response.status, 503);
      assert.equal(response.headers.get("retry-after"), "5");
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      return (await response.json()).detail;
    }));
    assert.equal(told.filter((detail) => /^too many requests at once/.test(detail)).length, 2);
    assert.equal(told.filter((detail) => /^it took more than 1 s/.test(detail)).length, 10);
    assert.equal(slow.fault.ended, slow.fault.asked);
    slow.fault.on = false;
    const [response] = await Promise.all(burst(app, 1));
    assert.equal(response!.status, 200);
  },
  { open: openTrained(), options: () => ({ ...slow.options(), classify_ms: 1_000 }) },
);

const left = hanging();
appTest("POST /intents/classify stops working for a disconnected caller", async ({ app }) => {
  const controller = new AbortController();
  const gone = burst(app, 10, controller.signal);
  while (left.fault.asked < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  left.fault.on = false;
  controller.abort();
  await Promise.all(gone);
  assert.deepEqual([left.fault.asked, left.fault.ended], [2, 2]);
  const [response] = await Promise.all(burst(app, 1));
  assert.equal(response!.status, 200);
}, { open: openTrained(), options: left.options });

appTest("POST /intents/classify needs the scope read, and is not to be got", async ({ app }) => {
  assert.equal((await app.request("/intents/classify", post({ texts: ["x"] }))).status, 401);
  const got = await app.request("/intents/classify");
  assert.equal([got.status, got.headers.get("allow")].join(), "405,POST");
}, { options: () => ({ keys: [{ key: "k".repeat(16), scopes: ["read"] }] }) });
