import type { PostgresOptions } from "../../engines/postgres/postgres.ts";

const MIGRATIONS = [
  // A row has another `seq` after it was deleted and inserted again. `vector_hash` is as in `vectorHash`.
  `
  CREATE TABLE vector_models (
    model TEXT COLLATE "C" PRIMARY KEY,
    name TEXT NOT NULL,
    revision TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    pooling TEXT NOT NULL
  );

  CREATE TABLE vectors (
    model TEXT COLLATE "C" NOT NULL REFERENCES vector_models ON DELETE CASCADE,
    collection TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C",
    role TEXT COLLATE "C" NOT NULL,
    timestamp TEXT COLLATE "C",
    content_hash TEXT COLLATE "C" NOT NULL,
    vector_hash BIGINT NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    vector vector NOT NULL,
    PRIMARY KEY (model, collection, id) INCLUDE (seq)
  );
  CREATE INDEX vectors_by_hash ON vectors (model, collection, content_hash);
  CREATE INDEX vectors_by_user ON vectors (model, collection, user_id);

  CREATE TABLE vector_builds (
    model TEXT COLLATE "C" NOT NULL REFERENCES vector_models,
    collection TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    build BIGINT NOT NULL UNIQUE,
    entries BIGINT NOT NULL,
    indexed BOOLEAN NOT NULL,
    PRIMARY KEY (model, collection, version)
  );
  CREATE SEQUENCE vector_build_numbers
  `,
  `
  CREATE TABLE vector_tombstones (
    model TEXT COLLATE "C" NOT NULL REFERENCES vector_models ON DELETE CASCADE,
    user_hash TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (model, user_hash)
  )
  `,
];

/**
 * Settings of each connection.
 *
 * `ef_search`: how many candidates a search of a graph keeps. The recall@10 of 100,000 vectors of 384 dimensions is .94 at
 * pgvector's 40, and .995 to .999 at 100, by the build; in graphs that were built with 64 candidates instead of 100 it is .975.
 *
 * `iterative_scan`: a search of a graph continues until it has as many entries as were asked for. Else it finds `ef_search` at
 * most, less those that were deleted since the last vacuum. Strict, because candidates are cut off by their order.
 *
 * `plan_cache_mode`: a plan for any limit assumes a tenth of all rows, for which a scan and a sort are cheaper than a graph.
 */
const SETTINGS = `SET hnsw.ef_search = 100; SET hnsw.iterative_scan = strict_order;
  SET plan_cache_mode = force_custom_plan`;

/** Tables of the vectors of all models. Builds add tables of their own, see `builds.ts`. */
export const VECTORS = {
  store: "vectors",
  migrations: MIGRATIONS,
  // 0.8 is the first with iterative scans.
  extension: { name: "vector", project: "pgvector", min_version: "0.8.0" },
  settings: SETTINGS,
} as const satisfies Omit<PostgresOptions, "url">;
