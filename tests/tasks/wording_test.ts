import assert from "node:assert/strict";
import type { Conversation } from "../../lib/recommend/conversations.ts";
import { CampaignNames } from "../../lib/recommend/mentions.ts";
import { Wording } from "../../lib/recommend/wording.ts";
import { decodeWording } from "../../lib/recommend/wording_file.ts";
import {
  type AnalyticsStore,
  type ConversationWords,
  WORDING_FILE,
} from "../../lib/stores/analytics/port.ts";
import { conversationWords, readCampaignNames } from "../../lib/recommend/words.ts";
import { saveWording } from "../../tasks/steps/wording.ts";
import { withInputStores } from "../fixtures/context.ts";
import { campaign } from "../fixtures/rows.ts";

const row = (n: number, options: Partial<ConversationWords> = {}): ConversationWords => ({
  conversation_id: `c${String(n).padStart(5, "0")}`,
  user_id: `user-${n % 7}`,
  words: { [`word${n}`]: 1 },
  named: 0,
  named_shown: 0,
  ...options,
});

async function saved(analytics: AnalyticsStore, conversations: readonly ConversationWords[]) {
  const user_ids = [...new Set(conversations.map(({ user_id }) => user_id))];
  await analytics.setWords({ user_ids, profiles: [], conversations });
  const counts = await saveWording(analytics, { version: 1 });
  const file = await analytics.file({ version: 1, name: WORDING_FILE });
  return { counts, content: await decodeWording(file!), bytes: file!.length };
}

Deno.test("saveWording() makes postings of all conversations, page by page", () =>
  withInputStores(async ({ services: { analytics } }) => {
    const rows = Array.from({ length: 2_001 }, (_, n) => row(n));
    const { counts, content, bytes } = await saved(analytics, rows);
    assert.deepEqual(counts, { conversations: 2_001, rows: 2_001, bytes });
    assert.deepEqual(new Wording(content).nearest({ word2000: 1 }, 9), [{ id: "c02000", score: 1 }]);
  }));

Deno.test("saveWording() saves a file although no one said anything", () =>
  withInputStores(async ({ services: { analytics } }) => {
    const { counts, content } = await saved(analytics, []);
    assert.equal(counts.conversations, 0);
    assert.equal(content.named_are_known, false);
  }));

for (
  const [named, shown, known] of [[19, 0, false], [20, 0, true], [100, 4, true], [100, 5, false]] as const
) {
  Deno.test(`saveWording() takes what users name for ${known ? "known" : "asked for"} if ${shown} of ${named} were shown later`, () =>
    withInputStores(async ({ services: { analytics } }) => {
      const rows = [row(1, { named: named - 1, named_shown: shown }), row(2, { named: 1 })];
      assert.equal((await saved(analytics, rows)).content.named_are_known, known);
    }));
}

Deno.test("conversationWords() counts what the user named before anything was shown, in conversations in which something was", () => {
  const names = new CampaignNames([
    campaign({ campaign_id: "k1", title: "Trail map" }),
    campaign({ campaign_id: "k2", title: "Rain cover" }),
  ]);
  const none = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
  const of = (options: Partial<Conversation>) => {
    const conversation: Conversation = {
      id: "c",
      user_id: "ann",
      end: "2026-01-01T00:00:00.000Z",
      opening: "I have the trail map and a rain cover",
      text: "",
      dialogue: "a map, a map",
      engagement: [],
      ...options,
    };
    const { words, named, named_shown } = conversationWords(conversation, names);
    assert.deepEqual({ ...words }, { a: 2, map: 2 });
    return [named, named_shown];
  };
  assert.deepEqual(of({}), [0, 0]);
  assert.deepEqual(of({ engagement: [{ campaign_id: "k1", ...none, conversions: 1 }] }), [0, 0]);
  assert.deepEqual(of({ engagement: [{ campaign_id: "k1", ...none, impressions: 1 }] }), [2, 1]);
  assert.deepEqual(of({ engagement: [{ campaign_id: "k3", ...none, impressions: 2 }] }), [2, 0]);
});

Deno.test("readCampaignNames() reads titles and aliases of all campaigns", () =>
  withInputStores(async ({ services: { analytics } }) => {
    const campaigns = Array.from(
      { length: 1_001 },
      (_, n) => campaign({ campaign_id: `k${n}`, title: `Title number ${n}`, aliases: [`alias no ${n}`] }),
    );
    await analytics.upsertCampaigns({ campaigns });
    const names = await readCampaignNames(analytics);
    assert.deepEqual([...names.find("title number 1000, or alias no 7")], ["k1000", "k7"]);
  }));
