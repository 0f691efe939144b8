import assert from "node:assert/strict";
import { DAY_MS } from "../../lib/core/clock.ts";
import type { EngagementEvent, Message } from "../../lib/core/types.ts";
import { CampaignNames } from "../../lib/recommend/mentions.ts";
import type { LearningQuery } from "../../lib/learn/choose_ranker.ts";
import { decodeRanker, encodeRanker, RANKER_FILE } from "../../lib/recommend/ranker_file.ts";
import { readCheckResults } from "../../lib/monitoring/check_results.ts";
import { IdSigner } from "../../lib/recommend/recommendation_id.ts";
import { ShownCampaigns } from "../../lib/recommend/shown_campaigns.ts";
import { WEIGHTS } from "../../lib/recommend/score.ts";
import type { VersionFile } from "../../lib/stores/analytics/port.ts";
import type { CheckOutput } from "../../tasks/steps/check.ts";
import { buildVersion } from "../../tasks/steps/derive.ts";
import { learn, type LearnOutput } from "../../tasks/steps/learn/learn.ts";
import { readMoments, readQueries } from "../../tasks/steps/learn/read_queries.ts";
import { sampleUsers } from "../../tasks/steps/learn/sample_users.ts";
import { builtInDags } from "../../commands/engine.ts";
import { contextOf, withInputStores } from "../fixtures/context.ts";
import { type Flow, nightlyRun, type Ran, vectorsOf, withFlow, writeRows } from "../fixtures/flow.ts";
import { event, message, minute } from "../fixtures/rows.ts";
import { type ShopRows, shopRows, withIntents } from "../fixtures/shop_rows.ts";

async function load(flow: Flow, rows: ShopRows) {
  const paths = {
    messages: [writeRows(flow, "messages.ndjson", rows.messages)],
    campaigns: [writeRows(flow, "campaigns.ndjson", rows.campaigns)],
    events: [writeRows(flow, "events.ndjson", rows.events)],
  };
  const ran = await nightlyRun(flow, paths);
  assert.equal(ran.outcome, "success", ran.snapshot.run.error ?? "");
  return ran;
}

/** The queries of the first part of the sampled users, by user and moment; `leaky` from data that these users are not left out of. */
async function queriesOf(flow: Flow, rows: ShopRows, leaky = false): Promise<Map<string, LearningQuery>> {
  const { services } = flow;
  const [users] = await sampleUsers(services.analytics, {});
  const part = await readMoments(services, users!, { limit: 1e6 });
  const queries = await readQueries({
    services,
    store: await vectorsOf(services),
    embedder: await services.embedder(),
    version: (await services.analytics.published())!.version,
    names: new CampaignNames(rows.campaigns),
    campaigns: new Map(rows.campaigns.map((one) => [one.campaign_id, one])),
    budget: { texts: 1e6 },
    // Fewer than one answer asks for.
    max_conversations: 5,
  }, leaky ? { ...part, user_ids: new Set(), events: [] } : part);
  assert.equal(queries.length, part.moments.length);
  return new Map(queries.map((query, i) => [`${query.user_id} ${part.moments[i]!.at}`, query]));
}

/** All that an evaluation or a fit could see of a query. */
function textOf({ gains, places, candidates }: LearningQuery): string {
  const rows = [...candidates.candidates].map(({ campaign, sources, features }) =>
    [campaign.campaign_id, sources, features] as const
  ).sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([[...gains], places && [...places], [...candidates.present].sort(), rows]);
}

const SHOP = { users: 40, visits: 4, seed: 1 };

Deno.test("queries to learn from do not show what their users said, were given and did later, wherever it is stored", async () => {
  const shop = shopRows(SHOP);
  const { catalogue, campaigns } = withIntents(shop.campaigns);
  const rows = { ...shop, campaigns };
  const folder = await Deno.makeTempDir();
  await using _removed = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const env = { PARLEY_INTENTS: `${folder}/intents.json` };
  await Deno.writeTextFile(env.PARLEY_INTENTS, JSON.stringify(catalogue));
  const before = new Map<boolean, Map<string, LearningQuery>>();
  let users: string[] = [];
  let intents: (string | null)[] = [];
  await withFlow(async (flow) => {
    await load(flow, rows);
    for (const leaky of [false, true]) before.set(leaky, await queriesOf(flow, rows, leaky));
    users = (await sampleUsers(flow.services.analytics, {}))[0]!.map(({ user_id }) => user_id);
    intents = await classifiedIntents(flow, rows, users);
  }, env);
  assert.equal(users.length, 8);
  const planted = plantLater(rows, users);
  await withFlow(async (flow) => {
    await load(flow, planted);
    const changed = async (leaky: boolean) => {
      const after = await queriesOf(flow, planted, leaky);
      assert.ok(after.size > before.get(leaky)!.size);
      return [...before.get(leaky)!].filter(([moment, query]) => textOf(after.get(moment)!) !== textOf(query))
        .length;
    };
    assert.equal(await changed(false), 0);
    assert.equal(
      await changed(true),
      before.get(true)!.size,
      "what is planted shows if they are not left out",
    );
    const others = (await classifiedIntents(flow, rows, users)).filter((intent, n) => intent !== intents[n]);
    assert.ok(others.length > intents.length / 4, "what is planted shows in what messages are classified as");
  }, env);
  assert.ok(before.get(false)!.size >= 10);
});

async function classifiedIntents(
  { services: { documents } }: Flow,
  { messages }: ShopRows,
  user_ids: readonly string[],
): Promise<(string | null)[]> {
  const message_ids = messages.filter(({ user_id }) => user_ids.includes(user_id)).map((row) =>
    row.message_id
  );
  const classified = await documents.classifications({ message_ids });
  assert.equal(classified.length, message_ids.length);
  return classified.map(({ intent }) => intent);
}

/**
 * Users say later, word for word, what they said before each choice, with the intent of what they chose then, and choose the same again and
 * again, and other campaigns too: who learnt from that would find the conversation of the query itself, its choices among the popular ones,
 * item–item weights from them, and the intent of its choice in what it said.
 */
function plantLater({ campaigns, messages, events }: ShopRows, user_ids: readonly string[]): ShopRows {
  const intents = new Map(campaigns.map((row) => [row.campaign_id, row.intents![0]!]));
  const chosen = new Map(
    events.filter(({ type }) => type === "click").map((
      row,
    ) => [row.conversation_id, intents.get(row.campaign_id)!]),
  );
  const later = (timestamp: string, n: number) =>
    new Date(Date.parse(timestamp) + (100 + n) * DAY_MS).toISOString();
  const ofThem = <Row extends Message | EngagementEvent>(rows: readonly Row[]) =>
    rows.filter(({ user_id }) => user_ids.includes(user_id));
  const again = Array.from({ length: 3 }, (_, n) => ({
    messages: ofThem(messages).map((row) =>
      message({
        ...row,
        message_id: `${row.message_id} ${n}`,
        conversation_id: `${row.conversation_id} ${n}`,
        intent: chosen.get(row.conversation_id) ?? null,
        timestamp: later(row.timestamp, n),
      })
    ),
    events: ofThem(events).filter(({ type }) => type === "click" || type === "conversion").map((row) =>
      event({
        ...row,
        event_id: `${row.event_id} ${n}`,
        conversation_id: `${row.conversation_id} ${n}`,
        recommendation_id: null,
        position: null,
        timestamp: later(row.timestamp, n),
      })
    ),
  }));
  const { timestamp } = events.at(-1)!;
  const others = user_ids.flatMap((user_id) =>
    campaigns.slice(0, 5).map(({ campaign_id }) =>
      event({ user_id, campaign_id, type: "conversion", timestamp: later(timestamp, 9) })
    )
  );
  return {
    campaigns,
    messages: [...messages, ...again.flatMap((one) => one.messages)],
    events: [...events, ...again.flatMap((one) => one.events), ...others],
  };
}

Deno.test("queries to learn from have the list and its places by the id of the answer, if events do not say them", () =>
  withFlow(async (flow) => {
    const rows = shopRows({ ...SHOP, users: 100 });
    const signer = new IdSigner(new Uint8Array(32));
    const lists = Map.groupBy(
      rows.events.filter(({ type }) => type === "impression"),
      (row) => row.recommendation_id!,
    );
    const ids = new Map([...lists].map(([id, shown], seed) => {
      const pages = new ShownCampaigns(seed).with(["on the page before"]).with(
        shown.map((row) => row.campaign_id),
      );
      const facts = { version: 1, strategy: "personal", arm: "default", generated_at: 0, k: 10 } as const;
      return [id, signer.sign({ ...facts, seed, offset: 1, user_id: null, shown: pages })];
    }));
    // Only what was chosen is reported, and without its place.
    const events = rows.events.filter(({ type }) => type !== "impression").map((row) => ({
      ...row,
      position: null,
      recommendation_id: ids.get(row.recommendation_id!)!,
    }));
    await load(flow, { ...rows, events });
    const placesOf = new Map([...lists].map(([id, shown]) => [
      `${shown[0]!.user_id} ${events.find((row) => row.recommendation_id === ids.get(id))?.timestamp}`,
      new Map(shown.map((row) => [row.campaign_id, row.position!])),
    ]));
    let known = 0;
    const queries = await queriesOf(flow, { ...rows, events });
    for (const [moment, { places, candidates }] of queries) {
      if (places === null) continue;
      known++;
      for (const [id, place] of places) assert.equal(placesOf.get(moment)!.get(id), place);
      assert.equal([...candidates.candidates].length, places.size);
    }
    assert.ok(queries.size > 15 && known > 0.75 * queries.size, `${known} of ${queries.size}`);
  }));

Deno.test("sampleUsers() draws the same users each time, in parts of a fifth, each on the same side however many there are", () =>
  withInputStores(async ({ services: { analytics } }) => {
    const add = (from: number, to: number) =>
      analytics.upsertEvents({
        events: Array.from({ length: to - from }, (_, n) => event({ user_id: `user-${from + n}` })),
      });
    await add(0, 40);
    await analytics.setPersonalisation({ user_id: "user-3", personalisation: false });
    const first = await sampleUsers(analytics, {});
    assert.deepEqual(first.map(({ length }) => length), [8, 8, 8, 8, 7]);
    assert.deepEqual(await sampleUsers(analytics, {}), first);
    const sides = new Map(first.flat().map(({ user_id, is_held_out }) => [user_id, is_held_out]));
    assert.ok(!sides.has("user-3") && sides.size === 39);
    assert.ok([true, false].every((side) => [...sides.values()].filter((one) => one === side).length > 10));
    await add(40, 1_500);
    const later = (await sampleUsers(analytics, {})).flat();
    assert.equal(later.length, 1_499);
    for (const { user_id, is_held_out } of later) {
      assert.equal(sides.get(user_id) ?? is_held_out, is_held_out);
    }
  }));

const saved = async ({ services: { analytics } }: Flow, version?: number) => {
  const published = await analytics.published();
  const bytes = await analytics.file({ version: version ?? published!.version, name: RANKER_FILE });
  return bytes === null ? null : await decodeRanker(bytes);
};
const outputOf = <Output>({ snapshot }: Ran, task: string) =>
  snapshot.tasks.find(({ task_id }) => task_id === task)!.output as unknown as Output;

Deno.test("a run that has too few choices to compare weights publishes the fixed ones, and says so", () =>
  withFlow(async (flow) => {
    const ran = await load(flow, shopRows(SHOP));
    const { outcome, difference, findings, queries } = outputOf<LearnOutput>(ran, "learn");
    assert.deepEqual([outcome, difference, findings], ["too_few", null, []]);
    assert.ok(queries.held_out > 10 && queries.training > 10);
    assert.deepEqual(await saved(flow), { weights: WEIGHTS, learnt_for: null, comparison: null });
    const logs = await flow.runs.logs({
      run_id: ran.snapshot.run.run_id,
      task_id: "learn",
      after: 0,
      limit: 10,
    });
    assert.match(
      logs.map(({ line }) => line).join("\n"),
      /\d+ queries to compare weights on, 500 are needed: the fixed weights count/,
    );
  }));

Deno.test("a run with PARLEY_WEIGHTS=fixed learns nothing, and a change of it makes the next run set the weights", () =>
  withFlow(async (flow) => {
    const ran = await load(flow, shopRows(SHOP));
    assert.equal(outputOf<LearnOutput>(ran, "learn").outcome, "off");
    assert.deepEqual(await saved(flow), { weights: WEIGHTS, learnt_for: null, comparison: null });
    const settings = { ...flow.services.settings, weights: "learnt" as const };
    const again = await nightlyRun({ ...flow, services: { ...flow.services, settings } }, {});
    assert.equal(outputOf<LearnOutput>(again, "learn").outcome, "too_few");
  }, { PARLEY_WEIGHTS: "fixed" }));

Deno.test("a run whose weights cannot be learnt still publishes its data", () =>
  withFlow(async (flow) => {
    const analytics = new Proxy(flow.services.analytics, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (name !== "saveFile") return typeof value === "function" ? value.bind(target) : value;
        return (options: VersionFile & { bytes: Uint8Array }) =>
          options.name === RANKER_FILE ? Promise.reject(new Error("no space")) : target.saveFile(options);
      },
    });
    const { snapshot } = await load({ ...flow, services: { ...flow.services, analytics } }, shopRows(SHOP));
    const states = Object.fromEntries(snapshot.tasks.map(({ task_id, state }) => [task_id, state]));
    assert.deepEqual([states.learn, states.check, states.publish], ["failed", "success", "success"]);
    assert.equal(await saved(flow), null);
  }));

const LARGE = { users: 170, visits: 8, seed: 2, unbiased_from: 0 };

Deno.test("learn() takes weights that are better on other users, and holds others back, which is said until there is more to compare them on", () =>
  withFlow(async (flow) => {
    // The fixed weights suit this shop, so that the first run has nothing better.
    const ran = await load(flow, shopRows(LARGE));
    const first = outputOf<LearnOutput>(ran, "learn");
    assert.equal(first.outcome, "held_back");
    assert.ok(first.difference!.low < 0 && first.queries.held_out >= 500);
    const ranker = (await saved(flow))!;
    assert.deepEqual([ranker.weights, ranker.learnt_for], [WEIGHTS, null]);
    const { findings } = outputOf<CheckOutput>(ran, "check");
    const [finding] = findings.filter(({ code }) => code === "weights_held_back");
    assert.deepEqual([finding!.figure, finding!.severity], [first.difference!.low, "info"]);
    assert.match(
      finding!.text,
      /held back: on \d+ queries of other users NDCG@10 changes by .*; the version keeps/,
    );

    const results = await readCheckResults(
      flow.runs,
      builtInDags(flow.config).get("nightly")!,
      new Date(0).toISOString(),
    );
    assert.ok(results.stores.some(({ code }) => code === "weights_held_back"), "pages and doctor report it");

    const store = await vectorsOf(flow.services);
    const { version } = await buildVersion(flow.services, store, { derivation: null });
    const { analytics } = flow.services;
    const kept = await learn(contextOf(flow).context, store, version);
    assert.deepEqual([kept.outcome, kept.weights, kept.queries.held_out], ["kept", WEIGHTS, 0]);
    assert.deepEqual(kept.findings.map(({ text, since }) => [text, since]), [[
      finding!.text,
      finding!.since,
    ]]);
    assert.deepEqual(await saved(flow, version), ranker);

    const { comparison } = ranker;
    const before = new Uint8Array(encodeRanker({
      weights: { ...WEIGHTS, popularity: 9 },
      learnt_for: 1,
      comparison: { ...comparison!, events: Math.floor(comparison!.events / 1.06) },
    }));
    const file = (options: VersionFile) =>
      options.name === RANKER_FILE ? Promise.resolve(before) : analytics.file(options);
    const services = { ...flow.services, analytics: Object.assign(Object.create(analytics), { file }) };
    const better = await learn(contextOf({ services }).context, store, version);
    assert.ok(better.outcome === "adopted" && better.difference!.low > 0 && better.findings.length === 0);
    const better_ranker = await saved(flow, version);
    assert.deepEqual([better_ranker!.weights, better_ranker!.learnt_for], [better.learnt, version]);
    assert.deepEqual(better.learnt, first.learnt, "the same rows give the same weights");
  }));

Deno.test("readMoments() reads the rows of as many users as it takes", () =>
  withInputStores(async ({ services }) => {
    const ids = Array.from({ length: 120 }, (_, n) => `user-${n}`);
    const events = ids.flatMap((user_id) =>
      [1, 2, 3].map((day) => event({ user_id, timestamp: minute(day * 3_000) }))
    );
    await services.analytics.upsertEvents({ events });
    const users = ids.map((user_id) => ({ user_id, is_held_out: false }));
    const sizes = async (limit: number) => {
      const { user_ids, events, moments } = await readMoments(services, users, { limit });
      return [user_ids.size, events.length, moments.length];
    };
    assert.deepEqual(await sizes(1), [50, 150, 100]);
    assert.deepEqual(await sizes(101), [100, 300, 200]);
    assert.deepEqual(await sizes(1_000), [120, 360, 240]);
  }));
