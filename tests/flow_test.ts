import assert from "node:assert/strict";
import { createApp } from "../routes/app.ts";
import { openCache } from "../lib/stores/open.ts";
import { systemClock } from "../lib/core/clock.ts";
import { digests, type Flow, nightlyRun, ROOT, vectorsOf, withFlow, writeRows } from "./fixtures/flow.ts";
import { states } from "./fixtures/dag.ts";

const STAGES = [
  "ingest",
  "validate",
  "documents",
  "analytics",
  "embed",
  "vectors",
  "classify",
  "graph",
  "conversations",
  "derive",
  "learn",
  "check",
  "publish",
];

const INTENTS = { PARLEY_INTENTS: `${ROOT}sample/intents.json` };

const person = (n: number) => `person-${n % 7}`;
const message = (n: number, text = `I would like thing ${n % 5} number ${n}`) => ({
  user_id: person(n),
  message: text,
  timestamp: `2026-05-${String(1 + n % 27).padStart(2, "0")}T10:00:00Z`,
  intent: `thing_${n % 5}`,
});
const campaigns = [0, 1, 2, 3, 4].map((n) => ({
  campaign_id: `offer-${n}`,
  title: `Offer of thing ${n}`,
  intents: [`thing_${n}`],
}));
const event = (n: number, type = "click") => ({
  user_id: person(n),
  campaign_id: `offer-${n % 5}`,
  type,
  timestamp: `2026-05-${String(1 + n % 27).padStart(2, "0")}T12:00:00Z`,
});
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

function smallInput(flow: Flow) {
  return {
    messages: [writeRows(flow, "messages.ndjson", range(40).map((n) => message(n)))],
    campaigns: [writeRows(flow, "campaigns.ndjson", campaigns)],
    events: [writeRows(flow, "events.ndjson", range(30).map((n) => event(n)))],
  };
}

Deno.test("every attempt leaves lineage: datasets, rows, versions, times and outcome", () =>
  withFlow(async (flow) => {
    const { snapshot } = await nightlyRun(flow, smallInput(flow));
    assert.deepEqual(states(snapshot), Object.fromEntries(STAGES.map((stage) => [stage, "success"])));
    const lineage = await flow.runs.lineage({ run_id: snapshot.run.run_id });
    for (const stage of STAGES) {
      assert.ok(lineage.some(({ task_id }) => task_id === stage), `${stage} has lineage`);
    }
    const written = lineage.find(({ task_id, direction }) =>
      task_id === "documents" && direction === "output"
    );
    assert.equal(written?.rows, 40);
    assert.ok(written?.fields.includes("user_id"));
    assert.deepEqual(written?.quality, { inserted: 40, changed: 0, same: 0 });
    const names = (task: string, use: string) =>
      lineage.flatMap(({ task_id, direction, name }) => task_id === task && direction === use ? [name] : []);
    const made = names("derive", "output");
    const published = names("publish", "input");
    assert.deepEqual(published.filter((name) => !made.includes(name)), []);
    assert.equal(published.length, 3, "popularity, item–item weights and indexes");
    for (const attempt of snapshot.attempts) {
      assert.equal(attempt.state, "success");
      assert.ok(attempt.ended_at !== null && attempt.ended_at >= attempt.started_at);
      assert.ok(attempt.versions.code !== undefined && attempt.versions.dag !== undefined);
    }
    const embed = snapshot.attempts.find(({ task_id }) => task_id === "embed");
    assert.match(embed?.versions.model ?? "", /64/);
  }, INTENTS));

Deno.test("new input adds only new rows", () =>
  withFlow(async (flow) => {
    const input = smallInput(flow);
    await nightlyRun(flow, input);
    const more = writeRows(flow, "more.ndjson", [
      ...range(40).map((n) => message(n)),
      message(100),
      message(101),
    ]);
    const { snapshot } = await nightlyRun(flow, { messages: [more] });
    const output = (id: string) => snapshot.tasks.find(({ task_id }) => task_id === id)?.output as never;
    assert.deepEqual(output("documents"), { messages: { inserted: 2, changed: 0, same: 40 } });
    assert.equal((output("embed") as { embedded: number }).embedded, 2);
    const touched = (output("graph") as { touched: { rows: number } }).touched.rows;
    assert.equal(touched, new Set([person(100), person(101)]).size);
    assert.equal((await flow.services.documents.counts()).messages, 42);
  }));

Deno.test("a later run's row replaces an earlier one of the same id, everywhere", () =>
  withFlow(async (flow) => {
    const row = (text: string, user_id: string) => ({ ...message(0, text), message_id: "m", user_id });
    await nightlyRun(flow, {
      messages: [writeRows(flow, "a.ndjson", [row("old words", "ann"), message(1)])],
    });
    await nightlyRun(flow, { messages: [writeRows(flow, "b.ndjson", [row("new words", "bob")])] });
    const [stored] = await flow.services.documents.page({ after: null, limit: 10, user_ids: ["bob"] });
    assert.equal(stored?.message, "new words");
    assert.deepEqual(await flow.services.graph.intentsOf({ user_id: "ann", limit: 5 }), []);
    assert.equal((await flow.services.graph.intentsOf({ user_id: "bob", limit: 5 })).length, 1);
    const fresh = await flow.services.embedder();
    const [expected] = await fresh.embed({ texts: ["new words"] });
    const got = (await (await vectorsOf(flow.services)).get({ collection: "messages", ids: ["m"] })).get("m");
    assert.deepEqual(got, expected);
  }));

Deno.test("a bad row is quarantined with its place, and does not stop the run", () =>
  withFlow(async (flow) => {
    const rows = [...range(20).map((n) => message(n)), "{broken", { ...message(21), timestamp: "yesterday" }];
    const { outcome, snapshot } = await nightlyRun(flow, {
      messages: [writeRows(flow, "messages.ndjson", rows)],
    });
    assert.equal(outcome, "success");
    assert.equal(snapshot.attempts.find(({ task_id }) => task_id === "validate")?.quarantined, 2);
    const refused = await flow.services.documents.quarantined({ limit: 10, offset: 0 });
    assert.deepEqual(refused.map(({ position }) => position), [21, 22]);
    assert.match(refused[1]!.reason, /timestamp/);
  }));

Deno.test("one event or message stamped years ahead is refused, and drags nothing along if it is stored already", () =>
  withFlow(async (flow) => {
    const { analytics, documents } = flow.services;
    const liked = range(40).map((n) => ({
      user_id: `user-${n % 8}`,
      campaign_id: "offer-1",
      type: "conversion",
      timestamp: `2026-05-0${1 + n % 5}T10:00:00Z`,
    }));
    const ahead = { user_id: "user-7", campaign_id: "offer-2", type: "click", timestamp: 2 ** 32 - 1 };
    await nightlyRun(flow, {
      ...smallInput(flow),
      events: [writeRows(flow, "ahead.ndjson", [...liked, ahead])],
    });
    const [refused] = await documents.quarantined({ limit: 5, offset: 0 });
    assert.equal(refused?.reason, "timestamp is more than a day in the future");
    const best = async () => {
      const { version } = (await analytics.published())!;
      return (await analytics.popular({ version, limit: 1 })).map((
        { campaign_id, popularity },
      ) => [campaign_id, popularity]);
    };
    assert.deepEqual(await best(), [["offer-1", 1]]);
    await analytics.upsertEvents({
      events: [{
        ...ahead,
        event_id: "ahead",
        type: "click",
        timestamp: "2106-02-07T06:28:15.000Z",
        conversation_id: null,
        recommendation_id: null,
        position: null,
        metadata: null,
      }],
    });
    assert.equal(
      (await nightlyRun(flow, { messages: [writeRows(flow, "more.ndjson", [message(60)])] })).outcome,
      "success",
    );
    assert.deepEqual(await best(), [["offer-1", 1]]);
  }));

Deno.test("too many bad rows fail the run before any store is written", () =>
  withFlow(async (flow) => {
    const before = await digests(flow);
    const rows = [...range(10).map((n) => message(n)), ...range(10).map(() => ({ user_id: "x" }))];
    const { outcome, snapshot } = await nightlyRun(flow, {
      messages: [writeRows(flow, "messages.ndjson", rows)],
    });
    assert.equal(outcome, "failed");
    assert.match(snapshot.run.error ?? "", /validate: 10 of 20 rows/);
    assert.equal(states(snapshot).documents, "upstream_failed");
    assert.deepEqual(await digests(flow), before);
    assert.equal(await flow.services.analytics.published(), null);
    assert.equal((await flow.services.documents.quarantined({ limit: 20, offset: 0 })).length, 10);
  }));

Deno.test("a source that is neither JSON nor CSV fails alone", () =>
  withFlow(async (flow) => {
    const bad = writeRows(flow, "letter.txt", ["Dear Parley,", "this is no JSON."]);
    const good = writeRows(flow, "messages.ndjson", range(5).map((n) => message(n)));
    const { outcome, snapshot } = await nightlyRun(flow, { messages: [bad, good] });
    assert.equal(outcome, "success");
    const ingest = snapshot.tasks.find(({ task_id }) => task_id === "ingest")?.output as {
      failed: { error: string }[];
    };
    assert.match(ingest.failed[0]!.error, /holds no rows of JSON or CSV/);
    assert.equal((await flow.services.documents.counts()).messages, 5);
  }));

Deno.test("a critical finding leaves the old version published", () =>
  withFlow(async (flow) => {
    await nightlyRun(flow, smallInput(flow));
    const before = await flow.services.analytics.published();
    const { user_id } = message(2);
    const store = await vectorsOf(flow.services);
    const lost = await store.deleteExcept({ collection: "messages", user_ids: [user_id], ids: [] });
    const { outcome, snapshot } = await nightlyRun(flow, {
      messages: [writeRows(flow, "more.ndjson", [message(50)])],
    });
    assert.equal(outcome, "failed");
    assert.match(
      snapshot.run.error ?? "",
      new RegExp(`not published: 41 messages are stored and ${41 - lost} have`),
    );
    assert.deepEqual(await flow.services.analytics.published(), before);
  }));

Deno.test("a message that was stored without a vector gets one with the next run", () =>
  withFlow(async (flow) => {
    await nightlyRun(flow, smallInput(flow));
    const rest = { role: "user", conversation_id: null, campaign_id: null, metadata: null } as const;
    await flow.services.documents.upsert({ messages: [{ ...message(1), ...rest, message_id: "stopped" }] });
    const { outcome } = await nightlyRun(flow, smallInput(flow));
    assert.equal(outcome, "success");
    const store = await vectorsOf(flow.services);
    assert.equal((await store.hashes({ collection: "messages", ids: ["stopped"] })).size, 1);
  }));

Deno.test("a run that failed leaves nothing stale: the next one derives the rest", () =>
  withFlow(async (flow) => {
    const input = smallInput(flow);
    const broken = {
      ...flow,
      services: { ...flow.services, embedder: () => Promise.reject(new Error("no model")) },
    };
    assert.equal((await nightlyRun(broken, input)).outcome, "failed");
    assert.equal((await nightlyRun(flow, input)).outcome, "success");
    await withFlow(async (undisturbed) => {
      await nightlyRun(undisturbed, smallInput(undisturbed));
      assert.deepEqual(await digests(flow), await digests(undisturbed));
    });
  }));

Deno.test("data that an earlier Parley derived is derived again, once, without new input", () =>
  withFlow(async (flow) => {
    const input = smallInput(flow);
    await nightlyRun(flow, input);
    const before = await digests(flow);
    const { analytics, graph } = flow.services;
    const { model, version, at } = (await analytics.published())!;
    await analytics.publish({
      published: { model, version: version + 1, at, run_id: "earlier" },
      sources: await analytics.sources(),
    });
    const user_ids = range(7).map(person);
    await graph.setConversations({ user_ids, conversations: [] });
    await (await vectorsOf(flow.services)).deleteExcept({ collection: "conversations", user_ids, ids: [] });
    const { outcome, snapshot } = await nightlyRun(flow, input);
    assert.equal(outcome, "success");
    const log = await flow.runs.logs({ run_id: snapshot.run.run_id, after: 0, limit: 100 });
    assert.ok(log.some(({ line }) => line.startsWith("what is published was derived by another version")));
    assert.deepEqual(await digests(flow), before);
    assert.equal(states((await nightlyRun(flow, input)).snapshot).ingest, "skipped");
  }));

Deno.test("what ended, was dismissed or was converted on is not shown, and an unknown user gets the popular list", () =>
  withFlow(async (flow) => {
    const ended = {
      campaign_id: "ended",
      title: "Ended",
      intents: ["thing_1"],
      ends_at: "2020-01-01T00:00:00Z",
    };
    const input = smallInput(flow);
    await nightlyRun(flow, {
      ...input,
      campaigns: [writeRows(flow, "campaigns.ndjson", [...campaigns, ended])],
      events: [writeRows(flow, "events.ndjson", [
        ...range(30).map((n) => event(n)),
        { ...event(0, "dismissal"), campaign_id: "offer-3" },
        { ...event(0, "conversion"), campaign_id: "offer-4" },
      ])],
    });
    const { analytics, vectors, graph, documents } = flow.services;
    const cache = await openCache(flow.config.cache);
    const stores = { analytics, vectors, graph, documents, cache, runs: flow.runs };
    const app = await createApp({
      stores,
      clock: systemClock,
      version: "test",
      keys: [],
      answer_ms: 30_000,
      log: null,
    });
    const ids = async (user_id: string) => {
      const answer = await (await app.request(`/recommendations/${user_id}?k=10`)).json();
      return {
        strategy: answer.strategy,
        ids: answer.items.map((item: { campaign_id: string }) => item.campaign_id),
      };
    };
    const known = await ids(person(0));
    assert.equal(known.strategy, "personal");
    assert.deepEqual(known.ids.toSorted(), ["offer-0", "offer-1", "offer-2"]);
    const unknown = await ids("nobody");
    assert.equal(unknown.strategy, "popular");
    assert.ok(!unknown.ids.includes("ended") && unknown.ids.length === 5);
    await cache.close();
  }));
