/** What `check` finds, each followed by what its text says to do, to a version that is published. */
import assert from "node:assert/strict";
import { DatabaseSync } from "../../deps.ts";
import { checkData, type CheckedStores } from "../../lib/data_checks/data_checks.ts";
import { modelFile } from "../../lib/stores/vectors/names.ts";
import {
  type Flow,
  nightlyRun,
  type Paths,
  type Ran,
  runDag,
  vectorsOf,
  withFlow,
  writeRows,
} from "../fixtures/flow.ts";
import { answersOf } from "../fixtures/reembed.ts";

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const at = (n: number) => new Date(Date.UTC(2026, 4, 1) + n * 3_600_000).toISOString();
const said = (n: number) => ({
  message_id: `m-${n}`,
  user_id: `user-${n % 9}`,
  message: `I would like thing ${n % 5}, the ${n}th`,
  timestamp: at(n),
  intent: `thing_${n % 5}`,
});
const offers = range(5).map((n) => ({
  campaign_id: `offer-${n}`,
  title: `Thing ${n}`,
  intents: [`thing_${n}`],
}));
const clicks = range(30).map((n) => ({
  user_id: `user-${n % 9}`,
  campaign_id: `offer-${n % 5}`,
  type: "click",
  timestamp: at(n),
}));

function sources(flow: Flow): Required<Paths> {
  return {
    messages: [writeRows(flow, "messages.ndjson", range(40).map(said))],
    campaigns: [writeRows(flow, "campaigns.ndjson", offers)],
    events: [writeRows(flow, "events.ndjson", clicks)],
  };
}

/** A night that brings one more message. */
const anotherNight = (flow: Flow, n: number) =>
  nightlyRun(flow, { messages: [writeRows(flow, `more-${n}.ndjson`, [said(n)])] });

/** What `deno task pipeline --all` does with these sources. */
const readAll = (flow: Flow, paths: Paths) =>
  runDag(flow, "nightly", { messages: [], campaigns: [], events: [], ...paths, all: true });

async function checked(flow: Flow): Promise<CheckedStores> {
  return { ...flow.services, vectors: await vectorsOf(flow.services) };
}

async function found(flow: Flow): Promise<string[]> {
  return (await checkData(await checked(flow))).map(({ severity, code }) => `${severity} ${code}`);
}

const versionOf = async ({ services }: Flow) => (await services.analytics.published())?.version;

function succeeded({ outcome, snapshot }: Ran): void {
  assert.equal(outcome, "success", snapshot.run.error ?? "");
}

/** The run is held back, for this reason. */
function heldBack({ outcome, snapshot }: Ran, reason: RegExp): void {
  assert.equal(outcome, "failed");
  assert.match(snapshot.run.error ?? "", reason);
}

const warnings = ({ snapshot }: Ran) =>
  (snapshot.tasks.find(({ task_id }) => task_id === "check")?.output as {
    findings: { code: string; text: string }[];
  })
    .findings.map(({ code, text }) => `${code}: ${text}`);

Deno.test("an event of an unknown campaign is published, told with its id, and counts once the campaign arrives", () =>
  withFlow(async (flow) => {
    const early = range(9).map((n) => ({
      ...clicks[n]!,
      campaign_id: "late",
      type: n === 0 ? "dismissal" : "conversion",
    }));
    const { events, ...rest } = sources(flow);
    const first = await nightlyRun(flow, {
      ...rest,
      events: [...events, writeRows(flow, "early.ndjson", early)],
    });
    succeeded(first);
    const [warning] = warnings(first);
    assert.match(
      warning!,
      /^events_of_unknown_campaigns: 9 events of campaigns that are not known: late; an event counts/,
    );
    assert.deepEqual(await found(flow), ["warning events_of_unknown_campaigns"]);
    const shown = async (user: string) => {
      const [answer] = await answersOf(flow, [`/recommendations/${user}?k=10`]);
      return (answer!.items as { campaign_id: string }[]).map(({ campaign_id }) => campaign_id);
    };
    assert.ok(!(await shown("nobody-known")).includes("late"));

    const late = { campaign_id: "late", title: "Late", intents: ["thing_0"] };
    succeeded(await nightlyRun(flow, { campaigns: [writeRows(flow, "late.ndjson", [late])] }));
    assert.deepEqual(await found(flow), []);
    const { version } = (await flow.services.analytics.published())!;
    assert.equal(version, 2);
    assert.deepEqual((await flow.services.analytics.popular({ version, limit: 1 }))[0]?.campaign_id, "late");
    assert.equal((await shown("nobody-known"))[0], "late", "by popularity");
    assert.ok(!(await shown("user-0")).includes("late"), "dismissed before it was known");
    const edges = await flow.services.graph.engagedBy({ user_ids: ["user-1"], limit: 50 });
    assert.equal(edges.find(({ campaign_id }) => campaign_id === "late")?.conversions, 1);
  }));

Deno.test("missing vectors block a publish, and reembed without params embeds the stored rows and publishes", () =>
  withFlow(async (flow) => {
    const { model } = await flow.services.embedder();
    for (
      const [id, reason] of [["m-3", /40 have vectors.*run reembed/], [
        "offer-2",
        /4 have vectors.*run reembed/,
      ]] as const
    ) {
      const n = id === "m-3" ? 50 : 51;
      if (n === 50) succeeded(await nightlyRun(flow, sources(flow)));
      const before = await versionOf(flow);
      const file = new DatabaseSync(`${flow.config.data}/vectors/${modelFile(model)}.db`);
      file.prepare("DELETE FROM vectors WHERE id = ?").run(id);
      file.close();
      heldBack(await anotherNight(flow, n), reason);
      assert.equal(await versionOf(flow), before);
      succeeded(await runDag(flow, "reembed", {}));
      assert.equal(await versionOf(flow), before! + 1);
      assert.deepEqual(await found(flow), []);
    }
  }));

Deno.test("damaged vectors, of whatever kind, hold a publish back, and reembed without params replaces them", () =>
  withFlow(async (flow) => {
    const { model } = await flow.services.embedder();
    succeeded(await nightlyRun(flow, sources(flow)));
    const vectors = await vectorsOf(flow.services);
    const whole = await vectors.digest();
    const damaged = {
      "m-3": new Float32Array(64),
      "offer-2": new Float32Array(64).fill(NaN),
      "user-4": new Float32Array(7),
    };
    const file = new DatabaseSync(`${flow.config.data}/vectors/${modelFile(model)}.db`);
    const put = file.prepare("UPDATE vectors SET vector = ? WHERE id = ?");
    for (const [id, vector] of Object.entries(damaged)) put.run(new Uint8Array(vector.buffer), id);
    file.close();
    // Of the user and the text whose vectors are damaged.
    const same = { ...said(3), message_id: "m-3-again" };
    heldBack(
      await nightlyRun(flow, { messages: [writeRows(flow, "same.ndjson", [same])] }),
      /^.*not published: vectors are not unit vectors.*run reembed` replaces them$/,
    );
    assert.equal(await versionOf(flow), 1);
    succeeded(await runDag(flow, "reembed", {}));
    assert.equal(await versionOf(flow), 2);
    assert.deepEqual(await found(flow), []);
    await withFlow(async (undamaged) => {
      await nightlyRun(undamaged, sources(undamaged));
      assert.equal(await (await vectorsOf(undamaged.services)).digest(), whole);
      await nightlyRun(undamaged, { messages: [writeRows(undamaged, "same.ndjson", [same])] });
      assert.equal(await (await vectorsOf(undamaged.services)).digest(), await vectors.digest());
    });
  }));

Deno.test("a store that lost all rows of a kind blocks a publish, and --all fills it and publishes, or publishes the rest", () =>
  withFlow(async (flow) => {
    const { analytics, graph } = flow.services;
    const paths = sources(flow);
    succeeded(await nightlyRun(flow, paths));
    const campaign_ids = offers.map(({ campaign_id }) => campaign_id);
    const lose = async () => {
      for (const store of [await vectorsOf(flow.services), analytics, graph]) {
        await store.deleteCampaigns({ campaign_ids });
      }
    };
    await lose();
    heldBack(
      await anotherNight(flow, 50),
      /not published: none of the 5 campaigns are left .*deno task pipeline --all/,
    );
    assert.equal(await versionOf(flow), 1);
    succeeded(await readAll(flow, paths));
    assert.deepEqual([await versionOf(flow), (await analytics.counts()).campaigns], [2, 5]);
    await lose();
    heldBack(await anotherNight(flow, 51), /none of the 5 campaigns are left/);
    succeeded(await readAll(flow, {}));
    assert.deepEqual(
      [await versionOf(flow), (await analytics.counts()).campaigns],
      [3, 0],
      "if it was meant",
    );
  }));

Deno.test("a loss stays critical night after night, until --all publishes the remaining rows at the first attempt", () =>
  withFlow(async (flow) => {
    succeeded(await nightlyRun(flow, sources(flow)));
    const file = new DatabaseSync(`${flow.config.data}/analytics.db`);
    file.exec("DELETE FROM events");
    file.close();
    for (const n of [50, 51, 52]) {
      heldBack(await anotherNight(flow, n), /not published: none of the 30 events are left/);
      assert.equal(await versionOf(flow), 1);
    }
    const all = await readAll(flow, {});
    succeeded(all);
    assert.equal(await versionOf(flow), 2);
    assert.ok(
      warnings(all).some((line) => line.startsWith("events_emptied: none of the 30 events are left")),
    );
    succeeded(await anotherNight(flow, 53));
  }));

Deno.test("vectors of messages that are not stored hold nothing back, and --all stores them again", () =>
  withFlow(async (flow) => {
    const paths = sources(flow);
    succeeded(await nightlyRun(flow, paths));
    await flow.services.documents.deleteUsers({ user_ids: ["user-3"] });
    const night = await anotherNight(flow, 50);
    succeeded(night);
    assert.match(
      warnings(night)[0]!,
      /^vectors_without_messages: 41 messages have vectors and 36 are stored/,
    );
    succeeded(await readAll(flow, paths));
    assert.deepEqual(await found(flow), []);
  }));

Deno.test("campaigns that the graph lacks hold nothing back, and --all sets them without any source", () =>
  withFlow(async (flow) => {
    succeeded(await nightlyRun(flow, sources(flow)));
    const { graph } = flow.services;
    const digest = await graph.digest();
    await graph.deleteCampaigns({ campaign_ids: ["offer-1", "offer-2"] });
    assert.deepEqual(await found(flow), ["warning campaigns_not_in_graph"]);
    succeeded(await runDag(flow, "reembed", {}));
    succeeded(await readAll(flow, {}));
    assert.deepEqual(await found(flow), []);
    assert.equal(await graph.digest(), digest);
  }));

Deno.test("what is written online while the check counts holds no version back, and what is lost does", () =>
  withFlow(async (flow) => {
    succeeded(await nightlyRun(flow, sources(flow)));
    const { documents, analytics } = flow.services;
    const stores = await checked(flow);
    const { vectors } = stores;
    const critical = async (some: CheckedStores) =>
      (await checkData(some)).filter(({ severity }) => severity === "critical").map(({ code }) => code);
    const one = { after: null, limit: 1 };
    const [[message], [campaign]] = [await documents.page(one), await analytics.campaignPage(one)];
    await documents.upsert({ messages: [{ ...message!, message_id: "posted" }] });
    await analytics.upsertCampaigns({ campaigns: [{ ...campaign!, campaign_id: "posted" }] });
    assert.deepEqual(await critical(stores), []);
    /** Copies the vectors of rows, as their derivation would. */
    const derive = async () => {
      const [copied] = await vectors.page({ collection: "messages", ...one });
      await vectors.upsert({ collection: "messages", rows: [{ ...copied!, id: "posted" }] });
      const [offered] = await vectors.page({ collection: "campaigns", ...one });
      await vectors.upsert({ collection: "campaigns", rows: [{ ...offered!, id: "posted" }] });
      await documents.clearDirty({ users: await documents.listDirtyUsers({ ...one, limit: 100 }) });
    };
    let calls = 0;
    const derivedMeanwhile: typeof vectors = Object.assign(Object.create(vectors), {
      counts: async (options?: Parameters<typeof vectors.counts>[0]) => {
        const counts = await vectors.counts(options);
        if (calls++ === 0) await derive();
        return counts;
      },
    });
    assert.deepEqual(await critical({ ...stores, vectors: derivedMeanwhile }), []);
    assert.ok(calls > 1);
    await vectors.deleteCampaigns({ campaign_ids: [campaign!.campaign_id] });
    assert.deepEqual(await critical(stores), ["campaigns_without_vectors"]);
  }));
