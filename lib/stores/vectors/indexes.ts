import { messageOf, ParleyError } from "../../core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../../core/modes.ts";
import { type Sqlite, turn } from "../sqlite.ts";
import {
  createIndex,
  extendIndex,
  type IndexKind,
  type IndexReader,
  type IndexWriter,
  openIndex,
} from "./ann.ts";
import { floatsOf, type StoredRow } from "./rows.ts";

export type Indexed = "profiles" | "campaigns";

/** A built index: which file, and how far in the table's writes it goes. */
interface Build {
  readonly build: number;
  readonly version: number;
  readonly kind: IndexKind;
  readonly rev: number;
  readonly deletions: number;
}

/** Rows that go into an index before others get their turn: some 20 ms of work. */
const ROWS_PER_TURN = 32;
/** Versions that one process keeps open for each collection: the published one and the one before. */
const OPEN_VERSIONS = 2;

/** The index files of all data versions: `<collection>-<version>.<kind>` in one folder. */
export class Indexes {
  private readonly readers = new Map<Indexed, Map<number, { build: number; reader: IndexReader }>>();

  constructor(private readonly sql: Sqlite, private readonly folder: string) {}

  /**
   * Builds the index of a collection under a version and returns how many rows it has. It goes on from the newest
   * graph that lacks no deletion, since a graph from which rows were taken still holds their bytes; otherwise it
   * starts afresh. Rows that change meanwhile may be in or not: the next build brings them.
   */
  async build(
    o: { collection: Indexed; version: number; dimension: number; signal: AbortSignal | undefined },
  ): Promise<number> {
    const { deletions } = this.sql.get<{ deletions: number }>(
      "SELECT deletions FROM collections WHERE collection = ?",
      o.collection,
    )!;
    const { index, since } = this.begin({ ...o, deletions });
    const rev = await this.fill(index, o.collection, since, o.signal);
    this.saveFile(index, this.path(o.collection, o.version, index.kind));
    await this.sql.write(() =>
      this.sql.run(
        "INSERT OR REPLACE INTO indexes (collection, version, kind, rev, deletions) VALUES (?, ?, ?, ?, ?)",
        o.collection,
        o.version,
        index.kind,
        rev,
        deletions,
      )
    );
    return index.size;
  }

  private begin(
    o: { collection: Indexed; version: number; dimension: number; deletions: number },
  ): { index: IndexWriter; since: number } {
    const base = this.sql.get<Build>(
      `SELECT * FROM indexes WHERE collection = ? AND version <= ? AND kind = 'usearch' AND deletions = ?
       ORDER BY version DESC LIMIT 1`,
      o.collection,
      o.version,
      o.deletions,
    );
    const index = base && extend(this.path(o.collection, base.version, base.kind), o.dimension);
    if (index) return { index, since: base.rev };
    const { rows } = this.sql.get<{ rows: number }>(
      "SELECT count(*) AS rows FROM vectors WHERE collection = ?",
      o.collection,
    )!;
    return { index: createIndex({ rows, dimension: o.dimension }), since: 0 };
  }

  /** Puts every row whose `rev` is newer than `since` into the index; returns the newest `rev` met. */
  private async fill(
    index: IndexWriter,
    collection: Indexed,
    since: number,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    let rev = since;
    let rowid = Number.MAX_SAFE_INTEGER;
    while (true) {
      signal?.throwIfAborted();
      const rows = this.sql.all<Pick<StoredRow, "rowid" | "rev" | "vector">>(
        `SELECT rowid, rev, vector FROM vectors WHERE collection = ? AND (rev, rowid) > (?, ?)
         ORDER BY rev, rowid LIMIT ${ROWS_PER_TURN}`,
        collection,
        rev,
        rowid,
      );
      for (const row of rows) {
        index.put(row.rowid, floatsOf(row.vector));
        ({ rev, rowid } = row);
      }
      if (rows.length < ROWS_PER_TURN) return rev;
      await turn();
    }
  }

  /** Writes under a name of its own, then renames, so that a file under its final name is always whole. */
  private saveFile(index: IndexWriter, path: string): void {
    Deno.mkdirSync(this.folder, { recursive: true, mode: FOLDER_MODE });
    const part = `${path}.${crypto.randomUUID()}`;
    Deno.openSync(part, { write: true, createNew: true, mode: FILE_MODE }).close();
    index.save(part);
    {
      using file = Deno.openSync(part, { write: true });
      file.syncDataSync();
    }
    Deno.renameSync(part, path);
  }

  /** The index of a version, opened once; `not_found` where it was not built, `unavailable` where its file is gone. */
  reader(o: { collection: Indexed; version: number; dimension: number }): IndexReader {
    const { build, kind } = this.built(o);
    const open = this.openOf(o.collection);
    const held = open.get(o.version);
    if (held?.build === build) return held.reader;
    const reader = this.openFile(this.path(o.collection, o.version, kind), kind, o.dimension);
    open.set(o.version, { build, reader });
    for (const old of [...open.keys()].sort((a, b) => b - a).slice(OPEN_VERSIONS)) open.delete(old);
    return reader;
  }

  private built(o: { collection: Indexed; version: number }): Build {
    const build = this.sql.get<Build>(
      "SELECT * FROM indexes WHERE collection = ? AND version = ?",
      o.collection,
      o.version,
    );
    if (build) return build;
    throw new ParleyError("not_found", `no index of ${o.collection} was built for version ${o.version}`);
  }

  private openFile(path: string, kind: IndexKind, dimension: number): IndexReader {
    try {
      return openIndex({ path, kind, dimension });
    } catch (cause) {
      const sentence = `the index ${path} cannot be opened (${
        messageOf(cause)
      }); the next pipeline run builds it anew`;
      throw new ParleyError("unavailable", sentence, { cause });
    }
  }

  private openOf(collection: Indexed) {
    const open = this.readers.get(collection) ?? new Map<number, { build: number; reader: IndexReader }>();
    this.readers.set(collection, open);
    return open;
  }

  /** Drops the indexes of all other versions, with every file that an interrupted build of them left. */
  async keep(versions: readonly number[]): Promise<void> {
    await this.sql.write(() =>
      this.sql.run(
        "DELETE FROM indexes WHERE version NOT IN (SELECT value FROM json_each(?))",
        JSON.stringify(versions),
      )
    );
    for (const open of this.readers.values()) {
      for (const version of open.keys()) if (!versions.includes(version)) open.delete(version);
    }
    for (const { name, version } of filesOf(this.folder)) {
      if (!versions.includes(version)) Deno.removeSync(`${this.folder}/${name}`);
    }
  }

  close(): void {
    this.readers.clear();
  }

  private path(collection: Indexed, version: number, kind: IndexKind): string {
    return `${this.folder}/${collection}-${version}.${kind}`;
  }
}

/** A file that is gone or damaged costs a build from the first row on, and nothing else. */
function extend(path: string, dimension: number): IndexWriter | null {
  try {
    return extendIndex({ path, dimension });
  } catch {
    return null;
  }
}

/** Index files by name, finished or not, with their versions. */
function filesOf(folder: string): { name: string; version: number }[] {
  try {
    return [...Deno.readDirSync(folder)].flatMap(({ name }) => {
      const version = /^(?:profiles|campaigns)-(\d+)\./.exec(name)?.[1];
      return version === undefined ? [] : [{ name, version: Number(version) }];
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
