import { batches, paged } from "../../lib/core/batches.ts";
import { counted } from "../../lib/core/text.ts";
import { type Artifact, type Message, modelKey, type WriteCounts } from "../../lib/core/types.ts";
import {
  type Conversation,
  conversationsOf,
  inOrder,
  type ProfileText,
  profileTextOf,
  recommends,
  type UserRows,
} from "../../lib/recommend/conversations.ts";
import type { VectorStore } from "../../lib/stores/vectors/port.ts";
import type { CampaignNames } from "../../lib/recommend/mentions.ts";
import { FIELDS } from "../datasets.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";
import { embedTexts, type TextCounts, type VectorWriter } from "./embed_texts.ts";
import type { TouchedGraphUser } from "./graph.ts";
import { addCounts, countsText, NO_WRITES, readArtifact } from "./artifact_rows.ts";
import { refuseOtherModel, vectorSet } from "./vector_store.ts";
import { conversationTexts, profileTexts, type TextRow } from "./embed_items.ts";
import { conversationWords, profileWords, readCampaignNames } from "./wording.ts";

/** What became of users' conversations and profiles. */
export interface DerivedCounts extends TextCounts {
  readonly users: number;
  /** Conversations that show what to recommend, and their edges. */
  readonly conversations: number;
  readonly edges: number;
  readonly written: { readonly profiles: WriteCounts; readonly conversations: WriteCounts };
  /** Vectors of profiles and conversations that are no more. */
  readonly removed: number;
}

export const NOTHING_DERIVED: DerivedCounts = {
  users: 0,
  conversations: 0,
  edges: 0,
  written: { profiles: NO_WRITES, conversations: NO_WRITES },
  removed: 0,
  embedded: 0,
  reused: 0,
  long: 0,
};

/** Users derived at a time: what a kill costs at the most. */
export const USERS = 50;
/** Messages read at a time. */
const PAGE = 2_000;
/** Messages and events of one user that count, the newest of each: some users are programs. */
const MAX_ROWS = 10_000;
/** Rows embedded at a time. */
const ROWS = 256;

/**
 * Derives the conversations and the profile of every dirty user, in the vectors and in the graph, and settles the users that are
 * done. An attempt continues after the users of the one before it.
 */
export async function conversations(
  context: StepContext,
  store: VectorStore,
  touched: Artifact,
): Promise<DerivedCounts> {
  const { services, signal } = context;
  const embedder = await services.embedder();
  refuseOtherModel(embedder.model, store.model);
  context.version("model", modelKey(store.model));
  let done = context.loadCheckpoint<DerivedCounts>() ?? NOTHING_DERIVED;
  if (done.users > 0) context.log(`continues after ${done.users} of ${touched.rows} users`);
  let skip = done.users;
  let names: CampaignNames | undefined;
  for await (const users of batches(readArtifact<TouchedGraphUser>(services, touched, signal), USERS)) {
    if (skip > 0) {
      skip -= users.length;
      continue;
    }
    const user_ids = users.map(({ user_id }) => user_id);
    names ??= await readCampaignNames(services.analytics, { signal });
    done = addDerived(done, await deriveUsers(context, { store, embedder, names }, user_ids));
    await clearDerived(services, users, signal);
    await context.saveCheckpoint(done);
    context.progress({ done: done.users, total: touched.rows });
  }
  context.reads(services.artifact(touched));
  reportDerived(context, { store, embedder }, done);
  return done;
}

/** Makes these users' conversations and profiles what their messages and events say. Repeating it changes nothing. */
export async function deriveUsers(
  context: StepContext,
  { names, ...writer }: VectorWriter & { readonly names: CampaignNames },
  user_ids: readonly string[],
): Promise<DerivedCounts> {
  const { services: { analytics, graph }, signal } = context;
  const { profiles, engaged, items } = await readTexts(context, user_ids);
  const written = { profiles: NO_WRITES, conversations: NO_WRITES };
  let texts: TextCounts = { embedded: 0, reused: 0, long: 0 };
  for await (const some of batches(items, ROWS)) {
    const { counts, ...more } = await embedTexts(writer, some, signal);
    texts = addTexts(texts, more);
    for (const collection of DERIVED) {
      written[collection] = addCounts(written[collection], counts[collection]);
    }
  }
  let removed = 0;
  for (const collection of DERIVED) {
    const ids = items.filter((item) => item.collection === collection).map(({ id }) => id);
    removed += await writer.store.deleteExcept({ collection, user_ids, ids, signal });
  }
  const rows = engaged.map(({ id, user_id, engagement }) => ({
    conversation_id: id,
    user_id,
    engagement,
  }));
  const edges = await graph.setConversations({ user_ids, conversations: rows, signal });
  await analytics.setWords({
    user_ids,
    profiles: profiles.map(({ user_id, profile }) => profileWords(user_id, profile, names)),
    conversations: engaged.map((one) => conversationWords(one, names)),
    signal,
  });
  return { users: user_ids.length, conversations: rows.length, edges, written, removed, ...texts };
}

interface UserTexts {
  readonly profiles: readonly { readonly user_id: string; readonly profile: ProfileText }[];
  /** Conversations that show what to recommend. */
  readonly engaged: readonly Conversation[];
  /** What of both is to be embedded. */
  readonly items: readonly TextRow[];
}

/** These users' profiles, as far as they said anything, and their conversations. */
export async function readTexts(context: StepContext, user_ids: readonly string[]): Promise<UserTexts> {
  const gap_ms = context.services.settings.conversation_gap_minutes * 60_000;
  const users = (await readUsers(context, user_ids)).map((user) => ({
    user_id: user.user_id,
    profile: profileTextOf(user),
    engaged: conversationsOf(user, { gap_ms }).filter(recommends),
  }));
  return {
    profiles: users.flatMap(({ user_id, profile }) => profile === null ? [] : [{ user_id, profile }]),
    engaged: users.flatMap(({ engaged }) => engaged),
    // A user's texts next to each other: they are often the same.
    items: users.flatMap(({ user_id, profile, engaged }) => [
      ...profileTexts(user_id, profile),
      ...engaged.map(conversationTexts),
    ]),
  };
}

const DERIVED = ["profiles", "conversations"] as const;

export function addDerived(a: DerivedCounts, b: DerivedCounts): DerivedCounts {
  return {
    users: a.users + b.users,
    conversations: a.conversations + b.conversations,
    edges: a.edges + b.edges,
    written: {
      profiles: addCounts(a.written.profiles, b.written.profiles),
      conversations: addCounts(a.written.conversations, b.written.conversations),
    },
    removed: a.removed + b.removed,
    ...addTexts(a, b),
  };
}

function addTexts(a: TextCounts, b: TextCounts): TextCounts {
  return { embedded: a.embedded + b.embedded, reused: a.reused + b.reused, long: a.long + b.long };
}

async function readUsers(
  { services: { documents, analytics }, signal, log }: StepContext,
  user_ids: readonly string[],
): Promise<UserRows[]> {
  const said = new Map<string, Message[]>(user_ids.map((user_id) => [user_id, []]));
  const page = (after: string | null, limit: number) => documents.page({ after, limit, user_ids, signal });
  for await (const message of paged(PAGE, ({ message_id }) => message_id, page)) {
    const messages = said.get(message.user_id);
    messages?.push(message);
    if (messages !== undefined && messages.length >= 2 * MAX_ROWS) {
      said.set(message.user_id, newestOf(messages, MAX_ROWS + 1));
    }
  }
  // One more than count, to detect a user who has more.
  const newest = await analytics.eventsOf({ user_ids, limit: MAX_ROWS + 1, signal });
  const done = Map.groupBy(newest, ({ user_id }) => user_id);
  let cut = 0;
  const users = [...said].map(([user_id, messages]) => {
    const events = done.get(user_id) ?? [];
    if (Math.max(messages.length, events.length) > MAX_ROWS) cut++;
    return { user_id, messages: newestOf(messages, MAX_ROWS), events: events.slice(-MAX_ROWS) };
  });
  if (cut > 0) log(`${cut} users have more than ${MAX_ROWS} messages or events: the newest count`);
  return users;
}

/** The newest messages; a message that is left out never comes to count by what is read after it. */
function newestOf(messages: Message[], count: number): Message[] {
  return messages.length > count ? inOrder(messages).slice(-count) : messages;
}

async function clearDerived(
  { documents, analytics }: Services,
  users: readonly TouchedGraphUser[],
  signal: AbortSignal,
): Promise<void> {
  const marksOf = (store: "documents" | "analytics") =>
    users.flatMap(({ user_id, [store]: token }) => token === null ? [] : [{ user_id, token }]);
  await documents.clearDirty({ users: marksOf("documents"), signal });
  await analytics.clearDirty({ users: marksOf("analytics"), signal });
}

export function reportDerived(
  context: StepContext,
  { store }: VectorWriter,
  done: DerivedCounts,
): void {
  const { services } = context;
  const { embedded, reused, long, written, removed } = done;
  context.log(
    `${counted(done.conversations, "conversation")} of ${
      counted(done.users, "user")
    } show what to recommend; ` +
      `${embedded} texts embedded, ${reused} had a vector, ${long} were longer than the model reads`,
  );
  let out = 0;
  for (const collection of DERIVED) {
    const counts = written[collection];
    const rows = counts.inserted + counts.changed;
    out += rows;
    context.log(countsText(collection, counts));
    const table = vectorSet(context, store, collection);
    context.writes({ ...table, rows, fields: FIELDS.vectors, quality: { ...counts } });
  }
  if (removed > 0) context.log(`${removed} vectors of what is no more were removed`);
  context.rows({ in: done.users, out });
  context.reads(services.dataset("documents", "messages"));
  context.reads(services.dataset("analytics", "events"));
  context.reads(vectorSet(context, store, "messages"));
  context.writes({
    ...services.dataset("analytics", "words"),
    rows: done.users + done.conversations,
    fields: FIELDS.words,
  });
  context.writes({
    ...services.dataset("graph", "conversations"),
    rows: done.edges,
    fields: FIELDS.conversations,
    quality: { conversations: done.conversations, embedded, reused, long, removed },
  });
}
