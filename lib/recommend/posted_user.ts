import { type Message, parseModelKey } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { DocumentStore } from "../stores/documents/port.ts";
import type { PostedRequest } from "./answer.ts";
import type { UserRows } from "./conversations.ts";
import type { KnownUser } from "./known_user.ts";
import { CampaignNames } from "./mentions.ts";
import { negationsOf } from "./negations.ts";
import { readUser, readUserAnalytics, type RecommendOptions } from "./recommend.ts";
import type { RequestTrace } from "./request_trace.ts";
import type { TextVectors } from "./text_vectors.ts";
import { type UserMeans, userOfRows } from "./user_of_rows.ts";
import { readUserRows } from "./user_rows.ts";

/** Gives messages an intent as the pipeline does. */
export interface MessageClassifier {
  /**
   * The intent of a message by its vector of the published model, null if it fits none; null instead of the function if no intents
   * were learnt. Throws `unavailable` if those that were learnt cannot be used.
   */
  labeller(): Promise<((vector: Float32Array) => string | null) | null>;
}

/** The stores that posted rows are put together with. */
export interface PostedStores {
  readonly documents: Pick<DocumentStore, "page" | "classifications">;
  readonly analytics: Pick<AnalyticsStore, "campaigns" | "eventsOf" | "optedOut">;
}

interface PostedOptions extends RecommendOptions, Pick<PostedRequest, "messages" | "events"> {
  readonly stores: RecommendOptions["stores"] & PostedStores;
  /** Null without a model. */
  readonly vectors: TextVectors | null;
  /** Null without a model. */
  readonly classifier: MessageClassifier | null;
  /** Null if they are not in memory yet. */
  readonly names: CampaignNames | null;
  /** Milliseconds of silence after which a conversation is over. */
  readonly gap_ms: number;
}

interface StoredUserOptions {
  readonly user_id: string;
  readonly stores: PostedStores;
  readonly trace: RequestTrace;
}

/** The share of the time for an answer after which no more messages are classified: the next request continues. */
const CLASSIFY_SHARE = 0.16;

/** The owner of rows that belong to no stored user. */
export const NO_USER = "anonymous";
const NO_NAMES = new CampaignNames([]);

/**
 * What is known of a conversation that is posted: by {@link userOfRows}, of the posted rows alone, or of the stored rows of a user and the
 * posted ones. A user who opted out of personalisation gets none from posted rows either. What fails is left out and is in the trace.
 */
export async function readPostedUser(options: PostedOptions): Promise<KnownUser> {
  const { user_id } = options;
  if (user_id !== null && await isOptedOut({ ...options, user_id })) {
    return await readUser({ ...options, user_id });
  }
  const stored = user_id === null ? null : await readStoredRows({ ...options, user_id });
  const rows = withPosted(stored, options);
  const texts = new Map(rows.messages.map(({ message_id, message }) => [message_id, message]));
  const same = stored?.messages.filter((row) => texts.get(row.message_id) === row.message) ?? [];
  const means = meansOf(options, new Set(same.map((row) => row.message_id)));
  const user = await userOfRows(rows, means);
  if (user_id === null || (stored !== null && options.names !== null)) return user;
  // What cannot be read of the rows is known as it was derived last.
  const derived = await readUserAnalytics({ ...options, user_id });
  return {
    ...user,
    named: [...new Set([...derived.named, ...user.named])],
    negations: negationsOf(rows, means, derived.negations),
    final: stored === null ? [...derived.final, ...user.final] : user.final,
  };
}

/** The rows of a user that are stored, derived or not; null if they cannot be read, or the user opted out of personalisation. */
export async function readPendingRows(options: StoredUserOptions): Promise<UserRows | null> {
  return await isOptedOut(options) ? null : await readStoredRows(options);
}

async function isOptedOut({ user_id, trace, stores: { analytics } }: StoredUserOptions): Promise<boolean> {
  const optedOut = await trace.callStore(
    "analytics",
    [],
    (signal) => analytics.optedOut({ user_ids: [user_id], signal }),
  );
  return optedOut.length > 0;
}

/** The user's rows; null if a store does not respond. */
async function readStoredRows(options: StoredUserOptions): Promise<UserRows | null> {
  const { user_id, trace, stores: { analytics, documents } } = options;
  const { users: [stored] } = await trace.callTimed(
    "documents",
    { users: [] as UserRows[] },
    (signal) => readUserRows({ documents, analytics, user_ids: [user_id], signal }),
  );
  return stored ?? null;
}

/** Posted rows take the place of stored ones with the same id. */
function withPosted(stored: UserRows | null, { user_id, messages, events }: PostedOptions): UserRows {
  const owner = user_id ?? NO_USER;
  const byId = <Row>(key: (row: Row) => string, ...lists: (readonly Row[])[]) => [
    ...new Map(lists.flat().map((row) => [key(row), row])).values(),
  ];
  return {
    user_id: owner,
    messages: byId((row) => row.message_id, stored?.messages ?? [], messages),
    events: byId((row) => row.event_id, stored?.events ?? [], events),
  };
}

function meansOf(options: PostedOptions, stored_ids: ReadonlySet<string>): UserMeans {
  const { trace, names, gap_ms, stores: { analytics } } = options;
  if (names === null) trace.markIncomplete("analytics", "the names of campaigns have not been read yet");
  return {
    names: names ?? NO_NAMES,
    gap_ms,
    embed: async (text) => (await embed(options, [text]))[0]!,
    classify: (messages) => classify(options, stored_ids, messages),
    repurchaseDays: async (campaign_ids) => {
      const read = (signal: AbortSignal) => analytics.campaigns({ campaign_ids, signal });
      const campaigns = await trace.callTimed("analytics", [], read);
      return new Map(
        campaigns.flatMap(({ campaign_id, repurchase_days: days }) =>
          days === null ? [] : [[campaign_id, days]]
        ),
      );
    },
  };
}

/** The vectors of texts; null for all, and in the trace, if there is no model or it does not respond in time. */
async function embed(
  options: PostedOptions,
  texts: readonly string[],
  hasTime?: () => boolean,
): Promise<(Float32Array | null)[]> {
  const { trace, vectors, published: { model } } = options;
  const none = texts.map(() => null);
  if (vectors === null) {
    trace.markMissing("embeddings", "this process has no embedding model");
    return none;
  }
  const stored = (hashes: readonly string[]) => storedVectors(options, hashes);
  const more = hasTime === undefined ? {} : { hasTime };
  return await trace.callTimed(
    "embeddings",
    none,
    (signal) => vectors.of({ texts, model, stored, signal, ...more }),
  );
}

/** What users say is embedded alike in messages and profiles. */
async function storedVectors(
  { trace, stores, published }: PostedOptions,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, Float32Array>> {
  const collections = ["messages", "profiles"] as const;
  const found = await trace.callStore("vectors", [], async (signal) => {
    const store = await stores.vectors.forModel({ model: parseModelKey(published.model), signal });
    return await Promise.all(collections.map((collection) => store.byHash({ collection, hashes, signal })));
  });
  return new Map(found.flatMap((vectors) => [...vectors]));
}

/** Of stored messages the intent that they were given; posted ones are classified, the newest first, as far as there is a model. */
async function classify(
  options: PostedOptions,
  stored_ids: ReadonlySet<string>,
  messages: readonly Message[],
): Promise<ReadonlyMap<string, string>> {
  const { trace, classifier, stores: { documents } } = options;
  const intents = new Map<string, string>();
  const message_ids = messages.map((row) => row.message_id).filter((id) => stored_ids.has(id));
  if (message_ids.length > 0) {
    const read = (signal: AbortSignal) => documents.classifications({ message_ids, signal });
    for (const { message_id, intent } of await trace.callStore("documents", [], read)) {
      if (intent !== null) intents.set(message_id, intent);
    }
  }
  const posted = messages.filter((row) => !stored_ids.has(row.message_id)).toReversed();
  if (posted.length === 0 || classifier === null) return intents;
  const label = await trace.callStore("embeddings", null, () => classifier.labeller());
  if (label === null) return intents;
  const hasTime = () => trace.hasTime(CLASSIFY_SHARE);
  const made = await embed(options, posted.map(({ message }) => message), hasTime);
  if (made.includes(null)) trace.markMissing("embeddings", "there was no time to classify all messages");
  for (const [i, { message_id }] of posted.entries()) {
    const intent = made[i] ? label(made[i]) : null;
    if (intent !== null) intents.set(message_id, intent);
  }
  return intents;
}
