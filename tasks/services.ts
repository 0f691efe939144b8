import type { Clock } from "../lib/core/clock.ts";
import type { Artifact } from "../lib/core/types.ts";
import type { Dataset, DatasetUse } from "../lib/dag/types.ts";
import type { Embedder } from "../lib/embed/port.ts";
import type { ExportFolder } from "../lib/exports/export_folder.ts";
import type { Catalogue } from "../lib/intents/catalogue.ts";
import type { Recommender } from "../lib/recommend/recommender.ts";
import type { AnalyticsStore } from "../lib/stores/analytics/port.ts";
import type { ArtifactStore } from "../lib/stores/artifacts/port.ts";
import type { DocumentStore } from "../lib/stores/documents/port.ts";
import type { GraphStore } from "../lib/stores/graph/port.ts";
import type { RunStore } from "../lib/stores/runs/port.ts";
import type { VectorStores } from "../lib/stores/vectors/port.ts";

/** What the steps of a dag work with: ports, never adapters. */
export interface Services {
  readonly documents: DocumentStore;
  readonly analytics: AnalyticsStore;
  readonly vectors: VectorStores;
  readonly graph: GraphStore;
  readonly artifacts: ArtifactStore;
  /** Answers as the API gives them, in whatever time they take. */
  readonly recommender: Pick<Recommender, "explain">;
  readonly exports: ExportFolder;
  /** What ids of answers are signed with. */
  readonly secret: () => Promise<Uint8Array>;
  /** What earlier runs came to, and texts in their records. */
  readonly runs: Pick<
    RunStore,
    | "history"
    | "outputs"
    | "runs"
    | "snapshot"
    | "findTexts"
    | "replaceTexts"
    | "pruneAuditEntries"
    | "compact"
  >;
  /**
   * The embedding model that a run's param names, or the one that is configured; opened once, loaded at its first text.
   * `onNote` gets what the operator should read of that.
   */
  embedder(name?: string, onNote?: (line: string) => void): Promise<Embedder>;
  /** The catalogue of intents for data from these sources (URIs); null without one. */
  catalogue(options: { sources: readonly string[] }): Promise<Catalogue | null>;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
  /** Secrets of the user's own dags, by the name that a dag declares. */
  readonly dag_secrets: Readonly<Record<string, string>>;
  readonly settings: Settings;
  /** A table of a store, as lineage names it. */
  dataset(store: "documents" | "analytics" | "vectors" | "graph", table: string): Dataset;
  /** An artifact, as lineage names it, with its rows, bytes and hash. */
  artifact(artifact: Artifact): DatasetUse;
}

export interface Settings {
  /** The name of the configured embedding model, as the param `model` takes it. */
  readonly model: string;
  /** What becomes of texts that are longer than the model reads. */
  readonly embed_long: string;
  /** Folder in which links are not followed, as others may put files there; null for none. */
  readonly inbox: string | null;
  /** The most that is read of one source. */
  readonly max_source_bytes: number;
  /** Share (0..1) of a run's rows that may be refused before the run fails. */
  readonly max_bad_share: number;
  /** Epoch milliseconds before which no message or event is taken. */
  readonly earliest: number;
  /** Minutes of silence after which a user's next message begins another conversation, if messages name none. */
  readonly conversation_gap_minutes: number;
  /** Days after which an event counts half for popularity. */
  readonly half_life_days: number;
  /** Whether runs learn the weights of sources. */
  readonly weights: "learnt" | "fixed";
  /** What becomes of campaigns that are in no source any more. */
  readonly missing_campaigns: "keep" | "end";
  /** Days that artifacts and refused rows are kept. */
  readonly retention_days: number;
}
