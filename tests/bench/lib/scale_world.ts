import { batches } from "../../../lib/core/batches.ts";
import type { Campaign, EngagementEvent, EventType, Message } from "../../../lib/core/types.ts";
import type { Services } from "../../../tasks/services.ts";
import { campaignItem } from "../../../lib/derive/embed_items.ts";
import { campaign, event, message, minute, pick, random } from "../../fixtures/rows.ts";

export const WORLD = Object.freeze({ users: 100_000, campaigns: 10_000, events: 1_000_000, words: 50_000 });

/** Users share what they want and how they say it with others of their topic. */
const TOPICS = 200;
const INTENTS = 40;
const EVENTS_EACH = WORLD.events / WORLD.users;
/** Messages of each user's conversation, the last from the assistant, and their words: some 60 different ones. */
const MESSAGES = 4;
const MESSAGE_WORDS = 20;
/** Shares of what is the topic's own, and of conversations that name a campaign. */
const OWN = 0.4;
const NAMING = 0.2;
const TYPES: readonly EventType[] = [
  ...Array(10).fill("impression"),
  ...Array(5).fill("click"),
  ...Array(4).fill("conversion"),
  "dismissal",
];
const BATCH = 5_000;

type Random = () => number;

export function userId(at: number): string {
  return `user-${String(at).padStart(6, "0")}`;
}

/** A text as they are said here, about no topic in particular. */
export function wordsLikeTheirs(next: Random, count: number): string {
  return textOf(next, count, Math.floor(next() * TOPICS));
}

/** Puts campaigns, events, messages and what the graph has of them into the stores, and vectors of campaigns. */
export async function fillWorld(
  { analytics, documents, graph, vectors, embedder }: Services,
): Promise<string> {
  const campaigns = Array.from({ length: WORLD.campaigns }, (_, at) => campaignAt(at));
  await analytics.upsertCampaigns({ campaigns });
  await graph.setTargets({ campaigns });
  const { model, embed } = await bound(embedder);
  const store = await vectors.forModel({ model });
  const items = campaigns.map(campaignItem);
  const made = await embed(items.map(({ text }) => text));
  const rows = items.map(({ collection: _collection, text: _text, ...row }, at) => ({
    ...row,
    vector: made[at]!,
  }));
  await store.upsert({ collection: "campaigns", rows });
  for await (const users of batches(Array.from({ length: WORLD.users }).keys(), BATCH / 10)) {
    const user_ids = users.map(userId);
    const worlds = users.map((at) => userAt(at, campaigns));
    await documents.upsert({ messages: worlds.flatMap(({ messages }) => messages) });
    await analytics.upsertEvents({ events: worlds.flatMap(({ events }) => events) });
    await graph.setEngaged({ user_ids, edges: await analytics.engagement({ user_ids }) });
    const edges = users.map((at) => ({
      user_id: userId(at),
      intent: intentAt(at % TOPICS),
      count: 3,
      last: minute(at),
    }));
    await graph.setExpressed({ user_ids, edges });
  }
  return `${WORLD.users} users, ${WORLD.campaigns} campaigns, ${WORLD.events} events`;
}

async function bound(embedder: Services["embedder"]) {
  const one = await embedder();
  return {
    model: one.model,
    embed: (texts: readonly string[]) => one.embed({ texts, as: "document" }),
  };
}

function campaignAt(at: number): Campaign {
  const next = random(1_000_000 + at);
  const title = Array.from({ length: 2 + at % 3 }, () => word(Math.floor(next() * WORLD.words)));
  return campaign({
    campaign_id: `campaign-${at}`,
    title: title.join(" "),
    description: textOf(next, 12, at % TOPICS),
    intents: [intentAt(at % TOPICS)],
    category: `category ${at % 25}`,
  });
}

function userAt(
  at: number,
  campaigns: readonly Campaign[],
): { messages: Message[]; events: EngagementEvent[] } {
  const next = random(at);
  const topic = at % TOPICS;
  const owned = { user_id: userId(at), conversation_id: `c-${at}` };
  const named = next() < NAMING ? campaigns[campaignIndex(next, topic)]!.title : "";
  const messages = Array.from({ length: MESSAGES }, (_, n) =>
    message({
      ...owned,
      message_id: `m-${at}-${n}`,
      message: `${textOf(next, MESSAGE_WORDS, topic)} ${n === 0 ? named : ""}`,
      timestamp: minute(at + n),
      role: n < MESSAGES - 1 ? "user" : "assistant",
    }));
  const events = Array.from({ length: EVENTS_EACH }, (_, n) =>
    event({
      ...owned,
      event_id: `e-${at}-${n}`,
      campaign_id: `campaign-${campaignIndex(next, topic)}`,
      type: pick(next, TYPES),
      timestamp: minute(at + MESSAGES + n),
    }));
  return { messages, events };
}

function campaignIndex(next: Random, topic: number): number {
  const per_topic = WORLD.campaigns / TOPICS;
  if (next() < OWN) return topic + TOPICS * zipf(next, per_topic);
  return zipf(next, WORLD.campaigns);
}

function textOf(next: Random, count: number, topic: number): string {
  return Array.from({ length: count }, () => {
    const rank = zipf(next, WORLD.words);
    return word(next() < OWN ? (rank * TOPICS + topic) % WORLD.words : rank);
  }).join(" ");
}

/** A rank below `count` by Zipf's law: its chance is about proportional to 1 / (rank + 1). */
function zipf(next: Random, count: number): number {
  return Math.floor((count + 1) ** next()) - 1;
}

/** One of as many words of letters, of a length that grows with rank as in languages. */
function word(rank: number): string {
  let text = "";
  for (let rest = rank + 30; rest > 0; rest = Math.floor(rest / 20)) {
    text += "bcdfghjklmnprstvwxyz"[rest % 20]! + "aeiou"[rest % 5]!;
  }
  return text;
}

function intentAt(topic: number): string {
  return `intent-${topic % INTENTS}`;
}
