import assert from "node:assert/strict";
import type { AnalyticsStore, ConversationWords, ProfileWords } from "../../lib/stores/analytics/port.ts";
import { WORDING_FILE } from "../../lib/stores/analytics/port.ts";
import { event } from "../fixtures/rows.ts";
import type { Test } from "./analytics_versions.ts";

const SAID = { boots: 2, "сапоги": 1, constructor: 1, "": 1 };
const profile = (
  user_id: string,
  { named = [], negations = [] }: Partial<ProfileWords> = {},
): ProfileWords => ({ user_id, words: SAID, named, negations });
const ANN = profile("ann", {
  named: ["k1", "🙂"],
  negations: [
    { of: "campaign", name: "🙂", until: "2025-01-01T00:00:00.000Z" },
    { of: "tag", name: `"tall"`, until: "2025-01-02T00:00:00.000Z" },
  ],
});
const conversation = (conversation_id: string, user_id: string, named = 0): ConversationWords => ({
  conversation_id,
  user_id,
  words: SAID,
  named,
  named_shown: 0,
});

async function idsOf(store: AnalyticsStore): Promise<string[]> {
  const rows = await store.conversationWords({ after: null, limit: 100 });
  return rows.map(({ conversation_id }) => conversation_id);
}

/** The part of the analytics contract that is about what users said, as words. */
export function words(test: Test): void {
  test(
    "setWords() makes users' words exactly the given ones, and leaves those of others",
    async (store, openAnother) => {
      const all = { user_ids: ["ann", "bob"], profiles: [ANN, profile("bob")] };
      const conversations = [
        conversation("c1", "ann", 3),
        conversation("c2", "ann"),
        conversation("d1", "bob"),
      ];
      for (const _ of [1, 2]) await store.setWords({ ...all, conversations });
      const two = await openAnother();
      assert.deepEqual(await two.profileWords({ user_id: "ann" }), ANN);
      assert.equal(await two.profileWords({ user_id: "cat" }), null);
      assert.deepEqual(await two.conversationWords({ after: null, limit: 9 }), conversations);
      await store.setWords({
        user_ids: ["ann"],
        profiles: [],
        conversations: [conversation("c2", "ann", 1)],
      });
      assert.equal(await two.profileWords({ user_id: "ann" }), null);
      assert.deepEqual(await two.profileWords({ user_id: "bob" }), profile("bob"));
      assert.deepEqual(await two.conversationWords({ after: null, limit: 9 }), [
        conversation("c2", "ann", 1),
        conversations[2],
      ]);
    },
  );

  test("conversationWords() pages in ascending id", async (store) => {
    const conversations = ["é", "a", "🙂", "Z", "b"].map((id) => conversation(id, "ann"));
    await store.setWords({ user_ids: ["ann"], profiles: [], conversations });
    const ids: string[] = [];
    for (let after: string | null = null;;) {
      const page: ConversationWords[] = await store.conversationWords({ after, limit: 2 });
      if (page.length === 0) break;
      ids.push(...page.map(({ conversation_id }) => conversation_id));
      after = ids.at(-1)!;
    }
    assert.deepEqual(ids, ["Z", "a", "b", "é", "🙂"]);
  });

  test("knownUsers() are those with events or words, each once, in ascending id", async (store) => {
    await store.upsertEvents({ events: ["b", "c", "c", "z"].map((user_id) => event({ user_id })) });
    const profiles = ["a", "c", "é", "y"].map((user_id) => ({
      user_id,
      words: {},
      named: [],
      negations: [],
    }));
    await store.setWords({ user_ids: ["a", "c", "é", "y"], profiles, conversations: [] });
    assert.deepEqual(await store.knownUsers({ after: null, limit: 9 }), ["a", "b", "c", "y", "z", "é"]);
    assert.deepEqual(await store.knownUsers({ after: "a", limit: 3 }), ["b", "c", "y"]);
    assert.deepEqual(await store.knownUsers({ after: "é", limit: 3 }), []);
  });

  test("deleteUsers() removes their words, and leaves others' answers what they are made from", async (store) => {
    await store.setWords({
      user_ids: ["ann", "bob"],
      profiles: [profile("ann"), profile("bob")],
      conversations: [conversation("c1", "ann"), conversation("d1", "bob")],
    });
    for (const version of [1, 2]) {
      for (const name of [WORDING_FILE, "weights"]) {
        await store.saveFile({ version, name, bytes: Uint8Array.of(version) });
      }
    }
    await store.deleteUsers({ user_ids: ["ann"] });
    assert.equal(await store.profileWords({ user_id: "ann" }), null);
    assert.deepEqual(await idsOf(store), ["d1"]);
    assert.deepEqual(await store.profileWords({ user_id: "bob" }), profile("bob"));
    for (const version of [1, 2]) {
      for (const name of [WORDING_FILE, "weights"]) {
        assert.deepEqual([...(await store.file({ version, name }))!], [version]);
      }
    }
  });
}
