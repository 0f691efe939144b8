import assert from "node:assert/strict";
import { collect, event, LATEST, minute } from "../fixtures/rows.ts";
import { CATALOGUE, countsOf, IDS, many, type Test } from "./analytics_versions.ts";
import { checkTombstones } from "./tombstones.ts";

const ALL = { after: null, limit: 10 };

/** The part of the analytics contract that is about erased users, and users who do not want personalisation. */
export function rights(test: Test): void {
  test("tombstones are sets of hashes", async (store, openAnother) => {
    await checkTombstones(store.tombstones, async () => (await openAnother()).tombstones);
  });

  test("eventPage() gives all events of one user, in ascending id", async (store) => {
    const rows = [...many(400), event({ event_id: "é", user_id: "user-3" })];
    await store.upsertEvents({ events: rows });
    const page = (after: string | null, limit: number) =>
      store.eventPage({ user_id: "user-3", after, limit });
    const own = rows.filter(({ user_id }) => user_id === "user-3").sort((a, b) =>
      a.event_id < b.event_id ? -1 : 1
    );
    assert.deepEqual(await collect(page, ({ event_id }) => event_id, 7), own);
    assert.deepEqual(await store.eventPage({ user_id: "nobody", ...ALL }), []);
  });

  test("pending erasures have the newest time, and end only up to a time", async (store, openAnother) => {
    await store.addPendingErasures({
      users: [{ user_id: "b", at: minute(1) }, { user_id: "a", at: minute(1) }],
    });
    await store.addPendingErasures({ users: [{ user_id: "b", at: minute(3) }] });
    const two = await openAnother();
    assert.deepEqual(await two.pendingErasures(ALL), [
      { user_id: "a", at: minute(1) },
      { user_id: "b", at: minute(3) },
    ]);
    assert.deepEqual(await two.pendingErasures({ after: "a", limit: 1 }), [{ user_id: "b", at: minute(3) }]);
    await store.deleteUsers({ user_ids: ["a", "b"] });
    await store.endErasures({ user_ids: ["a", "b", "c"], until: minute(2) });
    assert.deepEqual(await two.pendingErasures(ALL), [{ user_id: "b", at: minute(3) }]);
  });

  test(
    "setPersonalisation() raises the epoch and marks the user as dirty, if it changes anything",
    async (store, openAnother) => {
      const [two, user_id] = [await openAnother(), "ann"];
      const set = (personalisation: boolean) => store.setPersonalisation({ user_id, personalisation });
      assert.equal(await set(true), false);
      assert.deepEqual(await two.optedOut({ user_ids: ["ann", "bob"] }), []);
      assert.deepEqual(await store.listDirtyUsers(ALL), []);
      const epochs = [(await two.epochs({ user_id })).user];
      for (const [wish, changes] of [[false, true], [false, false], [true, true], [false, true]] as const) {
        assert.equal(await set(wish), changes);
        assert.deepEqual(await two.optedOut({ user_ids: ["bob", "ann"] }), wish ? [] : ["ann"]);
        if (changes) epochs.push((await two.epochs({ user_id })).user);
      }
      assert.deepEqual(epochs, [...new Set(epochs)].sort((a, b) => a - b));
      assert.equal((await store.listDirtyUsers(ALL))[0]?.user_id, "ann");
      await store.deleteUsers({ user_ids: [user_id] });
      assert.deepEqual(await two.optedOut({ user_ids: ["ann"] }), []);
    },
  );

  test("buildStats() counts no event of users who opted out", async (store) => {
    const rows = many(500);
    await store.upsertCampaigns({ campaigns: CATALOGUE });
    await store.upsertEvents({ events: rows });
    for (const user_id of ["user-1", "user-4"]) {
      await store.setPersonalisation({ user_id, personalisation: false });
    }
    const options = { half_life_days: 3, latest: LATEST };
    await store.buildStats({ version: 1, ...options });
    const counted = await store.stats({ version: 1, campaign_ids: IDS });
    const others = rows.filter(({ user_id }) => user_id !== "user-1" && user_id !== "user-4");
    for (const { campaign_id, popularity, ...counts } of counted) {
      assert.deepEqual(counts, countsOf(others.filter((row) => row.campaign_id === campaign_id)));
      assert.equal(popularity > 0, campaign_id !== "unmet");
    }
    assert.equal((await store.engagement({ user_ids: ["user-1"] })).length > 0, true);
  });

  test("finalEngagement() is empty for a user who opted out", async (store) => {
    const rows = [event({ user_id: "ann", campaign_id: "k1", type: "dismissal" })];
    await store.upsertEvents({
      events: [...rows, event({ user_id: "bob", campaign_id: "k1", type: "conversion" })],
    });
    const final = async (user_id: string) => (await store.finalEngagement({ user_id })).length;
    assert.deepEqual([await final("ann"), await final("bob")], [1, 1]);
    await store.setPersonalisation({ user_id: "ann", personalisation: false });
    assert.deepEqual([await final("ann"), await final("bob")], [0, 1]);
  });

  test("conversationWords() with a user gives only those of that user", async (store) => {
    const row = (conversation_id: string, user_id: string) => (
      { conversation_id, user_id, words: { a: 1 }, named: 0, named_shown: 0 }
    );
    const conversations = [row("c1", "ann"), row("c2", "bob"), row("c3", "ann")];
    await store.setWords({ user_ids: ["ann", "bob"], profiles: [], conversations });
    const own = await store.conversationWords({ ...ALL, user_id: "ann" });
    assert.deepEqual(own, [conversations[0], conversations[2]]);
    assert.deepEqual(await store.conversationWords({ after: "c1", limit: 1, user_id: "ann" }), [
      conversations[2],
    ]);
  });

  test("compact() leaves every row", async (store) => {
    await store.upsertEvents({ events: many(50) });
    const before = await store.digest();
    await store.compact();
    assert.equal(await store.digest(), before);
  });
}
