/** A posted conversation is answered as a stored user is: what the nightly pipeline makes of rows, and what is made of the same rows posted. */
import assert from "node:assert/strict";
import { openServing } from "../commands/services.ts";
import { systemClock } from "../lib/core/clock.ts";
import type { EngagementEvent, Message, Published } from "../lib/core/types.ts";
import { IntentService } from "../lib/intents/intent_service.ts";
import type { Answer } from "../lib/recommend/answer.ts";
import { CampaignRows } from "../lib/recommend/campaign_rows.ts";
import { PopularReader } from "../lib/recommend/candidates/popularity.ts";
import { CatalogueReader } from "../lib/recommend/catalogue_reader.ts";
import type { KnownUser } from "../lib/recommend/known_user.ts";
import { NO_USER, readPostedUser } from "../lib/recommend/posted_user.ts";
import { readUser } from "../lib/recommend/recommend.ts";
import { RequestTrace } from "../lib/recommend/request_trace.ts";
import { createStorePolicies } from "../lib/recommend/store_policy.ts";
import { TextVectors } from "../lib/recommend/text_vectors.ts";
import { readUserRows } from "../lib/recommend/user_rows.ts";
import { VersionData } from "../lib/recommend/version_data.ts";
import { createApp } from "../routes/app.ts";
import { type Flow, flowTemplate, loadSample, nightlyRun, ROOT, runDag, writeRows } from "./fixtures/flow.ts";
import { message } from "./fixtures/rows.ts";

/** Longer than by default: on a busy machine, too, nothing is left out. */
const ANSWER_MS = 30_000;

/** Users who said something that led to nothing, so that no answer to others is made from it. */
const QUIET = ["quiet-1", "quiet-2"].flatMap((user_id, n) => [
  message({ user_id, message: "Do you have shoes for wet rock, or the gait clinic?", role: "user" }),
  message({ user_id, message: `My heel drop is ${n} mm.`, role: "user" }),
  message({ user_id, message: "Anything but the gait clinic on the treadmill, and no shoes." }),
]);

const withSample = flowTemplate(async (flow) => {
  await loadSample(flow);
  const quiet = writeRows(flow, "quiet.ndjson", QUIET);
  assert.equal((await nightlyRun(flow, { messages: [quiet] })).outcome, "success");
  assert.equal((await runDag(flow, "intents", {})).outcome, "success");
}, { PARLEY_INTENTS: `${ROOT}sample/intents.json` });

interface Rows {
  readonly messages: readonly Message[];
  readonly events: readonly EngagementEvent[];
}

/** What both ways need, over a flow's stores. */
async function open({ services }: Flow) {
  const { documents, analytics, vectors, graph } = services;
  const stores = { documents, analytics, vectors, graph };
  const published: Published = (await analytics.published())!;
  const embedder = () => services.embedder();
  const texts = new TextVectors(embedder);
  const classifier = new IntentService({ stores, embedder });
  const catalogue = new CatalogueReader(stores);
  const names = await catalogue.names();
  const context = () => ({
    k: 10,
    shown: null,
    exploration: null,
    stores,
    clock: systemClock,
    published,
    repurchase_days: null,
    popular: new PopularReader(analytics),
    campaign_rows: new CampaignRows(analytics),
    version_data: new VersionData({ analytics, clock: systemClock, answer_ms: ANSWER_MS, warn: assert.fail }),
    catalogue,
    trace: new RequestTrace(createStorePolicies(ANSWER_MS), ANSWER_MS),
  });
  const stored = async (user_id: string): Promise<KnownUser> => {
    const options = { ...context(), user_id };
    const user = await readUser(options);
    assert.deepEqual([...options.trace.failures], []);
    return user;
  };
  const posted = async (user_id: string | null, rows: Rows): Promise<KnownUser> => {
    const options = {
      ...context(),
      user_id,
      ...rows,
      vectors: texts,
      classifier,
      names,
      gap_ms: 30 * 60_000,
    };
    const user = await readPostedUser(options);
    assert.deepEqual([...options.trace.failures], []);
    return user;
  };
  const rowsOf = async (user_id: string): Promise<Rows> =>
    (await readUserRows({ documents, analytics, user_ids: [user_id] })).users[0]!;
  const users = [
    ...new Set([...await userIds(services), ...await analytics.users({ after: null, limit: 1_000 })]),
  ];
  return { stores, users, stored, posted, rowsOf };
}

async function userIds({ documents }: Flow["services"]): Promise<string[]> {
  const messages = await documents.page({ after: null, limit: 10_000 });
  return messages.map(({ user_id }) => user_id);
}

/** The same rows as those of no stored user. */
function anonymous({ messages, events }: Rows): Rows {
  const rename = <Row>(row: Row): Row => ({ ...row, user_id: NO_USER });
  return { messages: messages.map(rename), events: events.map(rename) };
}

/** Without whose it is. */
function unnamed(user: KnownUser) {
  const without = <Row extends { user_id: string }>({ user_id: _, ...row }: Row) => row;
  // Words that were counted have no prototype.
  return {
    ...user,
    words: { ...user.words },
    own: user.own.map(without),
    intents: user.intents.map(without),
  };
}

Deno.test("userOfRows() makes of each user's rows what the stores say about that user after a run", () =>
  withSample(async (flow) => {
    const { users, stored, posted, rowsOf } = await open(flow);
    const seen = { vector: 0, named: 0, negations: 0, own: 0, intents: 0, final: 0 };
    for (const user_id of users) {
      const [expected, rows] = [await stored(user_id), await rowsOf(user_id)];
      assert.deepEqual(unnamed(await posted(null, anonymous(rows))), unnamed(expected), user_id);
      if (expected.vector !== null) seen.vector++;
      for (const field of ["named", "negations", "own", "intents", "final"] as const) {
        if (expected[field].length > 0) seen[field]++;
      }
    }
    assert.ok(Object.values(seen).every((count) => count >= 3), JSON.stringify(seen));
  }));

Deno.test("readPostedUser() puts a user's stored rows before the posted ones, and counts none twice", () =>
  withSample(async (flow) => {
    const { users, posted, rowsOf } = await open(flow);
    const [user_id, other] = [users[0]!, users[1]!];
    const [own, more] = [await rowsOf(user_id), await rowsOf(other)];
    const as = <Row>(row: Row): Row => ({ ...row, user_id });
    const fresh = { messages: more.messages.map(as), events: more.events.map(as) };
    const all = { messages: [...own.messages, ...fresh.messages], events: [...own.events, ...fresh.events] };
    const expected = unnamed(await posted(null, anonymous(all)));
    assert.notDeepEqual(expected, unnamed(await posted(null, anonymous(own))));
    assert.deepEqual(unnamed(await posted(user_id, fresh)), expected);
    assert.deepEqual(unnamed(await posted(user_id, all)), expected);
  }));

Deno.test("POST /recommendations with a user's rows answers as GET does for that user: items, scores and reasons", () =>
  withSample(async (flow) => {
    const { users, rowsOf } = await open(flow);
    const { value: stores, close } = await openServing(flow.config);
    try {
      const options = {
        stores,
        clock: systemClock,
        version: "test",
        keys: [],
        log: null,
        answer_ms: ANSWER_MS,
      };
      const app = await createApp({ ...options, embedder: () => flow.services.embedder() });
      const ask = async (body: unknown): Promise<Answer> => {
        const response = await app.request("/recommendations", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        });
        assert.equal(response.status, 200, await response.clone().text());
        return await response.json();
      };
      const said = ({ led_by, strategy, degraded, items }: Answer) => ({ led_by, strategy, degraded, items });
      const before = await flow.services.documents.digest();
      const nameless = new Set<string>();
      for (const user_id of users) {
        const rows = await rowsOf(user_id);
        const given: Answer = await (await app.request(`/recommendations/${encodeURIComponent(user_id)}?k=9`))
          .json();
        assert.deepEqual(given.degraded, []);
        if (rows.messages.length > 200) continue;
        const body = {
          messages: rows.messages.map(({ user_id: _, ...row }) => row),
          events: rows.events.map(({ user_id: _, ...row }) => row),
          k: 9,
        };
        assert.deepEqual(said(await ask({ ...body, user_id })), said(given), user_id);
        // A conversation that others learn from counts for a stranger, and not for its own user.
        const words = await stores.analytics.conversationWords({ after: null, limit: 10_000 });
        if (words.some((one) => one.user_id === user_id)) continue;
        assert.deepEqual(said(await ask(body)), said(given), user_id);
        nameless.add(user_id);
      }
      assert.deepEqual([...nameless].filter((user_id) => user_id.startsWith("quiet")).length, 2);
      assert.equal(await flow.services.documents.digest(), before);
    } finally {
      await close();
    }
  }));

Deno.test("POST /recommendations makes nothing of the rows of a user who opted out of personalisation", () =>
  withSample(async (flow) => {
    const { users, rowsOf, posted, stored } = await open(flow);
    const [user_id, other] = [users[0]!, users[1]!];
    const { messages } = await rowsOf(other);
    const rows = { messages: messages.map((row) => ({ ...row, user_id })), events: [] };
    const before = await stored(user_id);
    assert.notDeepEqual(unnamed(await posted(user_id, rows)), unnamed(before));
    await flow.services.analytics.setPersonalisation({ user_id, personalisation: false });
    assert.deepEqual(await posted(user_id, rows), await stored(user_id));
  }));
