import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { DocumentStore } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { RunStore } from "../stores/runs/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";

/** The roles in the order in which they are moved: the published row comes after what it names, the records of runs last. */
export const ROLES = ["documents", "vectors", "graph", "analytics", "runs"] as const;
export type Role = typeof ROLES[number];

export interface Stores {
  readonly documents: DocumentStore;
  readonly vectors: VectorStores;
  readonly graph: GraphStore;
  readonly analytics: AnalyticsStore;
  readonly runs: RunStore;
}

/** Rows that were copied, and where to continue after them; null where only the whole part can be repeated. */
export interface Copied {
  readonly rows: number;
  readonly after: string | null;
}

/** What is copied in one order: a table, a collection. Copying rows again changes nothing. */
export interface Part {
  readonly role: Role;
  readonly name: string;
  /** Copies what comes after `after`, and everything for null. */
  copy(options: { after: string | null; signal?: AbortSignal }): AsyncIterable<Copied>;
}
