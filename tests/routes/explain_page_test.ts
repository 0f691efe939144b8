import assert from "node:assert/strict";
import type { ApiKey, Message } from "../../lib/core/types.ts";
import { ManualClock } from "../../lib/core/clock.ts";
import { CONTROL_ARM, DEFAULT_ARM } from "../../lib/recommend/arms.ts";
import { Recommender } from "../../lib/recommend/recommender.ts";
import { ANSWER_MS, NOW } from "../lib/recommend/world.ts";
import { appTest } from "./app.ts";
import { pageTest, see, send } from "./pages.ts";

const said = (message_id: string, message: string, minute: number): Message => ({
  message_id,
  user_id: "ann",
  message,
  timestamp: `2025-03-01T00:${String(minute).padStart(2, "0")}:00.000Z`,
  conversation_id: null,
  role: "user",
  intent: "plants",
  campaign_id: null,
  metadata: null,
});

/** The JSON that the page shows. */
function jsonOf(html: string): unknown {
  const text = /<pre class="json"[^>]*>([\s\S]*?)<\/pre>/.exec(html)?.[1] ?? "";
  return JSON.parse(text.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&amp;", "&"));
}

pageTest("explain shows the very answer that the API gives", async ({ app }) => {
  for (const user_id of ["ann", "dan", "nobody"]) {
    const api = await (await app.request(`/recommendations/${user_id}`)).json();
    assert.deepEqual(jsonOf((await see(app, `/explain?user_id=${user_id}`)).html), api);
  }
  const api = await (await app.request("/recommendations/ann?k=2")).json();
  assert.deepEqual(jsonOf((await see(app, "/explain?user_id=ann&k=2")).html), api);
});

appTest(
  "explain says which arm a user is in, and that a control arm's answer is not made from what is known",
  async ({ app }) => {
    const { html } = await see(app, "/explain?user_id=ann");
    assert.match(
      html,
      /Strategy<\/dt><dd><span class="value">popular<\/span><span class="note">whatever is known/,
    );
    assert.match(html, /Arm<\/dt><dd><span class="value">control<\/span>/);
    const other = (await see(app, "/explain?user_id=bob")).html;
    assert.match(
      other,
      /Strategy<\/dt><dd><span class="value">personal<\/span><span class="note">something is known/,
    );
    assert.doesNotMatch(other, /<dt>Arm<\/dt>/);
  },
  {
    options: ({ stores }) => ({
      dashboard: { dags: new Map(), runs: stores.runs, closing: new AbortController().signal },
      recommender: new Recommender({
        stores,
        clock: new ManualClock(NOW),
        answer_ms: ANSWER_MS,
        arms: { of: (user_id) => user_id === "ann" ? CONTROL_ARM : DEFAULT_ARM },
      }),
    }),
  },
);

pageTest("explain shows similar users, the paths to campaigns, and omitted campaigns", async ({ app }) => {
  const { html } = await see(app, "/explain?user_id=ann");
  assert.match(html, /<a href="\/explain\?user_id=bob">bob<\/a>/);
  assert.match(html, /<title>bob: alike 1\.00<\/title>/);
  assert.match(html, /<title>plants: intent<\/title>/);
  assert.match(html, /Similar words[\s\S]*id="alike"[\s\S]*user_id=cat/);
  assert.match(html, /1 person asked for something like this and chose it/);
  assert.match(html, /Left out[\s\S]*Title of g2[\s\S]*dismissed/);
  assert.doesNotMatch(html, /may be shown again/);
  assert.match(html, />analytics<\/span><svg role="img" aria-label="from [\d.]+ ms to [\d.]+ ms"/);
});

pageTest("explain shows what being shown often and never clicked takes off", async ({ app, world }) => {
  const counts = { impressions: 4, clicks: 0, conversions: 0, dismissals: 0 };
  const edge = { user_id: "gus", campaign_id: "g1", ...counts, last: "2025-03-01T12:00:00.000Z" };
  await world.stores.graph.setEngaged({ user_ids: ["gus"], edges: [edge] });
  const { html } = await see(app, "/explain?user_id=gus");
  assert.match(html, /<code>g1<\/code>[\s\S]*?>−30 %</);
  assert.match(html, /<span class="value">popularity<\/span>/);
});

pageTest("explain says when what the user chose may be shown again", async ({ app, world }) => {
  const [g1] = await world.stores.analytics.campaigns({ campaign_ids: ["g1"] });
  await world.stores.analytics.upsertCampaigns({ campaigns: [{ ...g1!, repurchase_days: 30 }] });
  const { html } = await see(app, "/explain?user_id=bob");
  assert.match(
    html,
    /Title of g1 <code>g1<\/code> <span class="muted">chosen; may be shown again <time[^>]*>in 21 d/,
  );
});

pageTest("explain shows what of the user's own engagement led where", async ({ app }) => {
  const { html } = await see(app, "/explain?user_id=fay");
  assert.match(html, /<title>Title of g3: looked at before<\/title>/);
  assert.match(html, /It goes with Title of g3, which you looked at\./);
  assert.match(html, /<code>g3<\/code>[\s\S]*clicked/);
});

pageTest("explain shows an unknown user the popular campaigns, and says why", async ({ app }) => {
  const { html } = await see(app, "/explain?user_id=nobody");
  assert.match(html, /<span class="value">popular<\/span>/);
  assert.match(html, /Nothing is known that links this user to a campaign/);
});

pageTest("explain says what is missing while a store is down", async ({ app, world }) => {
  await world.stores.graph.close();
  const { status, html } = await see(app, "/explain?user_id=ann");
  assert.equal(status, 200);
  assert.match(html, /Parts are missing[\s\S]*graph \(<code>/);
});

pageTest(
  "explain says what to enter while no user is asked for, and takes ids as long as the API does",
  async ({ app }) => {
    for (const path of ["/explain", "/explain?user_id=", "/explain?user_id=%20"]) {
      const { html } = await see(app, path);
      assert.match(html, /Enter a user/, path);
      assert.doesNotMatch(html, /role="alert"|<pre class="json"/, path);
    }
    const long = "x".repeat(256);
    const { html } = await see(app, `/explain?user_id=${long}`);
    assert.match(html, /<input id="user_id"[^>]* maxlength="256"/);
    assert.equal((jsonOf(html) as { user_id: string }).user_id, long);
    assert.doesNotMatch(html, /Enter a user/);
  },
);

pageTest("explain asks for an id that can be one", async ({ app }) => {
  for (const query of ["user_id=%00", `user_id=${"x".repeat(257)}`]) {
    assert.match(
      (await see(app, `/explain?${query}`)).html,
      /role="alert">The id (is longer than 256 characters|holds a control character)/,
    );
  }
});

pageTest("explain takes from 1 to 100 items, and explains nothing for any other number", async ({ app }) => {
  const valueOf = (html: string) => /<input id="k"[^>]* value="([^"]*)"/.exec(html)?.[1];
  for (const k of ["0", "-1", "101", "1.5", "x", "1e9", "NaN"]) {
    const { status, html } = await see(app, `/explain?user_id=ann&k=${k}`);
    assert.equal(status, 200);
    assert.match(html, /role="alert">Items are a whole number from 1 to 100\./, k);
    assert.doesNotMatch(html, /<pre class="json"/, k);
    assert.equal(valueOf(html), "10", "the form is as it was");
  }
  for (const [query, k] of [["&k=1", "1"], ["&k=100", "100"], ["&k=", "10"], ["", "10"]] as const) {
    const { html } = await see(app, `/explain?user_id=ann${query}`);
    assert.doesNotMatch(html, /role="alert"/, query);
    assert.equal(valueOf(html), k);
    const { items } = jsonOf(html) as { items: unknown[] };
    assert.equal(items.length, k === "1" ? 1 : 7, query);
  }
});

const KEYS: readonly ApiKey[] = [
  { key: "reader-key-of-16", scopes: ["read"] },
  { key: "admin-key-of-16+", scopes: ["admin"] },
];

pageTest("what a user said is shown to admins alone, newest first, and logged nowhere", async (options) => {
  const { app, world, log } = options;
  await world.stores.documents.upsert({
    messages: [said("b", "roses, please", 1), said("a", "my address is 5 Elm Street", 2)],
  });
  const page = async (key: string) => {
    const given = (await send(app, "/login", { key, to: "/" })).headers.get("set-cookie") ?? "";
    return (await see(app, "/explain?user_id=ann", { cookie: given.split(";")[0]! })).html;
  };
  const reader = await page("reader-key-of-16");
  assert.match(reader, /shown to a session with the scope <code>admin<\/code> alone/);
  assert.doesNotMatch(reader, /Elm Street|roses/);
  assert.match(await page("admin-key-of-16+"), /5 Elm Street[\s\S]*roses, please/);
  assert.doesNotMatch(JSON.stringify(log), /ann|Elm|roses/);
}, { keys: KEYS });

pageTest("explain says what the user does not want in this conversation", async ({ app, world }) => {
  const until = "2025-03-10T00:20:00.000Z";
  const negations = [
    { of: "campaign", name: "g1", until },
    { of: "category", name: "kitchen", until },
  ] as const;
  const profile = { user_id: "gil", words: {}, named: [], negations };
  await world.stores.analytics.setWords({ user_ids: ["gil"], profiles: [profile], conversations: [] });
  const { html } = await see(app, "/explain?user_id=gil");
  assert.match(html, /all of the category kitchen <span class="muted">not wanted, as the user said/);
  assert.match(
    html,
    /Title of g1 <code>g1<\/code> <span class="muted">not wanted, as the user said[^;]*; may be shown again/,
  );
  const past = { of: "campaign", name: "g1", until: "2025-03-09T00:00:00.000Z" } as const;
  await world.stores.analytics.setWords({
    user_ids: ["gil"],
    profiles: [{ ...profile, words: { soil: 1 }, negations: [past] }],
    conversations: [],
  });
  const later = (await see(app, "/explain?user_id=gil")).html;
  assert.match(later, /not wanted in an earlier conversation[\s\S]*<code>g1<\/code>[\s\S]*?>−50 %</);
  assert.doesNotMatch(later, /not wanted, as the user said/);
});
