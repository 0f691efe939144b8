import { iso } from "../core/clock.ts";
import type { Abortable } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { DocumentStore } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { VectorStore } from "../stores/vectors/port.ts";
import type { Anomaly } from "./anomaly.ts";

/** Something about the data that a person should know. `critical` keeps a version from being published. */
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

/** Holds the stores against each other and against what every row must be. Reads only. */
export async function checkData(stores: CheckedStores, { signal }: Abortable = {}): Promise<Finding[]> {
  const [documents, analytics, vectors, graph, faults] = await Promise.all([
    stores.documents.counts({ signal }),
    stores.analytics.counts({ signal }),
    stores.vectors.counts({ signal }),
    stores.graph.counts({ signal }),
    stores.vectors.faults({ limit: 10, signal }),
  ]);
  return [
    agreement("messages_without_vectors", "messages", documents.messages, vectors.messages, REEMBED),
    agreement("campaigns_without_vectors", "campaigns", analytics.campaigns, vectors.campaigns, REEMBED),
    agreement("campaigns_not_in_graph", "campaigns", analytics.campaigns, graph.campaigns),
    faulty(faults),
    profiles(documents.users, vectors.profiles),
  ].filter((finding) => finding !== null);
}

/** The store that each finding is about: the one that lacks what another has. */
const STORE: Readonly<Record<string, string>> = {
  messages_without_vectors: "vectors",
  campaigns_without_vectors: "vectors",
  campaigns_not_in_graph: "graph",
  faulty_vectors: "vectors",
  profiles_without_users: "vectors",
};

/** Whether {@link checkAnomalies} would find this again, were it still so. */
export function isCompared({ code }: Pick<Anomaly, "code">): boolean {
  return code in STORE;
}

/** {@link checkData} as anomalies, found at `now`. */
export async function checkAnomalies(
  stores: CheckedStores,
  now: number,
  o: Abortable = {},
): Promise<Anomaly[]> {
  return (await checkData(stores, o)).map((finding) => ({
    ...finding,
    subject: { kind: "store", store: STORE[finding.code] ?? "vectors" },
    unit: "rows",
    since: iso(now),
    run_id: null,
  }));
}

/** What else there is to do where sources are gone. */
const REEMBED = ", or `pipeline run reembed` by the model that is published, which embeds what is stored";

function agreement(
  code: string,
  noun: string,
  expected: number,
  figure: number,
  or = "",
): Finding | null {
  if (figure === expected) return null;
  const text = `${expected} ${noun} are stored and ${figure} have arrived downstream; ` +
    `run the pipeline again with all sources${figure < expected ? or : ""}`;
  return { code, severity: "critical", figure, expected, text };
}

function faulty(ids: readonly string[]): Finding | null {
  if (ids.length === 0) return null;
  const text = `vectors are not unit vectors of the model's dimension, such as ${
    ids[0]
  }; embed these rows again`;
  return { code: "faulty_vectors", severity: "critical", figure: ids.length, expected: 0, text };
}

function profiles(users: number, figure: number): Finding | null {
  if (figure <= users) return null;
  const text =
    `there are ${figure} profiles for ${users} users with messages; profiles of erased users are left over`;
  return { code: "profiles_without_users", severity: "warning", figure, expected: users, text };
}
