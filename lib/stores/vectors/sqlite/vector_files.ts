import { DatabaseSync } from "../../../../deps.ts";
import { ParleyError } from "../../../core/errors.ts";
import { FOLDER_MODE } from "../../../core/file_modes.ts";
import type { HealthOptions, ModelIdentity } from "../../../core/types.ts";
import { removeFile } from "../../engines/disk.ts";
import { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { fileAt, fileError, MALFORMED, refuseDamagedLog } from "../../engines/sqlite/file.ts";
import { Indexes } from "./indexes.ts";
import { vectorMigrations } from "./schema.ts";

/** How to fill the database of a model. */
export const REFILL = "run `deno task pipeline run reembed`, which embeds what is stored again";

/** A model's open files. `id` identifies the database file; null for the empty database in memory. */
interface Opened {
  readonly id: string | null;
  readonly sql: Sqlite;
  readonly indexes: Indexes;
}

/**
 * The database of one model, `<path>.db`, and the folder of its index files, `<path>`. The first write creates both, and
 * another process may drop or replace them at any time: so each use checks whether the file is still the one that is
 * open, which takes microseconds.
 */
export class VectorFiles {
  private opened: Opened | null = null;

  /** `create`: whether a file that does not exist reads as an empty one; else it is `unavailable`. */
  constructor(
    private readonly path: string,
    private readonly model: ModelIdentity,
    private readonly create: boolean,
  ) {}

  get database(): string {
    return `${this.path}.db`;
  }

  /** The files to read: an empty database in memory while there is no file. */
  read(): Opened {
    const current = this.current();
    if (current !== null) return current;
    const { database } = this;
    const isThere = fileAt(database) !== null;
    if (isThere || this.create) return this.open(isThere ? database : ":memory:");
    throw new ParleyError("unavailable", `${database} is not there: ${REFILL}`);
  }

  /** The files to write, created if they do not exist. */
  write(): Opened {
    const current = this.current();
    if (current !== null && current.id !== null) return current;
    this.close();
    Deno.mkdirSync(this.path.replace(/[^/]+$/, ""), { recursive: true, mode: FOLDER_MODE });
    return this.open(`${this.path}.db`);
  }

  private current(): Opened | null {
    this.release();
    return this.opened;
  }

  private open(path: string): Opened {
    const { create } = this;
    const sql = new Sqlite({ path, migrations: vectorMigrations(this.model), create, refill: REFILL });
    const id = path === ":memory:" ? null : this.id();
    return this.opened = { id, sql, indexes: new Indexes(sql, this.path, this.model.dimension) };
  }

  /** Closes files that were dropped or replaced since they were opened, so that their space on disk is freed. */
  release(): void {
    if (this.opened !== null && this.opened.id !== this.id()) this.close();
  }

  /** Identifies the current database file; null if there is no file. */
  private id(): string | null {
    return fileAt(`${this.path}.db`)?.id ?? null;
  }

  /** Removes all files, the database last, so that an interrupted removal can be repeated. */
  remove(): void {
    this.close();
    for (const name of [this.path, ...["-wal", "-shm", ""].map((end) => `${this.path}.db${end}`)]) {
      removeFile(name);
    }
  }

  /** A sentence for each index that could not be opened. */
  problems(): string[] {
    return this.current()?.indexes.problems() ?? [];
  }

  /** Closes the files at once; resolves when work in the background has ended. */
  async close(): Promise<void> {
    const { opened } = this;
    this.opened = null;
    const ended = opened?.indexes.close();
    opened?.sql.close();
    await ended;
  }
}

/** The model of a database of vectors; null if it has none. `thorough` reads the whole file. */
export function modelIn(
  path: string,
  { refill = REFILL, thorough = false }: { refill?: string } & HealthOptions = {},
): ModelIdentity | null {
  let db: DatabaseSync | null = null;
  try {
    refuseDamagedLog({ path, refill });
    db = new DatabaseSync(path);
    db.exec("PRAGMA busy_timeout = 5000");
    const known = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'model'").get() !== undefined;
    const row = known && db.prepare("SELECT name, revision, dimension, pooling FROM model").get();
    if (thorough && db.prepare("PRAGMA quick_check(1)").get()?.quick_check !== "ok") {
      throw new Error(MALFORMED);
    }
    return row ? { ...row } as unknown as ModelIdentity : null;
  } catch (error) {
    throw fileError(error, { path, refill });
  } finally {
    db?.close();
  }
}
