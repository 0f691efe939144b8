import { iso } from "../core/clock.ts";
import { batches, paged } from "../core/batches.ts";
import { counted } from "../core/text.ts";
import type { Abortable, DirtyUser, Message } from "../core/types.ts";
import { campaignsSincePublished } from "../recommend/catalogue_epoch.ts";
import type { AnalyticsStore, UnknownCampaigns } from "../stores/analytics/port.ts";
import type { DocumentStore } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { VectorStore } from "../stores/vectors/port.ts";
import type { StoreComparison } from "../monitoring/anomalies.ts";
import type { Anomaly } from "../monitoring/anomaly.ts";

/**
 * Something about the data that a person should know. `critical`: answers made from this version would be wrong, so it is
 * not published.
 */
export interface Finding {
  readonly code: string;
  readonly severity: "critical" | "warning";
  readonly figure: number;
  readonly expected: number;
  /** What is wrong and what to do, in one sentence. */
  readonly text: string;
}

export interface CheckedStores {
  readonly documents: DocumentStore;
  readonly analytics: AnalyticsStore;
  readonly vectors: VectorStore;
  readonly graph: GraphStore;
}

/** Unknown campaigns that a finding names. */
const EXAMPLES = 3;

/** Holds the stores against each other and against what every row must be. Changes no row. */
export async function checkData(stores: CheckedStores, { signal }: Abortable = {}): Promise<Finding[]> {
  const [documents, analytics, vectors, graph, unknown, faults] = await Promise.all([
    stores.documents.counts({ signal }),
    stores.analytics.counts({ signal }),
    stores.vectors.counts({ signal }),
    stores.graph.counts({ signal }),
    stores.analytics.unknownCampaigns({ limit: EXAMPLES, signal }),
    stores.vectors.faults({ limit: 10, signal }),
  ]);
  return [
    await messagesWithoutVectors(stores, documents.messages, vectors.messages, { signal }),
    await campaignsWithoutVectors(stores, analytics.campaigns, vectors.campaigns, { signal }),
    orphaned("vectors_without_messages", "messages", documents.messages, vectors.messages),
    orphaned("vectors_without_campaigns", "campaigns", analytics.campaigns, vectors.campaigns),
    notInGraph(analytics.campaigns, graph.campaigns),
    unknownCampaigns(unknown),
    faulty(faults),
    profiles(documents.users, vectors.profiles),
  ].filter((finding) => finding !== null);
}

/**
 * What is written online is derived soon after, or by the next run: messages of dirty users do not count. Vectors are counted once
 * more after those, since one may have been written in between.
 */
async function messagesWithoutVectors(
  stores: Pick<CheckedStores, "documents" | "vectors">,
  stored: number,
  embedded: number,
  { signal }: Abortable,
): Promise<Finding | null> {
  if (embedded >= stored) return null;
  const pending = await countPendingMessages(stores, { signal });
  const { messages } = await stores.vectors.counts({ signal });
  return lacking("messages_without_vectors", "messages", stored - pending, messages);
}

/** As for messages: campaigns do not count that were written since the published version was built. */
async function campaignsWithoutVectors(
  { analytics, vectors }: Pick<CheckedStores, "analytics" | "vectors">,
  stored: number,
  embedded: number,
  { signal }: Abortable,
): Promise<Finding | null> {
  if (embedded >= stored) return null;
  const changed = await campaignsSincePublished(analytics, { signal });
  let pending = changed.length;
  for await (const ids of batches(changed, 500)) {
    pending -= (await vectors.hashes({ collection: "campaigns", ids, signal })).size;
  }
  const { campaigns } = await vectors.counts({ signal });
  return lacking("campaigns_without_vectors", "campaigns", stored - pending, campaigns);
}

/** Users whose messages are read at a time. */
const USERS = 200;

/** Messages of dirty users that have no vector yet. */
async function countPendingMessages(
  { documents, vectors }: Pick<CheckedStores, "documents" | "vectors">,
  { signal }: Abortable,
): Promise<number> {
  let pending = 0;
  const dirty = paged<DirtyUser>(
    USERS,
    ({ user_id }) => user_id,
    (after, limit) => documents.listDirtyUsers({ after, limit, signal }),
  );
  for await (const users of batches(dirty, USERS)) {
    const user_ids = users.map(({ user_id }) => user_id);
    const page = (after: string | null, limit: number) => documents.page({ after, limit, user_ids, signal });
    const messages = paged<Message>(500, ({ message_id }) => message_id, page);
    for await (const some of batches(messages, 500)) {
      const ids = some.map(({ message_id }) => message_id);
      pending += ids.length - (await vectors.hashes({ collection: "messages", ids, signal })).size;
    }
  }
  return pending;
}

/** The store that each finding is about: the one that lacks what another has, or has what another lacks. */
const STORE: Readonly<Record<string, string>> = {
  messages_without_vectors: "vectors",
  campaigns_without_vectors: "vectors",
  vectors_without_messages: "vectors",
  vectors_without_campaigns: "vectors",
  campaigns_not_in_graph: "graph",
  events_of_unknown_campaigns: "analytics",
  faulty_vectors: "vectors",
  profiles_without_users: "vectors",
};

/** Whether {@link checkAnomalies} would find this again, were it still so. */
export function isCompared({ code }: Pick<Anomaly, "code">): boolean {
  return code in STORE;
}

/** {@link checkAnomalies} of these stores, for the detection of anomalies. */
export function compareStores(stores: CheckedStores): StoreComparison {
  return { find: (now) => checkAnomalies(stores, now), finds: isCompared };
}

/** {@link checkData} as anomalies, found at `now`. */
export async function checkAnomalies(
  stores: CheckedStores,
  now: number,
  options: Abortable = {},
): Promise<Anomaly[]> {
  return (await checkData(stores, options)).map((finding) => ({
    ...finding,
    subject: { kind: "store", store: STORE[finding.code] ?? "vectors" },
    unit: "rows",
    since: iso(now),
    run_id: null,
  }));
}

/** It works on what is stored, whatever has become of the sources. */
const REEMBED = "`deno task pipeline run reembed`";
/** It derives all users again, too. */
const READ_ALL = "`deno task pipeline --all`";

function lacking(code: string, noun: string, expected: number, figure: number): Finding | null {
  if (figure >= expected) return null;
  const text = `${expected} ${noun} are stored and ${figure} have vectors; ${REEMBED} embeds the others`;
  return { code, severity: "critical", figure, expected, text };
}

/** An answer shows what is in the catalogue alone, and what a user said stays said, so answers are right. */
function orphaned(code: string, noun: string, expected: number, figure: number): Finding | null {
  if (figure <= expected) return null;
  const text =
    `${figure} ${noun} have vectors and ${expected} are stored; ${READ_ALL} stores the others again if the ` +
    "sources have them, or restore a backup";
  return { code, severity: "warning", figure, expected, text };
}

/** The graph is not part of a version: what is missing from it is missing from today's answers too. */
function notInGraph(expected: number, figure: number): Finding | null {
  if (figure === expected) return null;
  const text = `${expected} campaigns are stored and ${figure} are in the graph; ` +
    (figure < expected ? `${READ_ALL} sets the others` : "those that are left over are never shown");
  return { code: "campaigns_not_in_graph", severity: "warning", figure, expected, text };
}

function unknownCampaigns({ events, campaigns, examples }: UnknownCampaigns): Finding | null {
  if (events === 0) return null;
  const more = campaigns > examples.length ? ` and ${campaigns - examples.length} more` : "";
  const text =
    `${counted(events, "event")} of campaigns that are not known: ${
      examples.join(", ")
    }${more}; an event counts as soon as ` +
    "its campaign arrives: look whether the source of campaigns is whole (PARLEY_CAMPAIGNS)";
  return { code: "events_of_unknown_campaigns", severity: "warning", figure: events, expected: 0, text };
}

function faulty(ids: readonly string[]): Finding | null {
  if (ids.length === 0) return null;
  const text = `vectors are not unit vectors of the model's dimension, such as that of ${
    ids[0]
  }; ${REEMBED} replaces them`;
  return { code: "faulty_vectors", severity: "critical", figure: ids.length, expected: 0, text };
}

function profiles(users: number, figure: number): Finding | null {
  if (figure <= users) return null;
  const text =
    `there are ${figure} profiles for ${users} users with messages; profiles of erased users are left over`;
  return { code: "profiles_without_users", severity: "warning", figure, expected: users, text };
}
