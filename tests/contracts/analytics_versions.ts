import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type EngagementEvent, EVENT_TYPES, type EventType, type Published } from "../../lib/core/types.ts";
import type { AnalyticsStore, SourceRecord } from "../../lib/stores/analytics/port.ts";
import { campaign, event, LATEST, minute, pick, random } from "../fixtures/rows.ts";

/** `again` gives another handle on the store's rows. */
export type Test = (
  title: string,
  body: (store: AnalyticsStore, openAnother: () => Promise<AnalyticsStore>) => Promise<void>,
) => void;

/** Events of nine users and six campaigns over ten days, as a brute-force reference can count them. */
export function many(count: number): EngagementEvent[] {
  const next = random(count);
  return Array.from({ length: count }, () =>
    event({
      user_id: `user-${Math.floor(next() * 9)}`,
      campaign_id: `k${Math.floor(next() * 6)}`,
      type: pick(next, EVENT_TYPES),
      timestamp: minute(Math.floor(next() * 14_400)),
    }));
}

const counted = (rows: readonly EngagementEvent[], type: EventType) =>
  rows.filter((row) => row.type === type).length;

export function countsOf(rows: readonly EngagementEvent[]) {
  return {
    impressions: counted(rows, "impression"),
    clicks: counted(rows, "click"),
    conversions: counted(rows, "conversion"),
    dismissals: counted(rows, "dismissal"),
  };
}

export const CATALOGUE = ["k0", "k1", "k2", "k3", "k4", "k5", "unmet"].map((campaign_id) =>
  campaign({ campaign_id })
);
export const IDS = CATALOGUE.map((row) => row.campaign_id);

/** The part of the analytics contract that is about stats by data version. */
export function stats(test: Test): void {
  test("buildStats() counts every event once, and the most popular campaign has popularity 1", async (store) => {
    const rows = many(500);
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    for (const _ of [1, 2]) await store.upsertEvents({ events: rows });
    assert.deepEqual(await store.buildStats({ version: 1, half_life_days: 3, latest: LATEST }), {
      campaigns: 7,
    });
    const found = await store.stats({ version: 1, campaign_ids: IDS.toReversed() });
    assert.deepEqual(found.map((row) => row.campaign_id), IDS);
    for (const { popularity, campaign_id, ...counts } of found) {
      assert.deepEqual(counts, countsOf(rows.filter((row) => row.campaign_id === campaign_id)));
      assert.ok(popularity >= 0 && popularity <= 1, `${campaign_id} has ${popularity}`);
    }
    assert.equal(Math.max(...found.map((row) => row.popularity)), 1);
    assert.equal(found.at(-1)?.popularity, 0, "nobody met it");
  });

  test("leastShown() lists those with fewest impressions first, below a number of them, ties by id", async (store) => {
    await store.upsertCampaigns({
      campaigns: ["a", "b", "c", "d"].map((campaign_id) => campaign({ campaign_id })),
    });
    const shown = { a: 3, b: 1, d: 1 };
    const events = Object.entries(shown).flatMap(([campaign_id, count]) =>
      Array.from({ length: count }, (_, n) => event({ user_id: `u${n}`, campaign_id, type: "impression" }))
    );
    await store.upsertEvents({ events });
    await store.buildStats({ version: 1, half_life_days: 30, latest: minute(60) });
    const ids = async (max_impressions: number, limit = 10) =>
      (await store.leastShown({ version: 1, max_impressions, limit })).map((row) => row.campaign_id);
    assert.deepEqual(await ids(4), ["c", "b", "d", "a"]);
    assert.deepEqual(await ids(3), ["c", "b", "d"]);
    assert.deepEqual(await ids(3, 2), ["c", "b"]);
    assert.deepEqual(await store.leastShown({ version: 2, max_impressions: 9, limit: 9 }), []);
  });

  test("popular() lists best first, ties by id", async (store) => {
    await store.upsertCampaigns({
      campaigns: ["d", "c", "b", "a"].map((id) => campaign({ campaign_id: id })),
    });
    const liked = ["c", "c", "d"].map((campaign_id) =>
      event({ campaign_id, type: "conversion", timestamp: minute(1) })
    );
    await store.upsertEvents({ events: liked });
    await store.buildStats({ version: 1, half_life_days: 30, latest: LATEST });
    const best = await store.popular({ version: 1, limit: 10 });
    assert.deepEqual(best.map((row) => row.campaign_id), ["c", "d", "a", "b"]);
    assert.deepEqual(await store.popular({ version: 1, limit: 2 }), best.slice(0, 2));
  });

  test("buildStats() weights older engagement less", async (store) => {
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    const click = (campaign_id: string, day: number) =>
      event({ campaign_id, timestamp: minute(day * 1_440) });
    const old = Array.from({ length: 6 }, () => click("k0", 0));
    const recent = Array.from({ length: 3 }, () => click("k1", 60));
    await store.upsertEvents({ events: [...old, ...recent] });
    await store.buildStats({ version: 1, half_life_days: 10, latest: LATEST });
    assert.equal((await store.popular({ version: 1, limit: 1 }))[0]?.campaign_id, "k1");
    await store.buildStats({ version: 2, half_life_days: 10_000, latest: LATEST });
    assert.equal((await store.popular({ version: 2, limit: 1 }))[0]?.campaign_id, "k0");
  });

  test('buildStats() counts an event from after "latest" as if it were of the newest day up to it', async (store) => {
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    const on = (campaign_id: string, timestamp: string) => event({ campaign_id, timestamp });
    const liked = [...Array.from({ length: 40 }, (_, n) => on("k0", minute(n * 1_440))), on("k1", minute(0))];
    const build = async (ahead: string) => {
      await store.upsertEvents({
        events: [...liked, { ...on("k2", ahead), event_id: "ahead" }],
      });
      await store.buildStats({ version: 1, half_life_days: 30, latest: minute(40 * 1_440) });
      return await store.stats({ version: 1, campaign_ids: IDS });
    };
    const found = await build("2106-02-07T06:28:15.000Z");
    assert.equal(found[0]?.popularity, 1);
    assert.ok(found[1]!.popularity > 0 && found[2]!.popularity > 0 && found[2]!.popularity < 1);
    assert.deepEqual(found, await build(minute(39 * 1_440)));
    await store.buildStats({ version: 2, half_life_days: 30, latest: "2025-01-01T00:00:00.000Z" });
    assert.equal((await store.popular({ version: 2, limit: 1 }))[0]?.popularity, 1, "with all of them ahead");
  });

  test("statsWithout() gives what buildStats() builds without these events, and stores nothing", async (store) => {
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    const rows = many(300);
    const of = (some: readonly EngagementEvent[], day: number) =>
      some.map((row, n) => ({ ...row, event_id: `${day} ${n}`, timestamp: minute(day * 1_440 + n) }));
    // The newest two days are of the same user, the second newest in part.
    const own = [...rows.slice(0, 40), ...of(rows.slice(0, 5), 20), ...of(rows.slice(5, 20), 30)];
    const others = [
      ...rows.slice(40),
      ...of(rows.slice(40, 44), 20).map((row) => ({ ...row, event_id: row.event_id + "o" })),
    ];
    const ahead = { ...rows[0]!, event_id: "ahead", timestamp: "2106-02-07T06:28:15.000Z" };
    const options = { half_life_days: 5, latest: minute(100 * 1_440) };
    await store.upsertEvents({ events: others });
    await store.buildStats({ version: 1, ...options });
    const expected = await store.stats({ version: 1, campaign_ids: IDS });
    assert.deepEqual(await store.statsWithout({ events: [], ...options }), expected);
    await store.upsertEvents({ events: [...own, ahead] });
    assert.notDeepEqual(await store.statsWithout({ events: [], ...options }), expected);
    assert.deepEqual(await store.statsWithout({ events: [...own, ahead], ...options }), expected);
    assert.deepEqual(await store.stats({ version: 1, campaign_ids: IDS }), expected);
  });

  test("unknownCampaigns() counts events whose campaign is not in the catalogue yet", async (store) => {
    const none = { events: 0, campaigns: 0, examples: [] };
    assert.deepEqual(await store.unknownCampaigns({ limit: 2 }), none);
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    const ids = ["k1", "new-a", "new-b", "new-b", "new-c"];
    await store.upsertEvents({ events: ids.map((campaign_id) => event({ campaign_id })) });
    assert.deepEqual(await store.unknownCampaigns({ limit: 2 }), {
      events: 4,
      campaigns: 3,
      examples: ["new-b", "new-a"],
    });
    await store.upsertCampaigns({
      campaigns: ["new-a", "new-b", "new-c"].map((id) => campaign({ campaign_id: id })),
    });
    assert.deepEqual(await store.unknownCampaigns({ limit: 2 }), none);
  });

  test("a second buildStats() replaces the first, and equal input gives equal stats", async (store) => {
    const rows = many(300);
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    await store.upsertEvents({ events: rows.toReversed() });
    await store.buildStats({ version: 1, half_life_days: 7, latest: LATEST });
    const first = await store.stats({ version: 1, campaign_ids: IDS });
    await store.deleteUsers({ user_ids: rows.map((row) => row.user_id) });
    await store.buildStats({ version: 1, half_life_days: 7, latest: LATEST });
    assert.ok((await store.stats({ version: 1, campaign_ids: IDS })).every((row) => row.clicks === 0));
    await store.upsertEvents({ events: rows });
    await store.buildStats({ version: 1, half_life_days: 7, latest: LATEST });
    assert.deepEqual(await store.stats({ version: 1, campaign_ids: IDS }), first);
  });

  test("stats() of a version that was not built is zeros", async (store) => {
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    const zeros = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 };
    assert.deepEqual(await store.stats({ version: 9, campaign_ids: ["k1"] }), [{
      campaign_id: "k1",
      ...zeros,
    }]);
  });
}

/** Bytes that differ from place to place, so that parts in another order are found out. */
function bytes(count: number, seed = 1): Uint8Array {
  const next = random(seed);
  return Uint8Array.from({ length: count }, () => next() * 256);
}

/** The part of the analytics contract that is about files by data version. */
export function files(test: Test): void {
  test("file() returns the last file saved under a version and name", async (store, openAnother) => {
    const [weights, other] = [bytes(1_000), bytes(1_000, 2)];
    await store.saveFile({ version: 1, name: "weights 🙂", bytes: bytes(2_000, 3) });
    await store.saveFile({ version: 1, name: "weights 🙂", bytes: weights });
    await store.saveFile({ version: 1, name: "other", bytes: other });
    await store.saveFile({ version: 2, name: "other", bytes: weights });
    const two = await openAnother();
    assert.deepEqual(await two.file({ version: 1, name: "weights 🙂" }), weights);
    assert.deepEqual(await two.file({ version: 1, name: "other" }), other);
    assert.deepEqual(await two.file({ version: 2, name: "other" }), weights);
    assert.equal(await two.file({ version: 2, name: "weights 🙂" }), null);
  });

  test("saveFile() accepts a view of a buffer, no bytes, and many megabytes", async (store) => {
    const large = bytes(5 * 2 ** 20 + 3);
    for (const given of [large, new Uint8Array(0), large.subarray(7, 12), large.subarray(0, 2 ** 21)]) {
      await store.saveFile({ version: 1, name: "weights", bytes: given });
      const file = await store.file({ version: 1, name: "weights" });
      assert.ok(file !== null && Buffer.from(given).equals(file), `${given.length} bytes`);
      assert.equal(file.byteOffset, 0);
      assert.equal(file.buffer.byteLength, given.length);
    }
  });

  test("publish() keeps the files of the new version and the previous one", async (store) => {
    for (const number of [1, 2, 3]) {
      await store.saveFile({ version: number, name: "weights", bytes: bytes(2 ** 20 + number) });
      await store.publish({ published: version(number), sources: [] });
    }
    const left = [1, 2, 3].map(async (number) =>
      (await store.file({ version: number, name: "weights" }))?.length
    );
    assert.deepEqual(await Promise.all(left), [undefined, 2 ** 20 + 2, 2 ** 20 + 3]);
  });

  test("saveFile() of a published version or an older one is a conflict", async (store) => {
    await store.saveFile({ version: 2, name: "weights", bytes: bytes(5) });
    await store.publish({ published: version(2), sources: [] });
    for (const number of [1, 2]) {
      const call = store.saveFile({ version: number, name: "weights", bytes: bytes(6) });
      await assert.rejects(call, conflict);
    }
    assert.deepEqual(await store.file({ version: 2, name: "weights" }), bytes(5));
  });
}

function record(uri: string, overrides: Partial<SourceRecord> = {}): SourceRecord {
  return { kind: "events", uri, sha256: "00ff", rows: 3, run_id: "run-1", at: minute(1), ...overrides };
}

function version(number: number): Omit<Published, "previous"> {
  return { version: number, run_id: `run-${number}`, model: "m@1/384/cls", at: minute(number) };
}

const conflict = { name: "ParleyError", code: "conflict" };

/** The part of the analytics contract that is about which version is published, made from which sources. */
export function publishing(test: Test): void {
  test("publish() sets the version and returns the previous one", async (store) => {
    assert.deepEqual(await store.publish({ published: version(1), sources: [] }), {
      ...version(1),
      previous: null,
    });
    const second = { ...version(2), previous: 1 };
    assert.deepEqual(await store.publish({ published: version(2), sources: [] }), second);
    assert.deepEqual(await store.published(), second);
  });

  test("publish() of the published version changes nothing, and of an older one is a conflict", async (store) => {
    await store.publish({ published: version(1), sources: [] });
    const second = await store.publish({ published: version(2), sources: [record("a")] });
    const republished = { ...version(2), run_id: "other" };
    assert.deepEqual(await store.publish({ published: republished, sources: [record("b")] }), second);
    await assert.rejects(store.publish({ published: version(1), sources: [record("c")] }), conflict);
    assert.deepEqual(await store.published(), second);
    assert.deepEqual((await store.sources()).map((source) => source.uri), ["a"]);
  });

  test("publish() keeps the stats of the new version and the previous one", async (store) => {
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    for (const number of [1, 2, 3]) {
      await store.buildStats({ version: number, half_life_days: 30, latest: LATEST });
      await store.publish({ published: version(number), sources: [] });
    }
    const left = [1, 2, 3].map(async (number) =>
      (await store.popular({ version: number, limit: 100 })).length
    );
    assert.deepEqual(await Promise.all(left), [0, 7, 7]);
  });

  test("dropPrevious() removes stats and files of all versions but the published one", async (store) => {
    await store.dropPrevious();
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    await store.upsertEvents({ events: many(50) });
    for (const number of [1, 2, 3]) {
      if (number === 3) {
        // One that is being built may be made from what is gone, too.
        await store.buildStats({ version: number, half_life_days: 30, latest: LATEST });
        await store.saveFile({ version: number, name: "f", bytes: bytes(9) });
        continue;
      }
      await store.buildStats({ version: number, half_life_days: 30, latest: LATEST });
      await store.saveFile({ version: number, name: "f", bytes: bytes(9) });
      await store.publish({ published: version(number), sources: [] });
    }
    for (const _ of [1, 2]) await store.dropPrevious();
    assert.deepEqual(await store.published(), { ...version(2), previous: null });
    for (const number of [1, 3]) {
      assert.deepEqual(await store.popular({ version: number, limit: 9 }), []);
      assert.equal(await store.file({ version: number, name: "f" }), null);
    }
    assert.equal((await store.popular({ version: 2, limit: 99 })).length, CATALOGUE.length);
    assert.deepEqual(await store.file({ version: 2, name: "f" }), bytes(9));
  });

  test("buildStats() of a published version is a conflict", async (store) => {
    await store.publish({ published: version(2), sources: [] });
    await assert.rejects(store.buildStats({ version: 2, half_life_days: 30, latest: LATEST }), conflict);
    await assert.rejects(store.buildStats({ version: 1, half_life_days: 30, latest: LATEST }), conflict);
  });

  test("publish() records sources by kind and URI, until they are forgotten", async (store) => {
    const first = [record("a"), record("b"), record("a", { kind: "messages" })];
    await store.publish({ published: version(1), sources: first });
    const newer = record("a", { sha256: "11", rows: 4, run_id: "run-2", at: minute(2) });
    await store.publish({ published: version(2), sources: [newer] });
    assert.deepEqual(await store.source({ kind: "events", uri: "a" }), newer);
    assert.deepEqual(await store.source({ kind: "messages", uri: "a" }), first[2]);
    assert.equal(await store.source({ kind: "campaigns", uri: "a" }), null);
    assert.equal((await store.sources()).length, 3);
    await store.forgetSources({ uris: ["a", "missing"] });
    assert.deepEqual(await store.sources(), [first[1]]);
  });
}

/** The part that is about two processes that write the same at the same time. */
export function racing(test: Test): void {
  test(
    "upsertEvents() counts each row once of two who write other versions of it at one time",
    async (one, openAnother) => {
      const rows = many(3_000);
      const versions = [rows, rows.toReversed().map((row) => ({ ...row, user_id: `moved-${row.user_id}` }))];
      const counts = await Promise.all(
        [one, await openAnother()].map((store, i) => store.upsertEvents({ events: versions[i]! })),
      );
      const sum = (what: "inserted" | "changed" | "same") => counts[0]![what] + counts[1]![what];
      assert.deepEqual([sum("inserted"), sum("changed"), sum("same")], [3_000, 3_000, 0]);
      const users = new Set(versions.flat().map((row) => row.user_id));
      const touched = await one.listDirtyUsers({ after: null, limit: 100 });
      assert.deepEqual(touched.map(({ user_id }) => user_id), [...users].sort());
      assert.equal((await one.counts()).events, 3_000);
    },
  );

  test("concurrent writes each raise epoch()", async (one, openAnother) => {
    const two = await openAnother();
    const seen = await Promise.all(Array.from({ length: 30 }, async (_, i) => {
      const store = i % 2 === 0 ? one : two;
      await store.upsertEvents({ events: [event({ user_id: "a" })] });
      return (await store.epochs({ user_id: "a" })).user;
    }));
    const last = (await one.epochs({ user_id: "a" })).user;
    assert.ok(seen.every((epoch) => epoch > 0 && epoch <= last));
    await one.upsertEvents({ events: [event({ user_id: "a" })] });
    assert.ok((await two.epochs({ user_id: "a" })).user > last);
  });

  test("concurrent saveFile() calls leave one of the files, complete", async (one, openAnother) => {
    const two = await openAnother();
    const given = [1, 2, 3, 4].map((filler) => new Uint8Array((5 - filler) * 2 ** 20 + 3).fill(filler));
    const file = { version: 1, name: "weights" };
    let done = false;
    const saves = given.map((bytes, i) => (i % 2 === 0 ? one : two).saveFile({ ...file, bytes }));
    const saving = Promise.all(saves).finally(() => done = true);
    const isGiven = (found: Uint8Array) => given.some((bytes) => Buffer.from(bytes).equals(found));
    do {
      const found = await two.file(file);
      assert.ok(found === null || isGiven(found), "two of them are mixed");
    } while (!done);
    await saving;
    assert.ok(isGiven((await one.file(file))!));
  });

  test("of two concurrent publish() calls one succeeds", async (one, openAnother) => {
    const two = await openAnother();
    const [a, b] = await Promise.all(
      [one, two].map((store, i) =>
        store.publish({ published: { ...version(1), run_id: `run-${i}` }, sources: [] })
      ),
    );
    assert.deepEqual(a, b);
    assert.deepEqual(await two.published(), a);
  });
}
