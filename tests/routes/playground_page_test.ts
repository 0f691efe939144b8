import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import type { Embedder } from "../../lib/embed/port.ts";
import { SOURCES } from "../../lib/recommend/answer.ts";
import { type Arm, CONTROL_ARM, DEFAULT_ARM } from "../../lib/recommend/arms.ts";
import { Recommender } from "../../lib/recommend/recommender.ts";
import { ManualClock } from "../../lib/core/clock.ts";
import { ANSWER_MS, NOW } from "../lib/recommend/world.ts";
import { appTest } from "./app.ts";
import { WEIGHTS } from "../../lib/recommend/score.ts";
import { messagesOf } from "../../routes/pages/playground/data.ts";
import { pageTest, see, send, tokenOf } from "./pages.ts";

/** Posts the form as a browser does, with the weights of now unless others are given. */
async function compare(app: Hono, fields: Readonly<Record<string, string>>) {
  const csrf = await tokenOf(app, "/playground");
  const weights = Object.fromEntries(SOURCES.map((source) => [`weight-${source}`, String(WEIGHTS[source])]));
  const form = { csrf, text: "", user_id: "", k: "7", diversity: "0.1", ...weights, ...fields };
  const response = await send(app, "/playground", form);
  return { status: response.status, html: await response.text() };
}

/** The campaigns of the compared answers, each with its place in the tried one and in that of now. */
function placesIn(html: string): [id: string, tried: string, now: string][] {
  const rows = html.slice(html.indexOf('<table id="compared"')).split("<tr").slice(2);
  return rows.map((row) => {
    const [id] = [...row.matchAll(/<code>([^<]+)<\/code>/g)].map(([, id]) => id!);
    const cell = (head: string) => new RegExp(`data-head="${head}"[^>]*>([^<]*)<`).exec(row)![1]!;
    return [id!, cell("Place"), cell("Now")];
  });
}

/** Gives all texts one vector. */
const MODEL: Embedder = {
  model: { name: "by-hand", revision: "0", dimension: 3, pooling: "mean" },
  embed: ({ texts }) => Promise.resolve(texts.map(() => Float32Array.of(1, 0, 0))),
  close: () => Promise.resolve(),
};

const NONE = Object.fromEntries(SOURCES.map((source) => [`weight-${source}`, "0"]));

pageTest(
  "the playground is filled with the weights of now, and compares nothing before it is sent",
  async ({ app }) => {
    const { html } = await see(app, "/playground");
    for (const source of SOURCES) {
      assert.match(
        html,
        new RegExp(`id="weight-${source}"[^>]* value="${WEIGHTS[source]}"`),
      );
    }
    assert.doesNotMatch(html, /id="compared"/);
  },
);

pageTest(
  "a conversation is answered by the weights of now and by others, side by side, with reasons",
  async ({ app, world, log }) => {
    const before = await world.stores.documents.digest();
    const same = await compare(app, { text: "which soil for seeds?\nsecret words" });
    assert.equal(same.status, 200);
    assert.match(same.html, /Both answers<\/h2><span>the same/);
    for (const [, tried, now] of placesIn(same.html)) assert.equal(tried, now);
    const popular = await compare(app, { text: "which soil for seeds?", ...NONE, "weight-popularity": "1" });
    const places = placesIn(popular.html);
    assert.ok(places.some(([, tried, now]) => tried !== now));
    assert.deepEqual(
      places.flatMap(([, tried]) => tried === "–" ? [] : [Number(tried)]),
      places.filter(([, tried]) => tried !== "–").map((_, i) => i + 1),
    );
    const { items } = await (await app.request("/popular?k=7")).json();
    assert.deepEqual(
      places.filter(([, tried]) => tried !== "–").map(([id]) => id).slice(0, 2),
      items.slice(0, 2).map(({ campaign_id }: { campaign_id: string }) => campaign_id),
    );
    assert.equal(await world.stores.documents.digest(), before, "nothing is stored");
    assert.ok(!JSON.stringify(log).includes("secret words"));
  },
);

pageTest("a stored user's own rows count in the playground, and a wrong field is named", async ({ app }) => {
  const { html } = await compare(app, { user_id: "ann" });
  assert.ok(placesIn(html).every(([id]) => id !== "g2"), "what ann dismissed is in neither answer");
  const cases: [Record<string, string>, RegExp][] = [
    [{ "weight-intent": "x" }, /The weight of intent must be a number from 0 to 10/],
    [{ "weight-wording": "-1" }, /The weight of wording must be a number from 0 to 10/],
    [{ ...NONE, "weight-mention": "1" }, /The weight of popularity must be above 0/],
    [{ "weight-wording": " " }, /The weight of wording must be a number from 0 to 10/],
    [{ "weight-wording": "0x8" }, /The weight of wording must be a number from 0 to 10/],
    [{ "weight-wording": "11" }, /The weight of wording must be a number from 0 to 10/],
    [{ diversity: "" }, /Diversity must be a number from 0 to 1/],
    [{ k: "0" }, /Items must be a number from 1 to 50/],
    [{ k: "1.5" }, /Items must be a whole number/],
    [{ text: "x\n".repeat(201) }, /The conversation has more than 200 messages/],
  ];
  for (const [fields, problem] of cases) {
    const refused = await compare(app, { ...fields, user_id: "<b>" });
    assert.equal(refused.status, 400);
    assert.match(refused.html, problem);
    assert.match(refused.html, /value="&lt;b&gt;"/, "what was entered stays");
  }
});

Deno.test("messagesOf() takes each line as a message, or both sides by their names", () => {
  assert.deepEqual(messagesOf("hello\r\n\nthere "), [
    { role: "user", message: "hello" },
    { role: "user", message: "there" },
  ]);
  assert.deepEqual(messagesOf("before\nUser: one\n two\nassistant:\nyes\nuser: "), [
    { role: "user", message: "before" },
    { role: "user", message: "one\ntwo" },
    { role: "assistant", message: "yes" },
  ]);
  assert.deepEqual(messagesOf(" \n"), []);
});

pageTest("what the other side says does not count in the playground", async ({ app }) => {
  const user = placesIn((await compare(app, { text: "user: which soil?" })).html);
  const both = placesIn((await compare(app, { text: "user: which soil?\nassistant: a pan?" })).html);
  assert.deepEqual(both, user);
  assert.notDeepEqual(placesIn((await compare(app, { text: "which soil?\na pan?" })).html), user);
});

pageTest("numbers of the playground may be written as browsers write them", async ({ app }) => {
  const weights = {
    "weight-wording": "1e-1",
    "weight-intent": ".5",
    "weight-mention": "10",
    diversity: "0.",
  };
  assert.equal((await compare(app, weights)).status, 200);
});

pageTest(
  "what the user does not want is left out of both answers of the playground, which says why",
  async ({ app }) => {
    const { html } = await compare(app, { text: "no kitchen things please", user_id: "ann" });
    assert.ok(placesIn(html).every(([id]) => !id.startsWith("k")));
    assert.match(html, /all of the category kitchen <span class="muted">not wanted, as the user said/);
    assert.match(html, /Title of g2 <code>g2<\/code> <span class="muted">dismissed/);
  },
);

const POPULAR: Arm = { name: "x/popular", sources: ["popularity"] };
const ARMS = new Map([["ann", CONTROL_ARM], ["bob", POPULAR]]);

appTest(
  "the answer of now in the playground is that of the user's arm, and a campaign that only it has shows its reasons",
  async ({ app }) => {
    const words = { ...NONE, "weight-wording": "1", "weight-popularity": "0.001" };
    for (const [user_id, { name }] of ARMS) {
      const { html } = await compare(app, { ...words, user_id, k: "1", text: "soil and seeds" });
      const { items } = await (await app.request(`/recommendations/${user_id}?k=1`)).json();
      const now = placesIn(html).filter(([, , now]) => now !== "–").sort(([, , a], [, , b]) =>
        Number(a) - Number(b)
      );
      assert.deepEqual(now.map(([id]) => id), items.map((item: { campaign_id: string }) => item.campaign_id));
      assert.ok(html.includes(`This user is in the arm <a href="/experiments">${name}</a>`));
      const gone = html.split("<tr").filter((row) => row.includes(">gone<"));
      assert.ok(gone.length > 0);
      for (const row of gone) assert.match(row, /Popular/);
    }
    const { html } = await compare(app, { user_id: "cat" });
    assert.doesNotMatch(html, /in the arm/);
    assert.match(html, /sources are those with these weights; of one that is gone, those of now/);
  },
  {
    options: ({ stores }) => ({
      dashboard: { dags: new Map(), runs: stores.runs, closing: new AbortController().signal },
      recommender: new Recommender({
        stores,
        clock: new ManualClock(NOW),
        answer_ms: ANSWER_MS,
        arms: { of: (user_id) => ARMS.get(user_id ?? "") ?? DEFAULT_ARM },
      }),
    }),
  },
);

let opens = 0;
pageTest("a model that was not ready for the first answer is for both that are compared", async ({ app }) => {
  const { html } = await compare(app, { text: "which soil for seeds?" });
  assert.equal(opens, 2);
  assert.doesNotMatch(html, /Parts are missing/);
  assert.match(html, /Both answers<\/h2><span>the same/);
}, {
  embedder: () => ++opens === 1 ? Promise.reject(new Error("not loaded yet")) : Promise.resolve(MODEL),
});
