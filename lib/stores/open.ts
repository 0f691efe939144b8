import { messageOf, ParleyError } from "../core/errors.ts";
import { FOLDER_MODE } from "../core/file_modes.ts";
import type { AnalyticsStore } from "./analytics/port.ts";
import type { ArtifactStore } from "./artifacts/port.ts";
import type { Cache } from "./cache/port.ts";
import type { DocumentStore } from "./documents/port.ts";
import type { GraphStore } from "./graph/port.ts";
import type { Migration } from "./engines/migration.ts";
import { parsePostgresUrl } from "./engines/postgres/url.ts";
import type { RunStore } from "./runs/port.ts";
import { fileAt, MEMORY } from "./engines/sqlite/file.ts";
import type { VectorStores } from "./vectors/port.ts";

/** How an embedded store is opened. Server adapters create what they need at their first call. */
export interface OpenOptions {
  /**
   * Whether a store that does not exist is created; else its calls are `unavailable`. Default true. `in_memory`: it reads as
   * an empty one, and nothing is written to disk.
   */
  readonly create?: boolean | "in_memory";
  /** Whether a write survives a power cut once it is answered, at the cost of waiting for the disk. Default false; servers do. */
  readonly durable?: boolean;
  /** How long epochs of users may miss a write of another process, in milliseconds. Default 0; servers are always asked. */
  readonly notice_ms?: number;
  /** A local folder for temporary files of artifacts that are elsewhere; registers need it. */
  readonly scratch?: string;
}

/** By the schemes of their URLs, with spaces between them. */
type Adapters<Store> = Readonly<Record<string, (url: URL, options: OpenOptions) => Promise<Store>>>;

const MONGODB = "mongodb mongodb+srv";
const MILVUS = "milvus milvuss https";
const NEO4J = "neo4j neo4j+s neo4j+ssc bolt bolt+s bolt+ssc";
const POSTGRES = "postgres postgresql";
const REDIS = "redis rediss";

/** Opens a store by the scheme of its URL. An adapter, with its SDK, loads only when its scheme is used. */
function opener<Store>(
  setting: string,
  adapters: Adapters<Store>,
): (url: URL, options?: OpenOptions) => Promise<Store> {
  return async (url, options = {}) => {
    for (const [schemes, open] of Object.entries(adapters)) {
      if (schemes.split(" ").includes(url.protocol.slice(0, -1))) return await open(url, options);
    }
    const known = Object.keys(adapters).join(" ").split(" ").map((scheme) => `${scheme}:`).join(", ");
    throw new ParleyError(
      "invalid",
      `${setting} has the scheme ${url.protocol}, which no adapter opens; known: ${known}`,
    );
  };
}

export const openDocuments = opener<DocumentStore>("PARLEY_DOCUMENTS", {
  sqlite: async (url, options) =>
    new (await import("./documents/sqlite/sqlite_documents.ts")).SqliteDocuments(fileOf(url, options)),
  [MONGODB]: async (url) =>
    new (await import("./documents/mongodb/mongo_documents.ts")).MongoDocuments({ url }),
  [POSTGRES]: async (url) =>
    new (await import("./documents/postgres/postgres_documents.ts")).PostgresDocuments({ url }),
});

export const openVectors = opener<VectorStores>("PARLEY_VECTORS", {
  sqlite: openSqliteVectors,
  [MILVUS]: async (url) =>
    new (await import("./vectors/milvus/milvus_vector_stores.ts")).MilvusVectorStores({ url }),
  [POSTGRES]: async (url) =>
    new (await import("./vectors/postgres/postgres_vector_stores.ts")).PostgresVectorStores({ url }),
});

export const openGraph = opener<GraphStore>("PARLEY_GRAPH", {
  sqlite: async (url, options) =>
    new (await import("./graph/sqlite/sqlite_graph.ts")).SqliteGraph(fileOf(url, options)),
  [NEO4J]: async (url) => new (await import("./graph/neo4j/neo4j_graph.ts")).Neo4jGraph({ url }),
  [POSTGRES]: async (url) => new (await import("./graph/postgres/postgres_graph.ts")).PostgresGraph({ url }),
});

export const openAnalytics = opener<AnalyticsStore>("PARLEY_ANALYTICS", {
  sqlite: async (url, options) =>
    new (await import("./analytics/sqlite/sqlite_analytics.ts")).SqliteAnalytics({
      ...fileOf(url, options),
      notice_ms: options.notice_ms ?? 0,
    }),
  [POSTGRES]: async (url) =>
    new (await import("./analytics/postgres/postgres_analytics.ts")).PostgresAnalytics({ url }),
});

export const openRuns = opener<RunStore>("PARLEY_RUNS", {
  sqlite: async (url, options) =>
    new (await import("./runs/sqlite/sqlite_runs.ts")).SqliteRuns(fileOf(url, options)),
  [POSTGRES]: async (url) => new (await import("./runs/postgres/postgres_runs.ts")).PostgresRuns({ url }),
});

export const openCache = opener<Cache>("PARLEY_CACHE", {
  memory: async (url) =>
    new (await import("./cache/memory/memory_cache.ts")).MemoryCache({ max_bytes: megabytes(url.pathname) }),
  [REDIS]: async (url) => new (await import("./cache/redis/redis_cache.ts")).RedisCache({ url }),
});

export const openArtifacts = opener<ArtifactStore>("PARLEY_ARTIFACTS", {
  file: async (url) =>
    new (await import("./artifacts/files/file_artifacts.ts")).FileArtifacts({ dir: pathOf(url) }),
  s3: async (url, { scratch }) =>
    new (await import("./artifacts/s3/s3_artifacts.ts")).S3Artifacts({ url, scratch }),
});

/**
 * Removes all of Parley's data from a server, by role; other data there stays. Embedded stores are files, see
 * {@link filesOf}, and a cache in memory ends with its process.
 */
export const clearServer = {
  documents: opener<void>("PARLEY_DOCUMENTS", {
    [MONGODB]: async (url) => (await import("./documents/mongodb/mongo_documents.ts")).clearMongo({ url }),
    [POSTGRES]: clearTables(
      "documents",
      async () => (await import("./documents/schema.ts")).DOCUMENT_MIGRATIONS,
    ),
  }),
  vectors: opener<void>("PARLEY_VECTORS", {
    [MILVUS]: async (url) => (await import("./vectors/milvus/milvus_vector_stores.ts")).clearMilvus({ url }),
    [POSTGRES]: async (url) =>
      (await import("./vectors/postgres/postgres_vector_stores.ts")).clearPostgresVectors({ url }),
  }),
  graph: opener<void>("PARLEY_GRAPH", {
    [NEO4J]: async (url) => (await import("./graph/neo4j/neo4j_graph.ts")).clearNeo4j({ url }),
    [POSTGRES]: clearTables("graph", async () => (await import("./graph/schema.ts")).GRAPH_MIGRATIONS),
  }),
  analytics: opener<void>("PARLEY_ANALYTICS", {
    [POSTGRES]: clearTables(
      "analytics",
      async () => (await import("./analytics/schema.ts")).ANALYTICS_MIGRATIONS,
    ),
  }),
  runs: opener<void>("PARLEY_RUNS", {
    [POSTGRES]: clearTables("runs", async () => (await import("./runs/schema.ts")).RUN_MIGRATIONS),
  }),
  cache: opener<void>("PARLEY_CACHE", { [REDIS]: clearRedis }),
};

function clearTables(store: string, loadMigrations: () => Promise<readonly Migration[]>) {
  return async (url: URL): Promise<void> => {
    const { clearPostgres } = await import("./engines/postgres/clear.ts");
    await clearPostgres({ url, store, migrations: await loadMigrations() });
  };
}

async function clearRedis(url: URL): Promise<void> {
  const cache = new (await import("./cache/redis/redis_cache.ts")).RedisCache({ url });
  try {
    await cache.clear();
  } finally {
    await cache.close();
  }
}

/** `sqlite:/data/vectors.db` is the folder `/data/vectors`, with a file in it for each model. */
async function openSqliteVectors(url: URL, options: OpenOptions): Promise<VectorStores> {
  const { path: database, create } = options.create === "in_memory"
    ? { path: decodeURIComponent(url.pathname), create: true }
    : fileOf(url, options);
  const folder = vectorFolder(database);
  const { SqliteVectorStores } = await import("./vectors/sqlite/sqlite_vector_stores.ts");
  if (folder === database) return new SqliteVectorStores(folder, { create });
  const { migrateLegacyLayout } = await import("./vectors/sqlite/migrate_legacy_layout.ts");
  const indexes = database.replace(/[^/]+$/, "indexes");
  return new SqliteVectorStores(folder, {
    create,
    migrate: () => migrateLegacyLayout({ database, indexes, folder }),
  });
}

/** Whether one of these stores is embedded and has files. At a place that this process may not read, it can have written none. */
export function hasFiles(urls: readonly URL[]): boolean {
  return urls.some((url) => {
    const files = filesOf(url);
    return files !== null && [files.database, files.folder].some((path) => exists(path, { denied: false }));
  });
}

/** True also if this user has no permission to read it, and if Deno grants none, as `denied` says. */
function exists(path: string, { denied = true } = {}): boolean {
  try {
    return (fileAt(path)?.bytes ?? 0) > 0;
  } catch (error) {
    if (error instanceof ParleyError) return error.code !== "denied" || denied;
    throw error;
  }
}

/** The files of an embedded store. `folder` is used by vectors alone: it has a database for each model. */
interface StoreFiles {
  readonly database: string;
  readonly folder: string;
}

/** The files of an embedded store; null for a server. */
export function filesOf(url: URL): StoreFiles | null {
  if (url.protocol !== "sqlite:") return null;
  const database = decodeURIComponent(url.pathname);
  return { database, folder: vectorFolder(database) };
}

/** The URL of vectors; of embedded ones, with the folder of their files. */
export function vectorUrl(url: URL): URL {
  if (url.protocol !== "sqlite:") return url;
  const folder = new URL(url);
  folder.pathname = vectorFolder(url.pathname);
  return folder;
}

function vectorFolder(database: string): string {
  return database.replace(/\.db$/, "");
}

interface EmbeddedOptions {
  readonly path: string;
  readonly create: boolean;
  readonly synchronous: "FULL" | "NORMAL";
}

/** The file of a local URL; its folder is created if the file may be. */
function fileOf(url: URL, { create = true, durable = false }: OpenOptions): EmbeddedOptions {
  const synchronous = durable ? "FULL" : "NORMAL";
  if (create === "in_memory") {
    const path = decodeURIComponent(url.pathname);
    return { path: exists(path) ? path : MEMORY, create: true, synchronous };
  }
  return { path: create ? pathOf(url) : decodeURIComponent(url.pathname), create, synchronous };
}

/** The path of a local URL; its folder is created. */
function pathOf(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  const folder = path.replace(/\/[^/]*$/, "");
  try {
    Deno.mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw cannotCreate(folder, error);
    throw new ParleyError(
      "denied",
      `no permission to write ${folder}: the tasks in deno.json may write .parley only; ` + (
        folder.includes(",")
          ? "for another place take a folder without a comma in its path, as --allow-write ends a path there"
          : `for another place run the task's line with --allow-write=${folder}`
      ),
    );
  }
  return path;
}

function cannotCreate(folder: string, cause: unknown): ParleyError {
  return new ParleyError("unavailable", `the folder ${folder} cannot be created (${messageOf(cause)})`, {
    cause,
  });
}

function megabytes(text: string): number {
  const [, size] = /^(\d+)mb$/.exec(text) ?? [];
  if (size === undefined) {
    throw new ParleyError("invalid", "PARLEY_CACHE has no valid size; write memory:64mb");
  }
  return Number(size) * 1_048_576;
}

/**
 * Names a table of a store by OpenLineage's naming rules: the namespace is the store's address without credentials,
 * the name is database and table, in PostgreSQL with the schema between them.
 */
export function datasetName(url: URL, table: string): { namespace: string; name: string } {
  if (url.host === "") return { namespace: "file", name: `${decodeURIComponent(url.pathname)}/${table}` };
  if (/^postgres(ql)?:$/.test(url.protocol)) {
    const { host, port, database, schema } = parsePostgresUrl(url);
    return { namespace: `postgres://${host}:${port}`, name: `${database}.${schema}.${table}` };
  }
  if (url.protocol === "s3:") {
    return {
      namespace: `s3://${url.host}`,
      name: decodeURIComponent(`${url.pathname}/${table}`).replace(/^\/+/, ""),
    };
  }
  const database = url.pathname.replace(/^\//, "");
  return {
    namespace: `${url.protocol}//${url.host}`,
    name: database === "" ? table : `${database}.${table}`,
  };
}
