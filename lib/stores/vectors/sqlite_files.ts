import { DatabaseSync } from "../../../deps.ts";
import type { ModelIdentity } from "../../core/types.ts";
import { Sqlite } from "../sqlite.ts";
import { Indexes } from "./indexes.ts";
import { vectorMigrations } from "./schema.ts";

/** What is open of a model's files. `inode` names the database file; null for the empty stand-in. */
interface Opened {
  readonly inode: number | null;
  readonly sql: Sqlite;
  readonly indexes: Indexes;
}

/**
 * The database of one model, `<path>.db`, and the folder of its index files, `<path>`. Both appear with the first
 * write, and another process may drop them at any time, or make them anew: so each use looks whether the file is still
 * the one that is open, which costs microseconds.
 */
export class VectorFiles {
  private opened: Opened | null = null;

  constructor(private readonly path: string, private readonly model: ModelIdentity) {}

  /** What is there to be read: an empty database in memory while there is no file. */
  read(): Opened {
    return this.current() ?? this.open(inodeOf(this.path) === null ? ":memory:" : `${this.path}.db`);
  }

  /** The same to be written to, made where it was not there. */
  write(): Opened {
    const current = this.current();
    if (current !== null && current.inode !== null) return current;
    this.close();
    Deno.mkdirSync(this.path.replace(/[^/]+$/, ""), { recursive: true });
    return this.open(`${this.path}.db`);
  }

  private current(): Opened | null {
    this.release();
    return this.opened;
  }

  private open(path: string): Opened {
    const sql = new Sqlite({ path, migrations: vectorMigrations(this.model) });
    const inode = path === ":memory:" ? null : inodeOf(this.path);
    return this.opened = { inode, sql, indexes: new Indexes(sql, this.path) };
  }

  /** Lets go of files that were dropped or replaced since they were opened: until then they keep their place on disk. */
  release(): void {
    if (this.opened !== null && this.opened.inode !== inodeOf(this.path)) this.close();
  }

  /** Removes all files; the database goes last, so that what is interrupted is found and removed another time. */
  remove(): void {
    this.close();
    for (const name of [this.path, ...["-wal", "-shm", ""].map((end) => `${this.path}.db${end}`)]) {
      try {
        Deno.removeSync(name, { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  close(): void {
    this.opened?.indexes.close();
    this.opened?.sql.close();
    this.opened = null;
  }
}

/** The model whose vectors a database holds; null where it is none of vectors. */
export function modelIn(path: string): ModelIdentity | null {
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA busy_timeout = 5000");
    const known = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'model'").get() !== undefined;
    const row = known && db.prepare("SELECT name, revision, dimension, pooling FROM model").get();
    return row ? { ...row } as unknown as ModelIdentity : null;
  } finally {
    db.close();
  }
}

/** Names the file that now stands at a path; null where none does. */
function inodeOf(path: string): number | null {
  try {
    return Deno.statSync(`${path}.db`).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
