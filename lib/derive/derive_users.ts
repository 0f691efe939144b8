import { batches } from "../core/batches.ts";
import type { Abortable, DirtyUser, Message, WriteCounts } from "../core/types.ts";
import { addCounts, NO_WRITES } from "../core/write_counts.ts";
import {
  type Conversation,
  conversationsOf,
  type ProfileText,
  profileTextOf,
  recommends,
  type UserRows,
} from "../recommend/conversations.ts";
import { ErasedUsers } from "../privacy/erased_users.ts";
import type { CampaignNames } from "../recommend/mentions.ts";
import { MAX_USER_ROWS, readUserRows } from "../recommend/user_rows.ts";
import { conversationWords, profileWords } from "../recommend/words.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { DirtyUserStore, DocumentStore } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { VectorStore } from "../stores/vectors/port.ts";
import { conversationTexts, messageItem, profileTexts, type TextRow } from "./embed_items.ts";
import {
  addTexts,
  embedMissing,
  embedTexts,
  NO_TEXTS,
  type TextCounts,
  type TextWriter,
  type VectorWriter,
} from "./embed_texts.ts";

/** What became of users' conversations and profiles. */
export interface DerivedCounts extends TextCounts {
  readonly users: number;
  /** Conversations that show what to recommend. */
  readonly conversations: number;
  /** Edges of the graph that were set. */
  readonly edges: number;
  readonly written: { readonly profiles: WriteCounts; readonly conversations: WriteCounts };
  /** Vectors of profiles and conversations that are no more. */
  readonly removed: number;
}

export const NOTHING_DERIVED: DerivedCounts = Object.freeze({
  users: 0,
  conversations: 0,
  edges: 0,
  written: { profiles: NO_WRITES, conversations: NO_WRITES },
  removed: 0,
  ...NO_TEXTS,
});

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

/** The stores that users' rows are in and what is derived from them is written to; vectors are those of {@link VectorWriter}. */
interface DeriveStores {
  readonly documents: Pick<DocumentStore, "page" | "intentCounts" | "findDirtyUsers">;
  readonly analytics: Pick<
    AnalyticsStore,
    | "eventsOf"
    | "engagement"
    | "setWords"
    | "findDirtyUsers"
    | "optedOut"
    | "deleteUsers"
    | "secret"
    | "tombstones"
  >;
  readonly graph: Pick<GraphStore, "setExpressed" | "setEngaged" | "setConversations" | "deleteUsers">;
}

export interface DeriveOptions extends VectorWriter, Abortable {
  readonly stores: DeriveStores;
  readonly names: CampaignNames;
  /** Milliseconds of silence after which a user's next message begins another conversation, if messages name none. */
  readonly gap_ms: number;
  /** Gets a line about users with more rows than count. */
  readonly log?: (line: string) => void;
  /** Gives intents to these messages, which have got vectors just now. Default: none. */
  readonly classify?: (messages: readonly Message[]) => Promise<void>;
  /** Only what depends on the model: to derive by another one than answers come from. Default false. */
  readonly vectors_only?: boolean;
}

/** The marks of users in the stores that have their rows, as they were before anything was read. */
interface DirtyMarks {
  readonly documents: readonly DirtyUser[];
  readonly analytics: readonly DirtyUser[];
}

/** Rows embedded at a time. */
const ROWS = 256;
/** How often users are derived again because their rows were written meanwhile. */
const MAX_ATTEMPTS = 5;

/**
 * Makes what is derived of these users what their messages and events say: vectors of messages that have none, edges, conversations, profile, words.
 * Repeating it changes nothing. If a user's rows are written meanwhile, that user is derived again, so that what an older state says
 * never replaces what a newer one says, whichever process derives that. Returns the marks that the users had: who clears
 * them knows that all that was written before is derived; a user who is written to all the time keeps a newer mark.
 *
 * Of users who do not want personalisation nothing is derived, and what was derived before is removed. Of users who are erased
 * meanwhile nothing is written, since to embed their texts takes long; of those who are erased during a write it is removed again.
 */
export async function deriveUsers(
  options: DeriveOptions,
  user_ids: readonly string[],
): Promise<{ readonly counts: DerivedCounts; readonly marks: DirtyMarks }> {
  const erased = new ErasedUsers(options.stores.analytics);
  let before = await readMarks(options, user_ids);
  let counts = await deriveOnce(options, user_ids, erased);
  for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt++) {
    const after = await readMarks(options, user_ids);
    const changed = changedUsers(before, after);
    if (changed.length === 0) break;
    counts = { ...addDerived(counts, await deriveOnce(options, changed, erased)), users: user_ids.length };
    before = after;
  }
  return { counts, marks: before };
}

/** The vector store that refuses rows of erased users. */
function withoutErased(store: VectorStore, erased: ErasedUsers): TextWriter["store"] {
  return {
    byHash: (options) => store.byHash(options),
    hashes: (options) => store.hashes(options),
    upsert: async ({ collection, rows, signal }) => {
      const owned = rows.map((row) => ({ row, user_id: row.user_id! }));
      const { result } = await erased.write(owned, {
        write: (kept) => store.upsert({ collection, rows: kept.map(({ row }) => row), signal }),
        undo: (user_ids) => store.deleteUsers({ user_ids, signal }),
        signal,
      });
      return result;
    },
  };
}

async function readMarks(
  { stores, signal }: DeriveOptions,
  user_ids: readonly string[],
): Promise<DirtyMarks> {
  const [documents, analytics] = await Promise.all([
    stores.documents.findDirtyUsers({ user_ids, signal }),
    stores.analytics.findDirtyUsers({ user_ids, signal }),
  ]);
  return { documents, analytics };
}

/** Users whose rows were written, or derived by another process, between two reads of their marks. */
function changedUsers(before: DirtyMarks, after: DirtyMarks): string[] {
  const keys = ({ documents, analytics }: DirtyMarks) =>
    new Map(
      Object.entries({ documents, analytics }).flatMap(([store, users]) =>
        users.map(({ user_id, token }) => [`${store} ${token} ${user_id}`, user_id] as const)
      ),
    );
  const [old, now] = [keys(before), keys(after)];
  const differing = [
    ...[...old].filter(([key]) => !now.has(key)),
    ...[...now].filter(([key]) => !old.has(key)),
  ];
  return [...new Set(differing.map(([, user_id]) => user_id))];
}

/** Clears the marks of users who were derived, unless they were marked again since. */
export async function clearMarks(
  stores: { readonly documents: DirtyUserStore; readonly analytics: DirtyUserStore },
  { documents, analytics }: DirtyMarks,
  { signal }: Abortable = {},
): Promise<void> {
  await stores.documents.clearDirty({ users: documents, signal });
  await stores.analytics.clearDirty({ users: analytics, signal });
}

async function deriveOnce(
  options: DeriveOptions,
  user_ids: readonly string[],
  erased: ErasedUsers,
): Promise<DerivedCounts> {
  const { stores, store, embedder, signal } = options;
  const writer: TextWriter = { embedder, store: withoutErased(store, erased) };
  const optedOut = new Set(await stores.analytics.optedOut({ user_ids, signal }));
  const wanting = user_ids.filter((user_id) => !optedOut.has(user_id));
  const isWanted = ({ user_id }: { readonly user_id: string | null }) => !optedOut.has(user_id ?? "");
  const { messages, ...read } = await readTexts(options, user_ids);
  const profiles = read.profiles.filter(isWanted);
  const engaged = read.engaged.filter(isWanted);
  const items = read.items.filter(isWanted);
  const { counts: embedded, ids } = await embedMissing(writer, messages.map(messageItem), signal);
  if (ids.size > 0) await options.classify?.(messages.filter(({ message_id }) => ids.has(message_id)));
  let texts = embedded;
  const written = { profiles: NO_WRITES, conversations: NO_WRITES };
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
    removed += await store.deleteExcept({ collection, user_ids, ids, signal });
  }
  const counts = { users: user_ids.length, conversations: engaged.length, written, removed, ...texts };
  if (options.vectors_only) return { ...counts, edges: 0 };
  const { result: edges } = await erased.write(user_ids.map((user_id) => ({ user_id })), {
    write: (kept) => {
      const ids = new Set(kept.map(({ user_id }) => user_id));
      return setEdgesAndWords(options, [...ids], {
        wanting: wanting.filter((user_id) => ids.has(user_id)),
        profiles: profiles.filter(({ user_id }) => ids.has(user_id)),
        engaged: engaged.filter(({ user_id }) => ids.has(user_id)),
      });
    },
    undo: (ids) =>
      Promise.all(
        [stores.graph, stores.analytics].map((each) => each.deleteUsers({ user_ids: ids, signal })),
      ),
    signal,
  });
  return { ...counts, edges };
}

/** Makes these users' edges and words exactly the given ones; returns the number of edges. */
async function setEdgesAndWords(
  { stores: { documents, analytics, graph }, names, gap_ms, signal }: DeriveOptions,
  user_ids: readonly string[],
  { wanting, profiles, engaged }: Pick<UserTexts, "profiles" | "engaged"> & {
    /** The users among them who want personalisation. */
    readonly wanting: readonly string[];
  },
): Promise<number> {
  const expressed = await documents.intentCounts({ user_ids: wanting, signal });
  let edges = await graph.setExpressed({ user_ids, edges: expressed, signal });
  const engagement = await analytics.engagement({ user_ids: wanting, signal });
  edges += await graph.setEngaged({ user_ids, edges: engagement, signal });
  const conversations = engaged.map(({ id, user_id, engagement }) => ({
    conversation_id: id,
    user_id,
    engagement,
  }));
  edges += await graph.setConversations({ user_ids, conversations, signal });
  await analytics.setWords({
    user_ids,
    profiles: profiles.map((profile) => profileWords(profile, { names, gap_ms })),
    conversations: engaged.map((one) => conversationWords(one, names)),
    signal,
  });
  return edges;
}

const DERIVED = ["profiles", "conversations"] as const;

interface UserTexts {
  /** Each with the messages that it is made of. */
  readonly profiles: readonly (Omit<UserRows, "events"> & { readonly profile: ProfileText })[];
  /** Conversations that show what to recommend. */
  readonly engaged: readonly Conversation[];
  /** What of both is to be embedded. */
  readonly items: readonly TextRow[];
  readonly messages: readonly Message[];
}

/** These users' messages, their profiles, as far as they said anything, and their conversations. */
export async function readTexts(
  { stores, gap_ms, log, signal }: Pick<DeriveOptions, "stores" | "gap_ms" | "log" | "signal">,
  user_ids: readonly string[],
): Promise<UserTexts> {
  const { documents, analytics } = stores;
  const { users: rows, cut } = await readUserRows({ documents, analytics, user_ids, signal });
  if (cut > 0) log?.(`${cut} users have more than ${MAX_USER_ROWS} messages or events: the newest count`);
  const users = rows.map((user) => textsOf(user, gap_ms));
  return {
    profiles: users.flatMap(({ user_id, messages, profile }) =>
      profile === null ? [] : [{ user_id, messages, profile }]
    ),
    engaged: users.flatMap(({ engaged }) => engaged),
    // A user's texts next to each other: they are often the same.
    items: users.flatMap(({ user_id, profile, engaged }) => [
      ...profileTexts(user_id, profile),
      ...engaged.map(conversationTexts),
    ]),
    messages: rows.flatMap(({ messages }) => messages),
  };
}

function textsOf(user: UserRows, gap_ms: number) {
  return {
    user_id: user.user_id,
    messages: user.messages,
    profile: profileTextOf(user),
    engaged: conversationsOf(user, { gap_ms }).filter(recommends),
  };
}
