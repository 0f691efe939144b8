import {
  DatabaseSync,
  setImmediate,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "../../deps.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import type { Abortable, Health } from "../core/types.ts";
import { diskError } from "./disk.ts";

/** One step of a schema: SQL that takes `user_version` from its index to its index + 1. */
export type Migration = string;

export interface SqliteOptions {
  /** A path, or `:memory:`. */
  readonly path: string;
  readonly migrations: readonly Migration[];
  /** How long one statement may wait for a lock, synchronously, which stops every timer. Default 20. */
  readonly busy_ms?: number;
  /** `FULL` survives a power cut at every commit; `NORMAL` survives every process death. */
  readonly synchronous?: "FULL" | "NORMAL";
}

const BUSY_MS = 20;
/** Opening waits longer than serving may: two processes can meet at the first migration. */
const OPENING_MS = 5_000;
/** How long a write tries again, asynchronously, before the file counts as unavailable. */
const PATIENCE_MS = 10_000;
/** Time for rows in one transaction. Its commit takes about as long again, so that none holds the lock 20 ms. */
const HOLD_MS = 10;

/**
 * A page cache and a write-ahead log four to eight times SQLite's defaults: keys arrive in random order, so a batch
 * dirties one index page a row, and each page is copied to the file less often. Halves the time of a bulk insert.
 */
const TUNING = "PRAGMA cache_size = -8000; PRAGMA wal_autocheckpoint = 8000";

/** Opens a database under Parley's rules: WAL, a bounded wait for locks, erased bytes overwritten, migrated. */
export function openSqlite(o: SqliteOptions): DatabaseSync {
  const db = open(o.path);
  try {
    db.exec(`PRAGMA busy_timeout = ${OPENING_MS}`);
    db.exec("PRAGMA journal_mode = WAL");
    db.exec(`PRAGMA synchronous = ${o.synchronous ?? "NORMAL"}`);
    db.exec("PRAGMA secure_delete = ON");
    db.exec("PRAGMA foreign_keys = ON");
    db.exec(TUNING);
    migrate(db, o);
    db.exec(`PRAGMA busy_timeout = ${o.busy_ms ?? BUSY_MS}`);
    return db;
  } catch (error) {
    db.close();
    if (error instanceof ParleyError) throw error;
    throw new ParleyError("unavailable", `cannot use the database ${o.path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function open(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new ParleyError("denied", `no permission to open ${path}: ${error.message}`, { cause: error });
    }
    throw new ParleyError("unavailable", `cannot open the database ${path}; does its folder exist?`, {
      cause: error,
    });
  }
}

function migrate(db: DatabaseSync, o: SqliteOptions): void {
  const version = userVersion(db);
  if (version > o.migrations.length) {
    throw new ParleyError(
      "mismatch",
      `${o.path} has schema version ${version}, and this Parley knows ${o.migrations.length}: use the newer Parley that wrote it`,
    );
  }
  if (version === o.migrations.length) return;
  transaction(db, () => {
    for (let next = userVersion(db); next < o.migrations.length; next++) {
      db.exec(o.migrations[next]!);
      db.exec(`PRAGMA user_version = ${next + 1}`);
    }
  });
}

function userVersion(db: DatabaseSync): number {
  return (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/** Runs `body` in a `BEGIN IMMEDIATE` transaction: whole, or not at all. `body` must not await. */
export function transaction<T>(db: DatabaseSync, body: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = body();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** `exec` gives no error code, so that the sentence must do. */
function isBusy(error: unknown): boolean {
  return messageOf(error).includes("database is locked");
}

/** Lets timers, signals and sockets have their turn, which costs microseconds; then heeds the caller's signal. */
export async function turn({ signal }: Abortable = {}): Promise<void> {
  await new Promise<void>((resume) => setImmediate(resume));
  signal?.throwIfAborted();
}

function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}

/** The engine writes U+0000 but reads a text only up to it, so it is replaced as lone surrogates are. */
function readable(value: SQLInputValue): SQLInputValue {
  return typeof value === "string" && value.includes("\0") ? value.replaceAll("\0", "\ufffd") : value;
}

/** A statement with the names of its columns; it gives rows as arrays, which the engine makes in half the time. */
interface Prepared {
  readonly statement: StatementSync;
  readonly names: readonly string[];
}

/** A plain object of a row. A row that the engine makes an object of has no prototype, and costs more to copy. */
function plain(names: readonly string[], values: readonly SQLOutputValue[]): Record<string, SQLOutputValue> {
  const row: Record<string, SQLOutputValue> = {};
  for (let i = 0; i < names.length; i++) row[names[i]!] = values[i]!;
  return row;
}

/** A database with its statements prepared once, by their text. Rows come back as plain objects. */
export class Sqlite {
  readonly db: DatabaseSync;
  private readonly path: string;
  private readonly statements = new Map<string, Prepared>();

  constructor(o: SqliteOptions) {
    this.path = o.path;
    this.db = openSqlite(o);
  }

  private prepare(sql: string): Prepared {
    let prepared = this.statements.get(sql);
    if (prepared === undefined) {
      this.refuseClosed();
      const statement = this.db.prepare(sql);
      statement.setReturnArrays(true);
      prepared = { statement, names: statement.columns().map((column) => column.name) };
      this.statements.set(sql, prepared);
    }
    return prepared;
  }

  /** Returns how many rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.prepare(sql).statement.run(...values.map(readable)).changes);
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    const { statement, names } = this.prepare(sql);
    const rows = statement.all(...values.map(readable)) as unknown as SQLOutputValue[][];
    return rows.map((row) => plain(names, row)) as Row[];
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Row | null {
    const { statement, names } = this.prepare(sql);
    const row = statement.get(...values.map(readable)) as unknown as SQLOutputValue[] | undefined;
    return row === undefined ? null : plain(names, row) as Row;
  }

  /**
   * {@link transaction}, off the caller's turn, so that timers and signals get theirs between batches. Where another
   * process holds the lock it tries again without blocking, and throws `unavailable` after 10 s.
   */
  async write<T>(body: () => T, o: Abortable = {}): Promise<T> {
    o.signal?.throwIfAborted();
    const deadline = performance.now() + PATIENCE_MS;
    while (true) {
      await turn(o);
      this.refuseClosed();
      try {
        return transaction(this.db, body);
      } catch (error) {
        if (!isBusy(error)) throw diskError(error, this.path);
        if (performance.now() > deadline) throw this.locked(error);
      }
      await pause(1 + Math.random() * 9);
    }
  }

  /**
   * Applies `each` to every row, in as many transactions as it takes for none to hold the lock longer than about
   * 20 ms. `seal` runs at the end of each of them. Neither may await. The signal is heeded between them.
   */
  async writeEach<T>(
    rows: readonly T[],
    each: (row: T) => void,
    { seal, signal }: { seal?: () => void } & Abortable = {},
  ): Promise<void> {
    signal?.throwIfAborted();
    for (let next = 0; next < rows.length;) {
      // A writer in another process polls for the lock: without a gap it would wait until all rows are through.
      if (next > 0) await pause(1);
      next = await this.write(() => {
        const end = applyFor(HOLD_MS, rows, next, each);
        seal?.();
        return end;
      }, { signal });
    }
  }

  /** Repeats a statement that changes at most `limit` rows until it changes fewer; returns the sum. */
  async writeAll(
    o: { sql: string; limit: number; values: readonly SQLInputValue[] } & Abortable,
  ): Promise<number> {
    let sum = 0;
    while (true) {
      const changes = await this.write(() => this.run(o.sql, ...o.values, o.limit), o);
      sum += changes;
      if (changes < o.limit) return sum;
      await pause(1);
    }
  }

  /** Empties the write-ahead log into the file, so that no erased byte stays in it. */
  async scrub(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!this.checkpoint()) {
      if (performance.now() > deadline) throw this.locked(null);
      await pause(10);
    }
  }

  private checkpoint(): boolean {
    try {
      return this.get<{ busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)")?.busy === 0;
    } catch (error) {
      throw diskError(error, this.path);
    }
  }

  private refuseClosed(): void {
    if (!this.db.isOpen) throw new ParleyError("unavailable", `the database ${this.path} was closed`);
  }

  private locked(cause: unknown): ParleyError {
    return new ParleyError(
      "unavailable",
      `${this.path} was locked by another process for ${PATIENCE_MS / 1_000} s; try again`,
      { cause },
    );
  }

  health(): Health {
    const start = performance.now();
    const { version, bytes } = this.get<{ version: string; bytes: number }>(
      "SELECT sqlite_version() AS version, page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
    )!;
    return { adapter: "sqlite", version, latency_ms: performance.now() - start, bytes };
  }

  close(): void {
    this.statements.clear();
    if (this.db.isOpen) this.db.close();
  }
}

/** Applies `each` to rows from `start` on for about `ms`, and to one at least; returns where it stopped. */
function applyFor<T>(ms: number, rows: readonly T[], start: number, each: (row: T) => void): number {
  const until = performance.now() + ms;
  let next = start;
  do each(rows[next++]!); while (next < rows.length && performance.now() < until);
  return next;
}
