import { DatabaseSync } from "../../../../deps.ts";
import { ParleyError } from "../../../core/errors.ts";
import { FOLDER_MODE } from "../../../core/file_modes.ts";
import type { HealthOptions, ModelIdentity } from "../../../core/types.ts";
import { removeFile } from "../../engines/disk.ts";
import { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { fileAt, fileError, MALFORMED, refuseDamagedLog } from "../../engines/sqlite/file.ts";
import { Indexes } from "./indexes.ts";
import { vectorMigrations } from "./schema.ts";

/** What fills the database of a model: its rows can be made again. */
export const REFILL = "run `deno task pipeline run reembed`, which embeds what is stored again";

/** What is open of a model's files. `id` names the database file; null for the empty stand-in. */
interface Opened {
  readonly id: string | null;
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

  /** `create`: whether a file that is not there reads as an empty one; else it is `unavailable`. */
  constructor(
    private readonly path: string,
    private readonly model: ModelIdentity,
    private readonly create: boolean,
  ) {}

  get database(): string {
    return `${this.path}.db`;
  }

  /** What is there to be read: an empty database in memory while there is no file. */
  read(): Opened {
    const current = this.current();
    if (current !== null) return current;
    const { database } = this;
    const isThere = fileAt(database) !== null;
    if (isThere || this.create) return this.open(isThere ? database : ":memory:");
    throw new ParleyError("unavailable", `${database} is not there: ${REFILL}`);
  }

  /** The same to be written to, made where it was not there. */
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

  /** Lets go of files that were dropped or replaced since they were opened: until then they keep their place on disk. */
  release(): void {
    if (this.opened !== null && this.opened.id !== this.id()) this.close();
  }

  /** Names the database file that is there now; null if none is. */
  private id(): string | null {
    return fileAt(`${this.path}.db`)?.id ?? null;
  }

  /** Removes all files; the database goes last, so that what is interrupted is found and removed another time. */
  remove(): void {
    this.close();
    for (const name of [this.path, ...["-wal", "-shm", ""].map((end) => `${this.path}.db${end}`)]) {
      removeFile(name);
    }
  }

  /** Why indexes that were asked for are not available, a sentence each. */
  problems(): string[] {
    return this.current()?.indexes.problems() ?? [];
  }

  /** Closes at once what is open; resolves when work in the background has ended. */
  async close(): Promise<void> {
    const { opened } = this;
    this.opened = null;
    const ended = opened?.indexes.close();
    opened?.sql.close();
    await ended;
  }
}

/** The model whose vectors a database holds; null if it holds no vectors. `thorough` reads all of it. */
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
