import { ParleyError } from "../../../core/errors.ts";
import type { Postgres } from "../../engines/postgres/postgres.ts";
import type { PgSession } from "../../engines/postgres/session.ts";
import { INDEXED, type Indexed, type IndexFault } from "../port.ts";
import { FLAT_MAX } from "../rows.ts";

/** Dimensions up to which pgvector builds a graph of `vector`, and of `halfvec`. */
const MAX_INDEXED_DIMENSION = 2_000;
const MAX_INDEXED_HALVES = 4_000;

/** The index of a collection in a data version. */
export interface Build {
  readonly build: number;
  /** Whether it has an HNSW graph; else it is scanned whole. */
  readonly indexed: boolean;
}

/**
 * A build has two tables of its own, so that a version is built next to the one that serves, is frozen, and is dropped at no
 * cost: pgvector filters after it searched its graph, so one graph for several versions would find too few of each. `entries`
 * has each distinct vector once, under its hash, and `members` which ids have it.
 */
export const entriesOf = (build: number) => `vector_entries_${build}`;
export const membersOf = (build: number) => `vector_members_${build}`;
const graphOf = (build: number) => `${entriesOf(build)}_graph`;

/** What a graph indexes and a search compares. From 2,001 dimensions on a graph has components of two bytes. */
export function operand(vector: string, dimension: number): string {
  return dimension > MAX_INDEXED_DIMENSION && dimension <= MAX_INDEXED_HALVES
    ? `(${vector}::halfvec(${dimension}))`
    : vector;
}

/** SQL for whether a vector is not one that `upsert` takes. */
export function faultySql(dimension: number): string {
  return `(vector_dims(vector) <> ${dimension} OR abs(vector_norm(vector) - 1) > 1e-3)`;
}

/**
 * Fills the tables of a new build from the rows as of now, with a graph if there are many distinct vectors. All cores but one
 * are left to searches, also because parallel builds need shared memory, of which containers have little.
 */
export async function createBuild(
  session: PgSession,
  { model, dimension, collection }: { model: string; dimension: number; collection: Indexed },
): Promise<Build> {
  const { build } =
    (await session.get<{ build: number }>("SELECT nextval('vector_build_numbers') AS build"))!;
  const [entries, members] = [entriesOf(build), membersOf(build)];
  const rows = `FROM vectors WHERE model = '${model}' AND collection = '${collection}'
    AND NOT ${faultySql(dimension)}`;
  const plain = dimension <= MAX_INDEXED_DIMENSION
    ? `ALTER TABLE ${entries} ALTER COLUMN vector SET STORAGE PLAIN`
    : "";
  await session.script(`
    CREATE TABLE ${entries} (entry BIGINT NOT NULL, vector vector(${dimension}) NOT NULL);
    ${plain};
    CREATE TABLE ${members} (entry BIGINT NOT NULL, id TEXT COLLATE "C" NOT NULL, seq BIGINT NOT NULL);
    WITH filled AS (
      INSERT INTO ${entries} SELECT DISTINCT ON (vector_hash) vector_hash, vector ${rows} ORDER BY vector_hash, id)
    INSERT INTO ${members} SELECT vector_hash, id, seq ${rows};
    ALTER TABLE ${entries} ADD PRIMARY KEY (entry);
    ALTER TABLE ${members} ADD PRIMARY KEY (entry, id);
    CREATE INDEX ON ${members} (id);
    ANALYZE ${entries}, ${members}`);
  const { size } = (await session.get<{ size: number }>(`SELECT count(*) AS size FROM ${entries}`))!;
  const indexed = size > FLAT_MAX && dimension <= MAX_INDEXED_HALVES;
  if (indexed) await createGraph(session, build, size, dimension);
  return { build, indexed };
}

/** Bytes of memory in which a graph is built: beyond them, pgvector builds it many times slower. */
const MAX_BUILD_BYTES = 1_073_741_824;
/** What pgvector needs for the links of an entry while it builds; measured, with some to spare. */
const LINK_BYTES = 600;

async function createGraph(
  session: PgSession,
  build: number,
  size: number,
  dimension: number,
): Promise<void> {
  const type = dimension > MAX_INDEXED_DIMENSION ? "halfvec" : "vector";
  const bytes = Math.min(size * (4 * dimension + LINK_BYTES), MAX_BUILD_BYTES);
  await session.script(`
    SET LOCAL max_parallel_maintenance_workers = 0;
    SELECT set_config('maintenance_work_mem', '${Math.ceil(bytes / 1024)}kB', true)
      WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < ${bytes};
    CREATE INDEX ${graphOf(build)} ON ${entriesOf(build)}
      USING hnsw (${operand("vector", dimension)} ${type}_ip_ops) WITH (m = 16, ef_construction = 64)`);
}

/** Takes out what was deleted while a build was filled. The caller has locked the model. */
export async function removeDeleted(
  session: PgSession,
  { model, collection, build }: { model: string; collection: Indexed; build: number },
): Promise<void> {
  const ids = await session.all<{ id: string }>(
    `SELECT id FROM ${membersOf(build)} m WHERE NOT EXISTS (SELECT FROM vectors v
       WHERE v.model = $1 AND v.collection = $2 AND v.id = m.id AND v.seq = m.seq)`,
    [model, collection],
  );
  await removeMembers(session, build, ids.map(({ id }) => id));
}

/** Takes ids out of a build, and vectors that no other id has. */
export async function removeMembers(
  session: PgSession,
  build: number,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  const [entries, members] = [entriesOf(build), membersOf(build)];
  const removed = await session.all<{ entry: number }>(
    `DELETE FROM ${members} WHERE id = ANY($1::text[]) RETURNING entry`,
    [ids],
  );
  await session.run(
    `DELETE FROM ${entries} e WHERE entry = ANY($1::bigint[])
       AND NOT EXISTS (SELECT FROM ${members} m WHERE m.entry = e.entry)`,
    [removed.map(({ entry }) => entry)],
  );
}

export async function dropBuilds(session: PgSession, builds: readonly number[]): Promise<void> {
  const tables = builds.flatMap((build) => [entriesOf(build), membersOf(build)]);
  if (tables.length > 0) await session.script(`DROP TABLE IF EXISTS ${tables.join(", ")}`);
}

const notBuilt = (collection: Indexed, version: number) =>
  `no index of ${collection} was built for version ${version}`;

const damaged = (collection: Indexed, version: number) =>
  `the index ${collection}-${version} is damaged: its tables are missing`;

/** What is wrong with the builds of a version. */
export async function verifyBuilds(
  db: Postgres,
  { model, version, signal }: { model: string; version: number; signal: AbortSignal | undefined },
): Promise<IndexFault[]> {
  const builds = await db.all<{ collection: string; complete: boolean; searchable: boolean }>(
    `SELECT collection,
       to_regclass('vector_entries_' || build) IS NOT NULL AND to_regclass('vector_members_' || build) IS NOT NULL AS complete,
       NOT indexed OR EXISTS (SELECT FROM pg_index WHERE indisvalid
         AND indexrelid = to_regclass('vector_entries_' || build || '_graph')) AS searchable
     FROM vector_builds WHERE model = $1 AND version = $2`,
    [model, version],
    { signal },
  );
  return INDEXED.flatMap((collection) => {
    const build = builds.find((each) => each.collection === collection);
    if (build === undefined) return [{ text: notBuilt(collection, version), rebuilt: false }];
    if (!build.complete) return [{ text: damaged(collection, version), rebuilt: false }];
    if (build.searchable) return [];
    return [{ text: `the index ${collection}-${version} is damaged: its graph is missing`, rebuilt: false }];
  });
}

const MAX_CACHED = 16;

/** Which builds versions have. Numbers are never used twice, so what this knows is right as long as a build's tables exist. */
export class BuildCache {
  private readonly builds = new Map<string, Build>();

  constructor(private readonly db: Postgres, private readonly model: string) {}

  /** Throws `not_found` if there is none. `known` is one that has turned out to be dropped. */
  async get(
    options: { collection: Indexed; version: number; known?: Build; signal: AbortSignal | undefined },
  ): Promise<Build> {
    const { collection, version, known, signal } = options;
    const key = `${collection}-${version}`;
    const cached = this.builds.get(key);
    if (cached !== undefined && cached !== known) return cached;
    this.builds.delete(key);
    const build = await this.db.get<Build>(
      "SELECT build, indexed FROM vector_builds WHERE model = $1 AND collection = $2 AND version = $3",
      [this.model, collection, version],
      { signal },
    );
    if (build === null) throw new ParleyError("not_found", notBuilt(collection, version));
    if (build.build === known?.build) throw new ParleyError("unavailable", damaged(collection, version));
    if (this.builds.size >= MAX_CACHED) this.builds.clear();
    this.builds.set(key, build);
    return build;
  }
}
