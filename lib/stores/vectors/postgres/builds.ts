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
  /** Names the table of members. */
  readonly build: number;
  /** Names the table of entries. */
  readonly entries: number;
  /** Whether the entries have an HNSW graph; else they are this build's alone, and scanned whole. */
  readonly indexed: boolean;
}

/**
 * A build has a table of its own, `members`: which ids have which distinct vector, so that a version is frozen, is built next to
 * the one that serves, and is dropped at no cost. The distinct vectors, under their hashes, are in another table, `entries`, with
 * the graph. The next build extends it if little has changed, since a graph of all takes a minute for 100,000 vectors. As
 * pgvector filters what it found in the graph, a table of which versions use too small a part would slow searches down: then
 * the build gets a new one.
 */
export const entriesOf = ({ entries }: Pick<Build, "entries">) => `vector_entries_${entries}`;
export const membersOf = ({ build }: Pick<Build, "build">) => `vector_members_${build}`;
const graphOf = (build: Pick<Build, "entries">) => `${entriesOf(build)}_graph`;

/** A build extends a table of entries if at most this share of its distinct vectors is missing there or is there in addition. */
const MAX_CHANGED_SHARE = 0.25;

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

interface BuildOptions {
  readonly model: string;
  readonly dimension: number;
  readonly collection: Indexed;
}

/** Makes a build from the rows as of now. The caller settles it before it is used. */
export async function createBuild(session: PgSession, options: BuildOptions): Promise<Build> {
  const { model, dimension, collection } = options;
  const rows = `FROM vectors WHERE model = '${model}' AND collection = '${collection}'
    AND NOT ${faultySql(dimension)}`;
  const build = await nextNumber(session);
  const base = await extensible(session, options, rows);
  const target = { build, entries: base ?? await nextNumber(session) };
  const [entries, members] = [entriesOf(target), membersOf(target)];
  if (base === null) await createEntries(session, entries, dimension);
  // One statement, so that both tables are filled from the same rows.
  await session.script(`
    CREATE TABLE ${members} (entry BIGINT NOT NULL, id TEXT COLLATE "C" NOT NULL, seq BIGINT NOT NULL);
    WITH added AS (
      INSERT INTO ${entries} SELECT DISTINCT ON (vector_hash) vector_hash, vector ${rows}
        AND NOT EXISTS (SELECT FROM ${entries} WHERE entry = vector_hash) ORDER BY vector_hash, id
      ON CONFLICT DO NOTHING)
    INSERT INTO ${members} SELECT vector_hash, id, seq ${rows};
    ALTER TABLE ${members} ADD PRIMARY KEY (entry, id);
    CREATE INDEX ON ${members} (id);
    ANALYZE ${entries}, ${members}`);
  if (base !== null) return { ...target, indexed: true };
  const { size } = (await session.get<{ size: number }>(`SELECT count(*) AS size FROM ${entries}`))!;
  const indexed = size > FLAT_MAX && dimension <= MAX_INDEXED_HALVES;
  if (indexed) await createGraph(session, target, size, dimension);
  return { ...target, indexed };
}

async function nextNumber(session: PgSession): Promise<number> {
  return (await session.get<{ n: number }>("SELECT nextval('vector_build_numbers') AS n"))!.n;
}

async function createEntries(session: PgSession, entries: string, dimension: number): Promise<void> {
  await session.script(
    `CREATE TABLE ${entries} (entry BIGINT PRIMARY KEY, vector vector(${dimension}) NOT NULL)`,
  );
  // A vector that fits into a page is read faster there than from elsewhere.
  if (dimension > MAX_INDEXED_DIMENSION) return;
  await session.script(`ALTER TABLE ${entries} ALTER COLUMN vector SET STORAGE PLAIN`);
}

/** The entries with a graph of the newest build, if little has changed since. */
async function extensible(
  session: PgSession,
  { model, collection }: BuildOptions,
  rows: string,
): Promise<number | null> {
  const newest = await session.get<{ entries: number }>(
    `SELECT entries FROM vector_builds WHERE model = $1 AND collection = $2 AND indexed AND EXISTS (
       SELECT FROM pg_index WHERE indisvalid AND indexrelid = to_regclass('vector_entries_' || entries || '_graph'))
     ORDER BY build DESC LIMIT 1`,
    [model, collection],
  );
  if (newest === null) return null;
  const { size, changed } = (await session.get<{ size: number; changed: number }>(
    `SELECT count(hash) AS size, count(*) FILTER (WHERE hash IS NULL OR entry IS NULL) AS changed
     FROM (SELECT DISTINCT vector_hash AS hash ${rows}) AS live
     FULL JOIN ${entriesOf(newest)} ON entry = hash`,
  ))!;
  return size > FLAT_MAX && changed <= MAX_CHANGED_SHARE * size ? newest.entries : null;
}

/** Bytes of memory in which a graph is built: beyond them, pgvector builds it many times slower. */
const MAX_BUILD_BYTES = 1_073_741_824;
/** What pgvector needs for the links of an entry while it builds; measured, with some to spare. */
const LINK_BYTES = 800;

/** All cores but one are left to searches; also, parallel builds need shared memory, of which containers have little. */
async function createGraph(
  session: PgSession,
  build: Pick<Build, "entries">,
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
      USING hnsw (${operand("vector", dimension)} ${type}_ip_ops) WITH (m = 16, ef_construction = 100)`);
}

/**
 * Takes out of a new build what was deleted while it was filled, and puts in entries that others removed meanwhile, as no
 * other build had them. The caller has locked the model, so that neither happens from here on.
 */
export async function settleBuild(
  session: PgSession,
  { model, collection }: Pick<BuildOptions, "model" | "collection">,
  build: Build,
): Promise<void> {
  const [entries, members] = [entriesOf(build), membersOf(build)];
  const row = `v.model = '${model}' AND v.collection = '${collection}' AND v.id = m.id AND v.seq = m.seq`;
  await session.script(`
    DELETE FROM ${members} m WHERE NOT EXISTS (SELECT FROM vectors v WHERE ${row});
    INSERT INTO ${entries} SELECT DISTINCT ON (m.entry) m.entry, v.vector
      FROM ${members} m JOIN vectors v ON ${row} AND v.vector_hash = m.entry
      WHERE NOT EXISTS (SELECT FROM ${entries} e WHERE e.entry = m.entry) ORDER BY m.entry, m.id`);
}

/** Removes vectors from a table of entries that none of these builds, which are all that use it, has an id for. */
async function purgeEntries(
  session: PgSession,
  builds: readonly Build[],
  among: readonly number[] | null = null,
): Promise<void> {
  const unused = builds.map((build) =>
    `NOT EXISTS (SELECT FROM ${membersOf(build)} m WHERE m.entry = e.entry)`
  );
  const some = among === null ? [] : ["entry = ANY($1::bigint[])"];
  await session.run(
    `DELETE FROM ${entriesOf(builds[0]!)} e WHERE ${[...some, ...unused].join(" AND ")}`,
    among === null ? [] : [among],
  );
}

const byEntries = (builds: readonly Build[]) => Map.groupBy(builds, ({ entries }) => entries).values();

/** Takes ids out of builds, which are all of a collection, with the vectors that no other id has. */
export async function removeMembers(
  session: PgSession,
  builds: readonly Build[],
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  for (const group of byEntries(builds)) {
    const removed = new Set<number>();
    for (const build of group) {
      const sql = `DELETE FROM ${membersOf(build)} WHERE id = ANY($1::text[]) RETURNING entry`;
      for (const { entry } of await session.all<{ entry: number }>(sql, [ids])) removed.add(entry);
    }
    await purgeEntries(session, group, [...removed]);
  }
}

/** Drops the tables of builds, and of entries that none of the builds that are `left` uses. */
export async function dropBuilds(
  session: PgSession,
  dropped: readonly Build[],
  left: readonly Build[],
): Promise<void> {
  if (dropped.length === 0) return;
  const isLeft = ({ entries }: Build) => left.some((each) => each.entries === entries);
  const tables = new Set([
    ...dropped.map(membersOf),
    ...dropped.filter((each) => !isLeft(each)).map(entriesOf),
  ]);
  await session.script(`DROP TABLE IF EXISTS ${[...tables].join(", ")}`);
  for (const group of byEntries(left)) {
    if (dropped.some(({ entries }) => entries === group[0]!.entries)) await purgeEntries(session, group);
  }
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
       to_regclass('vector_entries_' || entries) IS NOT NULL AND to_regclass('vector_members_' || build) IS NOT NULL AS complete,
       NOT indexed OR EXISTS (SELECT FROM pg_index WHERE indisvalid
         AND indexrelid = to_regclass('vector_entries_' || entries || '_graph')) AS searchable
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

  /** Throws `not_found` if the version has no build. `known` is a build whose tables were missing. */
  async get(
    options: { collection: Indexed; version: number; known?: Build; signal: AbortSignal | undefined },
  ): Promise<Build> {
    const { collection, version, known, signal } = options;
    const key = `${collection}-${version}`;
    const cached = this.builds.get(key);
    if (cached !== undefined && cached !== known) return cached;
    this.builds.delete(key);
    const build = await this.db.get<Build>(
      "SELECT build, entries, indexed FROM vector_builds WHERE model = $1 AND collection = $2 AND version = $3",
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
