import type { DatabaseSync } from "../../../../deps.ts";
import { ParleyError } from "../../../core/errors.ts";
import {
  DamagedFile,
  fileAt,
  fileError,
  type FileState,
  MEMORY,
  openSqlite,
  remedyOf,
  removeLog,
  type SqliteOptions,
} from "./file.ts";

/** How often the file is checked, and opened again if it could not be used. */
const CHECK_INTERVAL_MS = 1_000;

/** A database that is open, and the file that it was opened from; null in memory. */
interface Opened {
  readonly db: DatabaseSync;
  readonly file: FileState | null;
}

/**
 * A connection to a database file, whatever happens to the file. If it is damaged, gone or cannot be opened, `current()`
 * throws `unavailable`, in one sentence that says what to do; once it can be used, `current()` gives it. The file is
 * checked once a second at most, so that most calls do not touch the disk.
 */
export class SqliteConnection {
  private opened: Opened | null = null;
  /** Why nothing is open. */
  private failure: ParleyError | null = null;
  /** The damage that a statement found in the open file; it holds until that file changes. */
  private damage: DamagedFile | null = null;
  private nextCheck = -Infinity;
  /** The file that was open last, and its log, by id. */
  private lastFile: { readonly file: string | undefined; log: string | undefined } | null = null;
  private closed = false;

  /** Throws `denied` if this process lacks the permission to open the file. */
  constructor(private readonly options: SqliteOptions) {
    this.checkFile();
    if (this.failure?.code === "denied") throw this.failure;
  }

  /** The open database; the same until the file is replaced. A transaction ends on the file that it began on. */
  current(): DatabaseSync {
    if (performance.now() >= this.nextCheck && !this.opened?.db.isTransaction) this.checkFile();
    if (this.opened !== null) return this.opened.db;
    throw this.failure ?? new ParleyError("unavailable", `the database ${this.options.path} was closed`);
  }

  /** An error that names the file and says what to do. Damage is remembered, for {@link refuseDamaged}. */
  explain(error: unknown): unknown {
    const explained = fileError(error, this.options);
    if (explained instanceof DamagedFile && this.opened !== null) {
      this.damage = explained;
      const file = this.opened.file === null ? null : fileAt(this.options.path);
      this.opened = { ...this.opened, file };
    }
    return explained;
  }

  /** Throws the damage that a statement has found, since other statements may succeed. */
  refuseDamaged(): void {
    if (this.damage !== null) throw this.damage;
  }

  close(): void {
    this.closed = true;
    this.failure = null;
    this.release();
  }

  private checkFile(): void {
    if (this.closed) return;
    this.nextCheck = performance.now() + CHECK_INTERVAL_MS;
    try {
      if (this.opened === null || !this.isCurrent(this.opened)) this.open();
    } catch (error) {
      this.release();
      if (!(error instanceof ParleyError)) throw error;
      this.failure = error;
    }
  }

  private isCurrent({ file }: Opened): boolean {
    if (file === null || this.lastFile === null) return true;
    const { path } = this.options;
    const now = fileAt(path);
    if (now?.id === file.id) this.lastFile.log = fileAt(`${path}-wal`)?.id;
    return now?.id === file.id && (this.damage === null || now.changed === file.changed);
  }

  /** A file that existed before is not created again, so that a backup can be restored into its place. */
  private open(): void {
    this.release();
    const { path, create = true } = this.options;
    if (this.lastFile !== null) this.refuseGone(this.lastFile);
    const db = openSqlite({ ...this.options, create: create && this.lastFile === null });
    const file = path === MEMORY ? null : fileAt(path);
    this.opened = { db, file };
    this.lastFile = { file: file?.id, log: fileAt(`${path}-wal`)?.id };
    this.failure = null;
  }

  /** The log of the file that is gone may still exist, and must not be taken for that of the file in its place. */
  private refuseGone({ file, log }: { file: string | undefined; log: string | undefined }): void {
    const { path } = this.options;
    const now = fileAt(path);
    if (now === null) throw new ParleyError("unavailable", `${path} is gone: ${remedyOf(this.options)}`);
    if (now.id !== file && log !== undefined && fileAt(`${path}-wal`)?.id === log) removeLog(path);
  }

  private release(): void {
    this.damage = null;
    if (this.opened?.db.isOpen) this.opened.db.close();
    this.opened = null;
  }
}
