import assert from "node:assert/strict";
import { type Config, loadConfig } from "../lib/config.ts";
import { states } from "./fixtures/dag.ts";
import {
  digests,
  type Flow,
  nightlyRun,
  type Paths,
  ROOT,
  runDag,
  withFlow,
  withStores,
  writeRows,
} from "./fixtures/flow.ts";

type Settings = Record<string, string>;

/** Users whose messages lie 20 minutes apart and name no conversation, and what they clicked on over half a year. */
function inputOf(flow: Flow): Paths {
  const at = (day: number, minute: number) => new Date(Date.UTC(2026, 0, 1 + day, 10, minute)).toISOString();
  const people = Array.from({ length: 12 }, (_, n) => n);
  const messages = people.flatMap((n) =>
    [0, 20, 40].map((minute) => (
      { user_id: `u-${n}`, message: `needs thing ${n % 5} at ${minute}`, timestamp: at(15 * n, minute) }
    ))
  );
  const campaigns = [0, 1, 2, 3].map((n) => ({ campaign_id: `c-${n}`, title: `Thing ${n}` }));
  const events = people.flatMap((n) =>
    [5, 45].map((minute) => (
      { user_id: `u-${n}`, campaign_id: `c-${n % 4}`, type: "click", timestamp: at(15 * n, minute) }
    ))
  );
  return {
    messages: [writeRows(flow, "messages.ndjson", messages)],
    campaigns: [writeRows(flow, "campaigns.ndjson", campaigns)],
    events: [writeRows(flow, "events.ndjson", events)],
  };
}

/** The same data folder with other settings. */
function withSettings<T>({ data }: Config, settings: Settings, body: (flow: Flow) => Promise<T>): Promise<T> {
  const env = { PARLEY_EMBEDDINGS: "test:64", ...settings, PARLEY_DATA: data };
  return withStores(loadConfig(env, ROOT.slice(0, -1)), body);
}

/** What answers are made of: rows of every store, and popularity. */
async function derived(flow: Flow): Promise<unknown> {
  const { analytics } = flow.services;
  const { version } = (await analytics.published())!;
  return { ...await digests(flow), popular: await analytics.popular({ version, limit: 9 }) };
}

/** What a Parley derives that had these settings from the first run on. */
async function expected(settings: Settings): Promise<unknown> {
  let found: unknown;
  await withFlow(async (flow) => {
    assert.equal((await nightlyRun(flow, inputOf(flow))).outcome, "success");
    found = await derived(flow);
  }, settings);
  return found;
}

const CHANGES = [
  {
    settings: { PARLEY_CONVERSATION_GAP_MINUTES: "10" },
    users: 12,
    says: "PARLEY_CONVERSATION_GAP_MINUTES was 30 and is 10: all users are derived again",
  },
  {
    settings: { PARLEY_HALF_LIFE_DAYS: "3" },
    users: 0,
    says: "PARLEY_HALF_LIFE_DAYS was 365 and is 3: popularity is derived again",
  },
];

for (const { settings, users, says } of CHANGES) {
  const [name] = Object.keys(settings);
  Deno.test(`after ${name} has changed, a run over unchanged sources ends as if it had been set from the start, once`, () =>
    withFlow(async (flow) => {
      const input = inputOf(flow);
      await nightlyRun(flow, input);
      const before = await derived(flow);
      await withSettings(flow.config, settings, async (changed) => {
        const { outcome, snapshot } = await nightlyRun(changed, input);
        assert.equal(outcome, "success");
        const log = await changed.runs.logs({ run_id: snapshot.run.run_id, after: 0, limit: 200 });
        assert.ok(log.some(({ line }) => line === says), log.map(({ line }) => line).join("\n"));
        const derived_users = snapshot.attempts.find(({ task_id }) => task_id === "conversations");
        assert.equal(derived_users?.rows_in, users, "users that are derived again");
        const after = await derived(changed);
        assert.notDeepEqual(after, before);
        assert.deepEqual(after, await expected(settings));
        assert.equal(states((await nightlyRun(changed, input)).snapshot).publish, "skipped");
      });
    }));
}

Deno.test("after the model has changed, a run over unchanged sources fails and says what to do, which helps", () =>
  withFlow(async (flow) => {
    const input = inputOf(flow);
    await nightlyRun(flow, input);
    await withSettings(flow.config, { PARLEY_EMBEDDINGS: "test:32" }, async (changed) => {
      const { outcome, snapshot } = await nightlyRun(changed, input);
      assert.equal(outcome, "failed");
      const error = snapshot.tasks.find(({ task_id }) => task_id === "ingest")!.error!;
      const [, dag, model] = /`deno task pipeline run (\w+) --param model=(\S+)` changes over to it/.exec(
        error,
      )!;
      assert.equal((await runDag(changed, dag!, { model: model!, drop_old: true })).outcome, "success");
      assert.equal(states((await nightlyRun(changed, input)).snapshot).publish, "skipped");
      assert.deepEqual(await derived(changed), await expected({ PARLEY_EMBEDDINGS: "test:32" }));
    });
    // The setting goes back, and the vectors have not.
    assert.equal((await nightlyRun(flow, input)).outcome, "failed");
  }));

Deno.test("after PARLEY_EMBED_LONG has changed, a run over unchanged sources fails and says what to do", () =>
  withFlow(async (flow) => {
    const input = inputOf(flow);
    await nightlyRun(flow, input);
    const settings = {
      PARLEY_EMBEDDINGS: `onnx:${ROOT}models/bge-small-en-v1.5`,
      PARLEY_EMBED_LONG: "windows",
    };
    await withSettings(flow.config, settings, async (changed) => {
      const { outcome, snapshot } = await nightlyRun(changed, input);
      assert.equal(outcome, "failed");
      const error = snapshot.tasks.find(({ task_id }) => task_id === "ingest")!.error!;
      assert.match(error, /is bge-small-en-v1\.5\S*\+windows: `deno task pipeline run reembed /);
    });
  }, { PARLEY_EMBEDDINGS: `onnx:${ROOT}models/bge-small-en-v1.5`, PARLEY_EMBED_SESSIONS: "1" }));

Deno.test("after PARLEY_EARLIEST has changed, each source is read again when a run is next given it, whatever ran meanwhile", () =>
  withFlow(async (flow) => {
    const old = (n: number) => ({
      user_id: `u-${n}`,
      message: `said ${n}`,
      timestamp: `200${n}-01-01T00:00:00Z`,
    });
    const [one, two] = [[1, 5, 6], [2, 7, 8]].map((years, n) =>
      writeRows(flow, `${n}.ndjson`, years.map(old))
    );
    const stored = async ({ services: { documents } }: Flow) => (await documents.counts()).messages;
    await nightlyRun(flow, { messages: [one!, two!] });
    assert.equal(await stored(flow), 4);
    const settings = { PARLEY_EARLIEST: "2000-01-01" };
    await withSettings(flow.config, settings, async (changed) => {
      assert.equal(
        (await runDag(changed, "reembed", { model: "test:64", drop_old: false })).outcome,
        "success",
      );
      assert.equal((await nightlyRun(changed, { messages: [one!] })).outcome, "success");
      assert.equal(await stored(changed), 5);
      assert.equal((await nightlyRun(changed, { messages: [one!, two!] })).outcome, "success");
      assert.equal(await stored(changed), 6);
      const { snapshot } = await nightlyRun(changed, { messages: [one!, two!] });
      assert.equal(states(snapshot).ingest, "skipped");
    });
  }, { PARLEY_EARLIEST: "2004-01-01" }));
