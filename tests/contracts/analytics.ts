import assert from "node:assert/strict";
import { paged } from "../../lib/core/batches.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { healthy } from "./health.ts";
import type { Campaign, EngagementEvent } from "../../lib/core/types.ts";
import type { AnalyticsStore, CampaignSearch, Engagement } from "../../lib/stores/analytics/port.ts";
import { SetDigest } from "../../lib/stores/engines/set_digest.ts";
import type { Handles } from "../fixtures/handles.ts";
import { campaign, collect, event, LATEST, minute } from "../fixtures/rows.ts";
import {
  CATALOGUE,
  countsOf,
  files,
  IDS,
  many,
  publishing,
  racing,
  stats,
  type Test,
} from "./analytics_versions.ts";
import { rights } from "./analytics_rights.ts";
import { words } from "./analytics_words.ts";
import { ANALYTICS_CALLS } from "./calls.ts";
import { cancellationContract, type Opened } from "./cancellation.ts";
import { ANALYTICS, handlesContract } from "./handles.ts";

/**
 * What every analytics store does. `open` gives a fresh, empty store each time; so does `behindProxy`, for one that is on a
 * server. `query` asks the store's database.
 */
export function analyticsContract<Store extends AnalyticsStore>(
  name: string,
  open: () => Promise<Handles<Store>>,
  query: (store: Store, sql: string) => unknown,
  behindProxy: () => Promise<Opened<AnalyticsStore>> = async () => ({ ...await open(), hang: null }),
): void {
  const test: Test = (title, body) =>
    Deno.test(`${name}: ${title}`, async () => {
      const { store, openAnother, close } = await open();
      try {
        await body(store, openAnother);
      } finally {
        await close();
      }
    });
  catalogue(test);
  events(test);
  recounts(test);
  stats(test);
  files(test);
  words(test);
  rights(test);
  publishing(test);
  racing(test);
  erasing(test);
  Deno.test(`${name}: user_engagement has a row for each user and campaign, as engagement() has it`, async () => {
    const { store, close } = await open();
    try {
      const sql = "SELECT * FROM user_engagement ORDER BY user_id, campaign_id";
      assert.deepEqual(await query(store, sql), []);
      const types = ["impression", "click", "click", "conversion", "dismissal"] as const;
      const one = types.map((type, n) =>
        event({ user_id: "a", campaign_id: "k", type, timestamp: minute(n) })
      );
      await store.upsertEvents({ events: [...one, ...many(50)] });
      const user_ids = await store.users({ after: null, limit: 1_000 });
      const rows = await query(store, sql) as Engagement[];
      assert.deepEqual(rows, await store.engagement({ user_ids }));
      const counts = { impressions: 1, clicks: 2, conversions: 1, dismissals: 1, last: minute(4) };
      const row = rows.find(({ user_id, campaign_id }) => user_id === "a" && campaign_id === "k");
      assert.deepEqual(row, { user_id: "a", campaign_id: "k", ...counts });
    } finally {
      await close();
    }
  });
  handlesContract(name, open, ANALYTICS);
  cancellationContract(name, { open: behindProxy, calls: ANALYTICS_CALLS, first: "counts" });
}

const FULL_CAMPAIGN: Campaign = {
  campaign_id: "весна-🌸",
  title: "Zoë's \"spring\" 'sale'; --",
  description: "many\nlines\t👩‍👩‍👧‍👦",
  aliases: ["Spring", "весна"],
  intents: ["b", "a", "b.c"],
  category: "garden",
  tags: ["new", "新"],
  starts_at: "2026-03-01T00:00:00.000Z",
  ends_at: "2026-03-31T23:59:59.999Z",
  status: "paused",
  repurchase_days: 0.5,
  metadata: { nested: { list: [1, -0.5, null, true] }, "": {} },
};

const FULL_EVENT: EngagementEvent = {
  event_id: "é-1",
  user_id: "Zoë",
  campaign_id: "весна-🌸",
  type: "dismissal",
  timestamp: "2026-03-02T03:04:05.006Z",
  conversation_id: "c/1",
  recommendation_id: "r/1",
  position: 3,
  metadata: { why: ["too dear", { "😀": 1 }] },
};

async function everyCampaign(store: AnalyticsStore): Promise<Campaign[]> {
  return await collect((after, limit) => store.campaignPage({ after, limit }), (row) => row.campaign_id);
}

function digestOf(campaigns: readonly Campaign[], events: readonly EngagementEvent[]): string {
  const digest = new SetDigest();
  for (const row of campaigns) digest.add(["campaign", { ...row }]);
  for (const row of events) digest.add(["event", { ...row }]);
  return digest.hex();
}

function catalogue(test: Test): void {
  test("upsertCampaigns() keeps every field", async (store) => {
    const rows = [
      FULL_CAMPAIGN,
      campaign({ campaign_id: "a" }),
      campaign({ campaign_id: "b", metadata: {} }),
    ];
    await store.upsertCampaigns({ campaigns: rows });
    const byId = new Map((await everyCampaign(store)).map((row) => [row.campaign_id, row]));
    for (const row of rows) assert.deepEqual(byId.get(row.campaign_id), row);
  });

  test("upsertCampaigns() counts its changes and detects a change of any field", async (store) => {
    const campaigns = [FULL_CAMPAIGN, campaign()];
    assert.deepEqual(await store.upsertCampaigns({ campaigns }), { inserted: 2, changed: 0, same: 0 });
    assert.deepEqual(await store.upsertCampaigns({ campaigns }), { inserted: 0, changed: 0, same: 2 });
    const other = { ...campaign(), campaign_id: FULL_CAMPAIGN.campaign_id };
    for (const field of Object.keys(FULL_CAMPAIGN).filter((key) => key !== "campaign_id")) {
      const changed = { ...FULL_CAMPAIGN, [field]: other[field as keyof Campaign] };
      assert.equal((await store.upsertCampaigns({ campaigns: [changed] })).changed, 1, field);
      assert.equal((await store.upsertCampaigns({ campaigns: [FULL_CAMPAIGN] })).changed, 1, field);
    }
    const turned = { ...FULL_CAMPAIGN, intents: FULL_CAMPAIGN.intents.toReversed() };
    assert.equal((await store.upsertCampaigns({ campaigns: [turned] })).changed, 1, "order of intents");
  });

  test("upsertCampaigns() reads a row that was written before a field existed as a row without it", async (store) => {
    const { repurchase_days: _, ...older } = campaign();
    await store.upsertCampaigns({ campaigns: [older as Campaign] });
    const { campaign_id } = older;
    assert.deepEqual(await store.campaigns({ campaign_ids: [campaign_id] }), [
      { ...older, repurchase_days: null },
    ]);
  });

  test("campaignPage() finds campaigns by the beginnings of their words, wherever these are, and by their fields", async (store) => {
    const rows = [
      campaign({ campaign_id: "trail-shoes_1", title: "Grip for wet ROCK", category: "shoes" }),
      campaign({
        campaign_id: "b",
        title: "Ölwechsel",
        description: "Everything for trails.",
        status: "paused",
      }),
      campaign({ campaign_id: "c", title: "Jacket", aliases: ["The Trailblazer"], category: "coats" }),
      campaign({
        campaign_id: "d",
        title: "Ｔｒａｉｌ map",
        tags: ["paper", "100 %"],
        intents: ["plan_hike"],
      }),
      campaign({ campaign_id: "e", title: "登山靴", intents: ['say "hi"', "hike"], category: "shoes" }),
    ];
    await store.upsertCampaigns({ campaigns: rows });
    const find = async (search: CampaignSearch, limit = 9, after: string | null = null) =>
      (await store.campaignPage({ after, limit, search })).map((row) => row.campaign_id).join(" ");
    const every = "b c d e trail-shoes_1";
    assert.equal(await find({}), every);
    assert.equal(await find({ words: [] }), every);
    assert.equal(await find({ words: ["trail"] }), "b c d trail-shoes_1");
    assert.equal(await find({ words: ["trail"] }, 2), "b c");
    assert.equal(await find({ words: ["trail"] }, 2, "c"), "d trail-shoes_1");
    assert.equal(await find({ words: ["trail", "ro"] }), "trail-shoes_1");
    assert.equal(await find({ words: ["rail"] }), "");
    assert.equal(await find({ words: ["öl"] }), "b");
    assert.equal(await find({ words: ["ol"] }), "");
    assert.equal(await find({ words: ["100"] }), "d");
    assert.equal(await find({ words: ["hike", "map"] }), "d");
    assert.equal(await find({ words: ["登山"] }), "e");
    assert.equal(await find({ words: ["%"] }), "");
    assert.equal(await find({ category: "shoes" }), "e trail-shoes_1");
    assert.equal(await find({ category: "Shoes" }), "");
    assert.equal(await find({ intent: "hike" }), "e");
    assert.equal(await find({ intent: 'say "hi"' }), "e");
    assert.equal(await find({ intent: "hi" }), "");
    assert.equal(await find({ status: "paused" }), "b");
    assert.equal(await find({ words: ["trail"], status: "active", category: "coats" }), "c");
    const renamed = { ...rows[2]!, aliases: [] };
    await store.upsertCampaigns({ campaigns: [renamed] });
    assert.equal(await find({ words: ["trail"] }), "b d trail-shoes_1");
    assert.deepEqual(await store.campaignPage({ after: "b", limit: 1, search: { words: ["jac"] } }), [
      renamed,
    ]);
  });
  test("campaignPage() finds the same in a catalogue of several parts as a search of all rows", async (store) => {
    const rows = Array.from({ length: 9_000 }, (_, n) =>
      campaign({
        campaign_id: `k${String(n).padStart(5, "0")}`,
        title: n % 4_001 === 7 ? "rare" : "common",
        category: n % 2 === 0 ? "even" : "odd",
      }));
    await store.upsertCampaigns({ campaigns: rows });
    const expect = (search: CampaignSearch) =>
      rows.filter(({ title, category }) =>
        (search.words === undefined || title === search.words[0]) &&
        (search.category === undefined || category === search.category)
      ).map((row) => row.campaign_id);
    const searches = [{ words: ["rare"] }, { words: ["rare"], category: "even" }, { category: "odd" }, {
      words: ["none"],
    }];
    for (const search of searches) {
      const found = paged<Campaign>(
        500,
        (row) => row.campaign_id,
        (after, limit) => store.campaignPage({ after, limit, search }),
      );
      assert.deepEqual((await Array.fromAsync(found)).map((row) => row.campaign_id), expect(search));
      const first = await store.campaignPage({ after: "k00007", limit: 2, search });
      const rest = expect(search).filter((id) => id > "k00007");
      assert.deepEqual(first.map((row) => row.campaign_id), rest.slice(0, 2));
    }
  });
  test("upsertCampaigns() raises the catalogue's epoch and notes what changed, if anything did", async (store) => {
    const epoch = async () => (await store.epochs({ user_id: "a" })).catalogue;
    const since = await epoch();
    const [a, b] = [campaign({ campaign_id: "a" }), campaign({ campaign_id: "b" })];
    await store.upsertCampaigns({ campaigns: [a, b] });
    const first = await epoch();
    assert.ok(first > since);
    assert.deepEqual((await store.changedCampaigns({ since, limit: 9 })).sort(), ["a", "b"]);
    await store.upsertCampaigns({ campaigns: [a, { ...b, title: "Other" }] });
    const second = await epoch();
    assert.ok(second > first);
    assert.deepEqual(await store.changedCampaigns({ since: first, limit: 9 }), ["b"]);
    assert.deepEqual(await store.changedCampaigns({ since, limit: 1 }), ["b"]);
    await store.upsertCampaigns({ campaigns: [a] });
    assert.equal(await epoch(), second);
    await store.deleteCampaigns({ campaign_ids: ["b"] });
    assert.ok(await epoch() > second);
    assert.deepEqual(await store.changedCampaigns({ since, limit: 9 }), ["a"]);
  });

  test("raiseEpochs() raises those of users, and the catalogue's with its campaigns as changed", async (store) => {
    await store.upsertCampaigns({ campaigns: ["a", "b"].map((campaign_id) => campaign({ campaign_id })) });
    const before = await store.epochs({ user_id: "u" });
    await store.raiseEpochs({ user_ids: ["u", "u"], campaign_ids: [] });
    const after = await store.epochs({ user_id: "u" });
    assert.ok(after.user > before.user);
    assert.equal(after.catalogue, before.catalogue);
    assert.deepEqual(await store.epochs({ user_id: "v" }), { user: 0, catalogue: before.catalogue });
    await store.raiseEpochs({ user_ids: [], campaign_ids: ["b", "unknown"] });
    assert.ok((await store.epochs({ user_id: "u" })).catalogue > before.catalogue);
    assert.deepEqual(await store.changedCampaigns({ since: before.catalogue, limit: 9 }), ["b"]);
    assert.deepEqual(await touchedUsers(store), []);
  });

  test("an upsert reports what became of each row", async (store) => {
    const outcomes: string[] = [];
    const onOutcome = (id: string, outcome: string, owner_before: string | null) =>
      void outcomes.push(`${id} ${outcome} ${owner_before}`);
    const [a, b] = [campaign({ campaign_id: "a" }), campaign({ campaign_id: "b" })];
    await store.upsertCampaigns({ campaigns: [a], onOutcome });
    await store.upsertCampaigns({ campaigns: [a, b], onOutcome });
    const [one, two] = [event({ event_id: "1", user_id: "old" }), event({ event_id: "2" })];
    await store.upsertEvents({ events: [one, two], onOutcome });
    await store.upsertEvents({ events: [two, { ...one, user_id: "new" }], onOutcome });
    assert.deepEqual(outcomes.sort(), [
      "1 changed old",
      "1 inserted null",
      "2 inserted null",
      "2 same null",
      "a inserted null",
      "a same null",
      "b inserted null",
    ]);
  });

  test("changeCampaign() replaces a campaign in one transaction, and raises the catalogue's epoch if it is another", async (store) => {
    const change = (before: Campaign) => ({ ...before, tags: [...before.tags, "one"] });
    const epoch = async () => (await store.epochs({ user_id: "u" })).catalogue;
    assert.equal(await store.changeCampaign({ campaign_id: "a", change }), null);
    const a = campaign({ campaign_id: "a", tags: [], metadata: { text: "a\ud800b" } });
    await store.upsertCampaigns({ campaigns: [a, campaign({ campaign_id: "b" })] });
    const before = await epoch();
    await Promise.all(Array.from({ length: 8 }, () => store.changeCampaign({ campaign_id: "a", change })));
    const [stored] = await store.campaigns({ campaign_ids: ["a"] });
    assert.equal(stored?.tags.length, 8);
    assert.deepEqual(await store.changedCampaigns({ since: before, limit: 9 }), ["a"]);
    const after = await epoch();
    assert.deepEqual(await store.changeCampaign({ campaign_id: "a", change: (row) => row }), stored);
    const refuse = () => {
      throw new ParleyError("invalid", "refused");
    };
    await assert.rejects(store.changeCampaign({ campaign_id: "a", change: refuse }), /refused/);
    assert.equal(await epoch(), after);
    assert.deepEqual(await store.campaigns({ campaign_ids: ["a"] }), [stored]);
  });

  test("campaigns() and campaignPage() read in ascending id", async (store) => {
    const ids = ["B", "a", "a1", "b", "z"];
    await store.upsertCampaigns({ campaigns: ids.toReversed().map((id) => campaign({ campaign_id: id })) });
    const paged = await collect(
      (after, limit) => store.campaignPage({ after, limit }),
      (row) => row.campaign_id,
      2,
    );
    assert.deepEqual(paged.map((row) => row.campaign_id), ids);
    const some = await store.campaigns({ campaign_ids: ["z", "missing", "B", "z"] });
    assert.deepEqual(some.map((row) => row.campaign_id), ["B", "z"]);
    assert.deepEqual(await store.campaigns({ campaign_ids: [] }), []);
  });
}

async function touchedUsers(store: AnalyticsStore): Promise<string[]> {
  return (await store.listDirtyUsers({ after: null, limit: 100 })).map((touch) => touch.user_id);
}

async function settleAll(store: AnalyticsStore): Promise<void> {
  await store.clearDirty({ users: await store.listDirtyUsers({ after: null, limit: 100 }) });
}

function events(test: Test): void {
  test("upsertEvents() counts its changes and detects a change of any field", async (store) => {
    const rows = [FULL_EVENT, event()];
    assert.deepEqual(await store.upsertEvents({ events: rows }), { inserted: 2, changed: 0, same: 0 });
    assert.deepEqual(await store.upsertEvents({ events: rows }), { inserted: 0, changed: 0, same: 2 });
    assert.equal(await store.digest(), digestOf([], rows));
    const other = { ...event(), event_id: FULL_EVENT.event_id };
    for (const field of Object.keys(FULL_EVENT).filter((key) => key !== "event_id")) {
      const changed = { ...FULL_EVENT, [field]: other[field as keyof EngagementEvent] };
      assert.equal((await store.upsertEvents({ events: [changed] })).changed, 1, field);
      assert.equal((await store.upsertEvents({ events: [FULL_EVENT] })).changed, 1, field);
    }
    assert.equal(await store.digest(), digestOf([], rows));
  });

  test("upsertEvents() marks users with new or changed rows as dirty and raises their epoch, and no others", async (store) => {
    const [a, b] = [event({ user_id: "a" }), event({ user_id: "b" })];
    await store.upsertEvents({ events: [a, b] });
    assert.deepEqual(await touchedUsers(store), ["a", "b"]);
    await settleAll(store);
    const [epochA, epochB] = [
      (await store.epochs({ user_id: "a" })).user,
      (await store.epochs({ user_id: "b" })).user,
    ];
    await store.upsertEvents({ events: [a, { ...b, type: "conversion" }] });
    assert.deepEqual(await touchedUsers(store), ["b"]);
    assert.equal((await store.epochs({ user_id: "a" })).user, epochA);
    assert.ok((await store.epochs({ user_id: "b" })).user > epochB);
    assert.equal((await store.epochs({ user_id: "unknown" })).user, 0);
  });

  test("upsertEvents() marks both users as dirty if an event moves from one to the other", async (store) => {
    const row = event({ user_id: "old" });
    await store.upsertEvents({ events: [row] });
    const epoch = (await store.epochs({ user_id: "old" })).user;
    await settleAll(store);
    await store.upsertEvents({ events: [{ ...row, user_id: "new" }] });
    assert.deepEqual(await touchedUsers(store), ["new", "old"]);
    assert.ok((await store.epochs({ user_id: "old" })).user > epoch);
    assert.ok((await store.epochs({ user_id: "new" })).user > 0);
  });

  test("markAllDirty() marks every user with events, however many", async (store) => {
    await store.markAllDirty();
    assert.deepEqual(await touchedUsers(store), []);
    const ids = Array.from({ length: 1_200 }, (_, n) => `user-${1_000 + n}`);
    await store.upsertEvents({ events: ids.map((user_id) => event({ user_id })) });
    const stale = await store.listDirtyUsers({ after: null, limit: 2_000 });
    await store.clearDirty({ users: stale.slice(1) });
    await store.markAllDirty();
    await store.clearDirty({ users: stale });
    const touched = await store.listDirtyUsers({ after: null, limit: 2_000 });
    assert.deepEqual(touched.map(({ user_id }) => user_id), ids);
    await store.clearDirty({ users: touched });
    assert.deepEqual(await touchedUsers(store), []);
  });

  test("findDirtyUsers() reads those of some users that are dirty, with the tokens that clear them", async (store) => {
    await store.upsertEvents({ events: ["a", "b", "c"].map((user_id) => event({ user_id })) });
    assert.deepEqual(await store.findDirtyUsers({ user_ids: [] }), []);
    const found = await store.findDirtyUsers({ user_ids: ["b", "unknown", "a"] });
    assert.deepEqual(found.map(({ user_id }) => user_id).sort(), ["a", "b"]);
    await store.clearDirty({ users: found });
    assert.deepEqual(await touchedUsers(store), ["c"]);
  });

  test("clearDirty() keeps a user who was marked again, and does not change the epoch", async (store) => {
    await store.upsertEvents({ events: [event({ user_id: "a" }), event({ user_id: "b" })] });
    const stale = await store.listDirtyUsers({ after: null, limit: 100 });
    await store.upsertEvents({ events: [event({ user_id: "a" })] });
    const epoch = (await store.epochs({ user_id: "a" })).user;
    await store.clearDirty({ users: stale });
    assert.deepEqual(await touchedUsers(store), ["a"]);
    assert.equal((await store.epochs({ user_id: "a" })).user, epoch);
    assert.ok((await store.epochs({ user_id: "b" })).user > 0);
  });
}

function engagementOf(rows: readonly EngagementEvent[]): Engagement[] {
  return Object.entries(Object.groupBy(rows, (row) => `${row.user_id} ${row.campaign_id}`)).sort()
    .map(([key, group = []]) => {
      const [user_id, campaign_id] = key.split(" ") as [string, string];
      const last = group.map((row) => row.timestamp).sort().at(-1)!;
      return { user_id, campaign_id, ...countsOf(group), last };
    });
}

function recounts(test: Test): void {
  test("engagement() equals a count over all rows, however often they were written", async (store) => {
    const rows = many(600);
    for (const _ of [1, 2]) await store.upsertEvents({ events: rows });
    for (const user_ids of [["user-1"], ["user-8", "nobody", "user-0", "user-0"], []]) {
      const expected = engagementOf(rows.filter((row) => user_ids.includes(row.user_id)));
      assert.deepEqual(await store.engagement({ user_ids }), expected);
    }
  });

  test("eventsOf() returns the newest events of each user, complete, in ascending user, time and id", async (store) => {
    const same = [event({ user_id: "user-1" }), event({ user_id: "user-1" })].map((row) => ({
      ...row,
      timestamp: FULL_EVENT.timestamp,
    }));
    const rows = [...many(600), ...same, { ...FULL_EVENT, user_id: "user-1" }];
    await store.upsertEvents({ events: rows.toReversed() });
    const key = ({ user_id, timestamp, event_id }: EngagementEvent) => `${user_id} ${timestamp} ${event_id}`;
    for (const user_ids of [["user-1"], ["user-8", "nobody", "user-0", "user-0"], []]) {
      const own = rows.filter((row) => user_ids.includes(row.user_id));
      const sorted = own.sort((a, b) => key(a) < key(b) ? -1 : 1);
      assert.deepEqual(await store.eventsOf({ user_ids, limit: 1_000 }), sorted);
      for (const limit of [1, 2, 7]) {
        const newest = [...Map.groupBy(sorted, ({ user_id }) => user_id).values()]
          .flatMap((some) => some.slice(-limit));
        assert.deepEqual(await store.eventsOf({ user_ids, limit }), newest);
      }
    }
  });

  test("finalEngagement() returns what a user dismissed or converted on, at once", async (store) => {
    const rows = many(60);
    await store.upsertEvents({ events: rows });
    for (const user_id of ["user-0", "user-5", "nobody"]) {
      const own = rows.filter((row) => row.user_id === user_id && /conversion|dismissal/.test(row.type));
      const expected = Object.entries(Object.groupBy(own, ({ campaign_id }) => campaign_id)).sort();
      assert.deepEqual(
        await store.finalEngagement({ user_id }),
        expected.map(([campaign_id, group = []]) => {
          const { dismissals } = countsOf(group);
          const bought = group.filter(({ type }) => type === "conversion").map(({ timestamp }) => timestamp);
          return {
            campaign_id,
            converted_at: bought.sort().at(-1) ?? null,
            dismissals,
            repurchase_days: null,
          };
        }),
      );
    }
    await store.upsertEvents({ events: [event({ user_id: "nobody", campaign_id: "k", type: "dismissal" })] });
    const dismissed = { campaign_id: "k", converted_at: null, dismissals: 1, repurchase_days: null };
    assert.deepEqual(await store.finalEngagement({ user_id: "nobody" }), [dismissed]);
    for (const repurchase_days of [0, 30.5, null]) {
      await store.upsertCampaigns({ campaigns: [campaign({ campaign_id: "k", repurchase_days })] });
      assert.deepEqual(await store.finalEngagement({ user_id: "nobody" }), [{
        ...dismissed,
        repurchase_days,
      }]);
    }
  });

  test("daily() counts events by type and UTC day, from since to before until", async (store) => {
    const at = (timestamp: string, type: EngagementEvent["type"] = "click") => event({ timestamp, type });
    await store.upsertEvents({
      events: [
        at("2026-03-01T00:00:00.000Z"),
        at("2026-03-01T23:59:59.999Z", "impression"),
        at("2026-03-01T12:00:00.000Z"),
        at("2026-03-03T00:00:00.000Z", "conversion"),
        at("2026-03-03T00:00:00.001Z", "dismissal"),
      ],
    });
    const none = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
    const first = { ...none, day: "2026-03-01", impressions: 1, clicks: 2 };
    const last = { ...none, day: "2026-03-03", conversions: 1, dismissals: 1 };
    const daily = (since: string, until: string) => store.daily({ since, until });
    assert.deepEqual(await daily("2026-03-01T00:00:00.000Z", "2026-03-04T00:00:00.000Z"), [first, last]);
    assert.deepEqual(await daily("2026-03-01T00:00:00.001Z", "2026-03-03T00:00:00.000Z"), [
      { ...first, clicks: 1 },
    ]);
    assert.deepEqual(await daily("2026-03-04T00:00:00.000Z", "2026-03-05T00:00:00.000Z"), []);
    const signal = AbortSignal.abort(new Error("given up"));
    await assert.rejects(store.daily({ since: "", until: "", signal }), /given up/);
  });
  test("daily(), byStrategy() and recentUsers() of one campaign have its events alone", async (store) => {
    const at = (day: number) => `2026-03-0${day}T12:00:00.000Z`;
    const metadata = { strategy: "popular" };
    const own = [
      event({ campaign_id: "k", user_id: "ann", type: "impression", timestamp: at(1), metadata }),
      event({ campaign_id: "k", user_id: "bob", type: "click", timestamp: at(2) }),
      event({ campaign_id: "k", user_id: "ann", type: "click", timestamp: at(3), metadata }),
      event({ campaign_id: "k", user_id: "cat", type: "click", timestamp: at(3) }),
    ];
    const other = event({ campaign_id: "l", user_id: "dan", timestamp: at(2), metadata });
    await store.upsertEvents({ events: [...own, other] });
    const span = { since: at(1), until: at(9), campaign_id: "k" };
    const none = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
    assert.deepEqual(await store.daily(span), [
      { day: "2026-03-01", ...none, impressions: 1 },
      { day: "2026-03-02", ...none, clicks: 1 },
      { day: "2026-03-03", ...none, clicks: 2 },
    ]);
    assert.deepEqual(await store.daily({ ...span, since: at(2), until: at(3) }), [
      { day: "2026-03-02", ...none, clicks: 1 },
    ]);
    assert.deepEqual(await store.byStrategy({ ...span, limit: 9 }), [
      { strategy: "popular", ...none, impressions: 1, clicks: 1 },
      { strategy: null, ...none, clicks: 2 },
    ]);
    assert.deepEqual(await store.recentUsers({ campaign_id: "k", limit: 9 }), ["ann", "cat", "bob"]);
    assert.deepEqual(await store.recentUsers({ campaign_id: "k", limit: 2 }), ["ann", "cat"]);
    assert.deepEqual(await store.recentUsers({ campaign_id: "none", limit: 9 }), []);
  });

  test("armEngagement() counts users to whom arms showed a campaign, each once, by what they did with what the arms showed", async (store) => {
    const at = (day: number) => `2026-03-0${day}T12:00:00.000Z`;
    const by = (user_id: string, type: EngagementEvent["type"], arm: string | null, day = 2) => ({
      ...event({ user_id, type, timestamp: at(day) }),
      arm,
    });
    const events = [
      by("ann", "impression", "x/a"),
      by("ann", "impression", "x/a", 3),
      by("ann", "click", "x/a", 3),
      by("ann", "click", "x/a", 3),
      by("ann", "impression", "x/b"),
      by("bob", "impression", "x/a"),
      by("bob", "click", "x/b"),
      by("bob", "conversion", null),
      by("cat", "click", "x/a"),
      by("dan", "impression", "x/b"),
      by("dan", "conversion", "x/b", 4),
      by("dan", "dismissal", "x/b", 4),
      by("eve", "impression", null),
      event({ user_id: "fay", type: "impression", timestamp: at(2) }),
    ];
    await store.upsertEvents({ events });
    const count = async (arms: string[], since = 1, until = 9) => {
      const { users, clicked, converted, impressions, clicks, conversions, dismissals } = await store
        .armEngagement({
          arms,
          since: at(since),
          until: at(until),
        });
      return [users, clicked, converted, impressions, clicks, conversions, dismissals];
    };
    assert.deepEqual(await count(["x/a"]), [2, 1, 0, 3, 2, 0, 0]);
    assert.deepEqual(await count(["x/b"]), [2, 0, 1, 2, 0, 1, 1]);
    assert.deepEqual(await count(["x/a", "x/b", "none"]), [3, 2, 1, 5, 3, 1, 1]);
    assert.deepEqual(await count(["x/b"], 1, 4), [2, 0, 0, 2, 0, 0, 0]);
    assert.deepEqual(await count(["x/a"], 3), [1, 1, 0, 1, 2, 0, 0]);
    for (const arms of [[], ["none"]]) assert.deepEqual(await count(arms), [0, 0, 0, 0, 0, 0, 0]);
    await store.setPersonalisation({ user_id: "dan", personalisation: false });
    assert.deepEqual(await count(["x/b"]), [1, 0, 0, 1, 0, 0, 0], "without those who opted out");
    await store.setPersonalisation({ user_id: "dan", personalisation: true });
    assert.deepEqual(await count(["x/b"]), [2, 0, 1, 2, 0, 1, 1]);
    const signal = AbortSignal.abort(new Error("given up"));
    await assert.rejects(store.armEngagement({ arms: [], since: "", until: "", signal }), /given up/);
  });

  test("armEngagement() counts each user once, however many there are in one arm or in another", async (store) => {
    const timestamp = "2026-03-02T00:00:00.000Z";
    const impressions = (arm: string, users: number, from = 0) =>
      Array.from({ length: users }, (_, n) => ({
        ...event({ user_id: `user-${from + n}`, type: "impression", timestamp }),
        arm,
      }));
    await store.upsertEvents({
      events: [
        ...impressions("x/a", 10_500),
        // Some are in both arms, before, between and after the parts that are counted.
        ...impressions("x/b", 40),
        ...impressions("x/b", 40, 10_480),
        { ...event({ user_id: "user-4000", type: "click", timestamp }), arm: "x/b" },
      ],
    });
    const span = { since: "2026-03-01T00:00:00.000Z", until: "2026-03-03T00:00:00.000Z" };
    const both = await store.armEngagement({ ...span, arms: ["x/b", "x/a"] });
    assert.deepEqual([both.users, both.clicked, both.impressions], [10_520, 1, 10_580]);
    assert.equal((await store.armEngagement({ ...span, arms: ["x/a"] })).users, 10_500);
    assert.equal((await store.armEngagement({ ...span, arms: ["x/b"] })).users, 80);
  });

  test("an event that is sent again with the same arm is the same, and reading gives it without the arm", async (store) => {
    const sent = event({ user_id: "ann", type: "impression" });
    assert.equal((await store.upsertEvents({ events: [{ ...sent, arm: "x/a" }] })).inserted, 1);
    const digest = await store.digest();
    assert.equal((await store.upsertEvents({ events: [{ ...sent, arm: "x/a" }] })).same, 1);
    assert.deepEqual(await store.eventsOf({ user_ids: ["ann"], limit: 9 }), [sent]);
    await store.upsertEvents({ events: [{ ...sent, arm: "x/b" }] });
    assert.equal(await store.digest(), digest);
  });

  test("byCampaign() counts events per campaign, the most frequent first", async (store) => {
    const at = (campaign_id: string, timestamp: string, type: EngagementEvent["type"] = "click") =>
      event({ campaign_id, timestamp, type });
    await store.upsertEvents({
      events: [
        at("b", "2026-03-01T00:00:00.000Z", "impression"),
        at("b", "2026-03-01T00:00:00.001Z", "impression"),
        at("b", "2026-03-02T00:00:00.000Z", "conversion"),
        at("c", "2026-03-01T00:00:00.000Z", "dismissal"),
        at("a", "2026-03-01T00:00:00.000Z"),
        at("a", "2026-03-03T00:00:00.000Z"),
      ],
    });
    const span = { since: "2026-03-01T00:00:00.000Z", until: "2026-03-03T00:00:00.000Z" };
    const none = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
    const [a, b, c] = [
      { ...none, campaign_id: "a", clicks: 1 },
      { ...none, campaign_id: "b", impressions: 2, conversions: 1 },
      { ...none, campaign_id: "c", dismissals: 1 },
    ];
    assert.deepEqual(await store.byCampaign({ ...span, limit: 9 }), [b, a, c]);
    assert.deepEqual(await store.byCampaign({ ...span, limit: 2 }), [b, a]);
    assert.deepEqual(await store.byCampaign({ ...span, since: span.until, limit: 9 }), []);
    const signal = AbortSignal.abort(new Error("given up"));
    await assert.rejects(store.byCampaign({ ...span, limit: 1, signal }), /given up/);
  });

  test("byStrategy() counts events per strategy, the most frequent first", async (store) => {
    const by = (metadata: EngagementEvent["metadata"], type: EngagementEvent["type"] = "impression") =>
      event({ timestamp: "2026-03-01T00:00:00.000Z", metadata, type });
    await store.upsertEvents({
      events: [
        by({ strategy: "personal" }),
        by({ strategy: "personal" }),
        by({ strategy: "personal", place: { on: "phone" } }, "click"),
        by({ strategy: "popular" }),
        by({ strategy: "popular" }, "conversion"),
        by(null),
        by({ strategy: 7 }, "dismissal"),
        { ...by({ strategy: "later" }), timestamp: "2026-03-03T00:00:00.000Z" },
      ],
    });
    const span = { since: "2026-03-01T00:00:00.000Z", until: "2026-03-03T00:00:00.000Z" };
    const none = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
    const rows = [
      { ...none, strategy: "personal", impressions: 2, clicks: 1 },
      { ...none, strategy: "popular", impressions: 1, conversions: 1 },
      { ...none, strategy: null, impressions: 1, dismissals: 1 },
    ];
    assert.deepEqual(await store.byStrategy({ ...span, limit: 9 }), rows);
    assert.deepEqual(await store.byStrategy({ ...span, limit: 1 }), rows.slice(0, 1));
    const signal = AbortSignal.abort(new Error("given up"));
    await assert.rejects(store.byStrategy({ ...span, limit: 1, signal }), /given up/);
  });

  test("counts() counts campaigns, events and their users", async (store) => {
    await store.upsertCampaigns({ campaigns: [campaign()] });
    await store.upsertEvents({ events: ["a", "a", "b"].map((user_id) => event({ user_id })) });
    assert.deepEqual(await store.counts(), { campaigns: 1, events: 3, users: 2 });
  });

  test("users() pages through users with events in ascending id, each once", async (store) => {
    const users = ["é", "b", "a", "z", "😀", "\uffee", "c"];
    await store.upsertEvents({ events: [...users, ...users].map((user_id) => event({ user_id })) });
    await store.deleteUsers({ user_ids: ["c"] });
    const page = (after: string | null, limit: number) => store.users({ after, limit });
    const expected = ["a", "b", "z", "é", "\uffee", "😀"];
    assert.deepEqual(await collect(page, (user_id) => user_id, 4), expected);
    assert.deepEqual(await collect(page, (user_id) => user_id, 2), expected);
  });

  test("an empty store returns empty results", async (store) => {
    assert.deepEqual(await store.users({ after: null, limit: 10 }), []);
    assert.deepEqual(await store.engagement({ user_ids: ["nobody"] }), []);
    assert.deepEqual(await store.listDirtyUsers({ after: null, limit: 10 }), []);
    assert.deepEqual(await store.popular({ version: 1, limit: 10 }), []);
    assert.deepEqual(await store.buildStats({ version: 1, half_life_days: 30, latest: LATEST }), {
      campaigns: 0,
    });
    assert.deepEqual(await store.eventsOf({ user_ids: ["nobody"], limit: 5 }), []);
    assert.equal(await store.file({ version: 1, name: "weights" }), null);
    assert.equal(await store.published(), null);
    assert.equal(await store.source({ kind: "events", uri: "x" }), null);
    assert.deepEqual(await store.sources(), []);
    assert.deepEqual(await store.counts(), { campaigns: 0, events: 0, users: 0 });
    assert.equal(await store.digest(), digestOf([], []));
    assert.equal(await store.deleteUsers({ user_ids: ["nobody"] }), 0);
    assert.equal(await store.deleteCampaigns({ campaign_ids: ["none"] }), 0);
    healthy(await store.health());
  });
}

function erasing(test: Test): void {
  test("deleteUsers() removes all rows of these users and no others", async (store) => {
    const rows = many(1_300);
    await store.upsertEvents({ events: rows });
    const others = rows.filter((row) => row.user_id !== "user-1");
    const epochs = await store.epochs({ user_id: "user-1" });
    assert.equal(await store.deleteUsers({ user_ids: ["user-1", "nobody"] }), rows.length - others.length);
    assert.equal(await store.digest(), digestOf([], others));
    const { user, catalogue } = await store.epochs({ user_id: "user-1" });
    assert.ok(user === 0 && catalogue > epochs.user);
    assert.ok(!(await touchedUsers(store)).includes("user-1"));
    assert.deepEqual(await store.finalEngagement({ user_id: "user-1" }), []);
    await store.deleteUsers({ user_ids: rows.map((row) => row.user_id) });
    assert.deepEqual(await store.counts(), { campaigns: 0, events: 0, users: 0 });
    assert.deepEqual(await touchedUsers(store), []);
    assert.equal(await store.digest(), digestOf([], []));
  });

  test("secret() is random, and the same for all handles and calls", async (store, openAnother) => {
    const others = await Promise.all([openAnother(), openAnother()]);
    const secrets = await Promise.all([store, ...others, store].map((each) => each.secret()));
    assert.equal(secrets[0]!.length, 32);
    for (const secret of secrets) assert.deepEqual(secret, secrets[0]);
    assert.ok(new Set(secrets[0]).size > 16);
    await store.deleteUsers({ user_ids: ["a"] });
    assert.deepEqual(await store.secret(), secrets[0]);
  });

  test("epoch() of a deleted user who returns is greater than before", async (store) => {
    await store.upsertEvents({ events: [event({ user_id: "a" })] });
    const before = (await store.epochs({ user_id: "a" })).user;
    await store.deleteUsers({ user_ids: ["a"] });
    await store.upsertEvents({ events: [event({ user_id: "a" })] });
    assert.ok((await store.epochs({ user_id: "a" })).user > before);
  });

  test("deleteCampaigns() removes them from the catalogue and the stats", async (store) => {
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    await store.buildStats({ version: 1, half_life_days: 30, latest: LATEST });
    assert.equal(await store.deleteCampaigns({ campaign_ids: ["k1", "missing"] }), 1);
    const rest = IDS.filter((id) => id !== "k1");
    assert.deepEqual((await everyCampaign(store)).map((row) => row.campaign_id), rest);
    const popular = await store.popular({ version: 1, limit: 100 });
    assert.deepEqual(popular.map((row) => row.campaign_id), rest);
    await store.deleteCampaigns({ campaign_ids: IDS });
    assert.equal(await store.digest(), digestOf([], []));
  });
}
