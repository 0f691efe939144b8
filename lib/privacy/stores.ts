import { paged } from "../core/batches.ts";
import type { Abortable, ModelIdentity } from "../core/types.ts";
import type { ExportFolder } from "../exports/export_folder.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { ArtifactStore } from "../stores/artifacts/port.ts";
import type { Cache } from "../stores/cache/port.ts";
import type { DocumentStore } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { RunStore } from "../stores/runs/port.ts";
import type { TombstoneStore } from "../stores/tombstones/port.ts";
import type { VectorStore, VectorStores } from "../stores/vectors/port.ts";

export interface UserStores {
  readonly documents: DocumentStore;
  readonly analytics: AnalyticsStore;
  readonly graph: GraphStore;
  readonly vectors: VectorStores;
}

/** Also those with copies of rows: what tasks left for each other, files of answers, and the records of runs. */
export interface AllStores extends UserStores {
  readonly artifacts: Pick<ArtifactStore, "findLines">;
  readonly exports: Pick<ExportFolder, "linesOf">;
  readonly runs: Pick<RunStore, "findTexts">;
}

export interface ErasingStores extends UserStores {
  readonly cache: Pick<Cache, "set">;
}

/** Rows that are read at a time. */
const PAGE = 500;

/** A store with tombstones of its own. */
export interface TombstonedStore {
  readonly name: string;
  readonly tombstones: TombstoneStore;
  /** Each user with rows in it, at least once. Reads all rows. */
  users(options: Abortable): AsyncIterable<string>;
}

/** All stores with tombstones; of vectors those of each model. `log` gets a line about a model that cannot be read. */
export async function tombstonedStores(
  { documents, analytics, graph, vectors }: UserStores,
  { log, signal }: { log: (line: string) => void } & Abortable,
): Promise<TombstonedStore[]> {
  const models: TombstonedStore[] = [];
  for (const model of await vectors.models({ log, signal })) {
    models.push(await vectorsOf(vectors, model, signal));
  }
  return [
    {
      name: "documents",
      tombstones: documents.tombstones,
      users: (options) => usersOfDocuments(documents, options),
    },
    { name: "graph", tombstones: graph.tombstones, users: (options) => usersOfGraph(graph, options) },
    ...models,
    {
      name: "analytics",
      tombstones: analytics.tombstones,
      users: (options) => usersOfAnalytics(analytics, options),
    },
  ];
}

async function vectorsOf(
  vectors: VectorStores,
  model: ModelIdentity,
  signal: AbortSignal | undefined,
): Promise<TombstonedStore> {
  const { tombstones } = await vectors.forModel({ model, signal });
  return {
    name: `vectors of ${model.name}`,
    tombstones,
    users: async function* (options) {
      yield* usersOfVectors(await vectors.forModel({ model, ...options }), options);
    },
  };
}

async function* usersOfDocuments(documents: DocumentStore, options: Abortable): AsyncGenerator<string> {
  const page = (after: string | null, limit: number) => documents.page({ after, limit, ...options });
  for await (const { user_id } of paged(PAGE, ({ message_id }) => message_id, page)) yield user_id;
}

async function* usersOfGraph(graph: GraphStore, options: Abortable): AsyncGenerator<string> {
  for (const type of ["expressed", "engaged", "led_to"] as const) {
    for await (const { user_id } of graph.edges({ type, ...options })) yield user_id;
  }
}

async function* usersOfVectors(store: VectorStore, options: Abortable): AsyncGenerator<string> {
  for (const collection of ["messages", "profiles", "conversations"] as const) {
    const page = (after: string | null, limit: number) =>
      store.page({ collection, after, limit, ...options });
    for await (const { user_id } of paged(PAGE, ({ id }) => id, page)) if (user_id !== null) yield user_id;
  }
}

/** The tables of analytics whose rows may be of users without events. */
const TABLES_OF_USERS = ["profile_words", "conversation_words", "opted_out"];

async function* usersOfAnalytics(analytics: AnalyticsStore, options: Abortable): AsyncGenerator<string> {
  const page = (after: string | null, limit: number) => analytics.users({ after, limit, ...options });
  yield* paged(PAGE, (user_id) => user_id, page);
  for (const table of TABLES_OF_USERS) {
    for await (const { rows } of analytics.tables.read({ table, after: null, ...options })) {
      for (const { user_id } of rows) yield String(user_id);
    }
  }
}
