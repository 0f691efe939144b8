import {
  type DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "../../../../deps.ts";
import { sleep, yieldToEventLoop } from "../../../core/abort.ts";
import { messageOf, ParleyError } from "../../../core/errors.ts";
import type { Abortable, Health, HealthOptions } from "../../../core/types.ts";
import { BulkTransaction } from "./bulk_transaction.ts";
import { SqliteConnection } from "./connection.ts";
import type { Result, Statement } from "../sql.ts";
import { MALFORMED, RESTORE, type SqliteOptions, transaction } from "./file.ts";

export type { Migration } from "../migration.ts";
export type { SqliteOptions } from "./file.ts";

/** For a file whose rows come from sources only. */
export const BASE_ROWS_REFILL = `run \`deno task pipeline\` with all sources, or ${RESTORE}`;

/** How long a write is retried, asynchronously, before the file counts as unavailable. */
const LOCK_TIMEOUT_MS = 10_000;
/** Time for rows in one transaction. Its commit takes about as long again, so that none holds the lock 20 ms. */
const MAX_LOCK_MS = 10;

/** By the message, since `exec` gives no error code. */
function isBusy(error: unknown): boolean {
  return messageOf(error).includes("database is locked");
}

/** The values for each time that a statement runs: once, or for each row of its input. */
function valuesOf({ values, input }: Statement): SQLInputValue[][] {
  if (input === undefined) return [values.map(storable)];
  const names = Object.keys(input.columns);
  return (input.rows as readonly Record<string, SQLInputValue>[]).map((row) => {
    const given = values.map(storable);
    for (const name of names) given.push(storable(row[name] ?? null));
    return given;
  });
}

/** The engine writes U+0000 but reads a text only up to it, so it is replaced, as lone surrogates are. */
function storable(value: SQLInputValue): SQLInputValue {
  return typeof value === "string" && value.includes("\0") ? value.replaceAll("\0", "\ufffd") : value;
}

/** A statement with the names of its columns; it gives rows as arrays, which takes half the time of objects. */
interface Prepared {
  readonly statement: StatementSync;
  readonly names: readonly string[];
}

/** A row as a plain object. The engine's own objects have no prototype, and cost more to copy. */
function toObject(
  names: readonly string[],
  values: readonly SQLOutputValue[],
): Record<string, SQLOutputValue> {
  const row: Record<string, SQLOutputValue> = {};
  for (let i = 0; i < names.length; i++) row[names[i]!] = values[i]!;
  return row;
}

/**
 * A database whose statements are prepared once, by their text. Rows are plain objects. Its calls throw `unavailable` while
 * the file cannot be used.
 */
export class Sqlite {
  private readonly connection: SqliteConnection;
  private readonly statements = new Map<string, Prepared>();
  private preparedOn: DatabaseSync | null = null;
  private readonly bulk: BulkTransaction;

  /** Throws `denied` if this process lacks the permission to open the file. */
  constructor(private readonly options: SqliteOptions) {
    this.connection = new SqliteConnection(options);
    this.bulk = new BulkTransaction(() => this.db, options.path);
  }

  /** The open database. */
  get db(): DatabaseSync {
    return this.connection.current();
  }

  private explainErrors<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw this.connection.explain(error);
    }
  }

  private prepare(sql: string): Prepared {
    const { db } = this;
    if (db !== this.preparedOn) {
      this.statements.clear();
      this.preparedOn = db;
    }
    let prepared = this.statements.get(sql);
    if (prepared === undefined) {
      // Parameters as PostgreSQL has them: $1 is ?1 here.
      const statement = db.prepare(sql.replace(/\$(?=\d)/g, "?"));
      statement.setReturnArrays(true);
      prepared = { statement, names: statement.columns().map((column) => column.name) };
      this.statements.set(sql, prepared);
    }
    return prepared;
  }

  /** Returns how many rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    this.bulk.count(values);
    return this.explainErrors(() => Number(this.prepare(sql).statement.run(...values.map(storable)).changes));
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.explainErrors(() => {
      const { statement, names } = this.prepare(sql);
      const rows = statement.all(...values.map(storable)) as unknown as SQLOutputValue[][];
      return rows.map((row) => toObject(names, row)) as Row[];
    });
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Row | null {
    return this.explainErrors(() => {
      const { statement, names } = this.prepare(sql);
      const row = statement.get(...values.map(storable)) as unknown as SQLOutputValue[] | undefined;
      return row === undefined ? null : toObject(names, row) as Row;
    });
  }

  /** One of the statements of {@link Steps}. */
  execute(order: Statement): Result {
    // Not by `explainErrors`, which takes a function: a commit of a run is several statements.
    try {
      const { statement, names } = this.prepare(order.sql);
      if (names.length === 0) {
        let changes = 0;
        for (const given of valuesOf(order)) {
          this.bulk.count(given);
          changes += Number(statement.run(...given).changes);
        }
        return { rows: [], changes };
      }
      const rows: Record<string, SQLOutputValue>[] = [];
      for (const given of valuesOf(order)) {
        const found = statement.all(...given) as unknown as SQLOutputValue[][];
        for (const row of found) rows.push(toObject(names, row));
      }
      return { rows, changes: 0 };
    } catch (error) {
      throw this.connection.explain(error);
    }
  }

  /** Reads with one statement. It is retried as by {@link read}. */
  async query<T>(body: () => T, { signal }: Abortable = {}): Promise<T> {
    signal?.throwIfAborted();
    try {
      return body();
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
    return await this.unlessLocked(body);
  }

  /**
   * Reads with several statements that see the same state. Another process that recovers or empties its log may lock readers out
   * for a moment: that is retried as by {@link write}.
   */
  read<T>(body: () => T, { signal }: Abortable = {}): Promise<T> {
    return this.unlessLocked(() => {
      signal?.throwIfAborted();
      const { db } = this;
      // Within a bulk load.
      if (db.isTransaction) return body();
      db.exec("BEGIN");
      try {
        return body();
      } finally {
        if (db.isTransaction) db.exec("COMMIT");
      }
    });
  }

  /**
   * A {@link transaction} in a turn of the event loop of its own, so that timers and signals get theirs between batches. If
   * another process has the lock, it retries without blocking, and throws `unavailable` after 10 s.
   */
  async write<T>(body: () => T, options: Abortable = {}): Promise<T> {
    options.signal?.throwIfAborted();
    const { bulk } = this;
    return await this.unlessLocked(async () => {
      await yieldToEventLoop(options);
      if (bulk.isActive) await bulk.pause();
      // It may have ended meanwhile.
      return bulk.isActive ? bulk.add(body) : transaction(this.db, body);
    }, () => bulk.awaitLock());
  }

  /**
   * Gathers what `work` writes in few, long transactions, each of which commits as soon as another process waits for the lock;
   * all is committed when this resolves. Meanwhile other calls see what is not committed yet.
   */
  inBulk<T>(work: () => Promise<T>): Promise<T> {
    return this.bulk.gather(work);
  }

  private async unlessLocked<T>(
    attempt: () => T | Promise<T>,
    onLocked: () => void = () => {},
  ): Promise<T> {
    const deadline = performance.now() + LOCK_TIMEOUT_MS;
    while (true) {
      try {
        return await attempt();
      } catch (error) {
        if (!isBusy(error)) throw this.connection.explain(error);
        if (performance.now() > deadline) throw this.locked(error);
        onLocked();
      }
      await sleep(1 + Math.random() * 9);
    }
  }

  /**
   * Applies `each` to every row, in as many transactions as it takes for none to hold the lock longer than about
   * 20 ms, or in as many parts of that of a bulk load. `beforeCommit` runs at the end of each of them. Neither may await. The
   * signal is checked between them.
   */
  async writeEach<T>(
    rows: readonly T[],
    each: (row: T) => void,
    { beforeCommit, signal }: { beforeCommit?: () => void } & Abortable = {},
  ): Promise<void> {
    signal?.throwIfAborted();
    for (let next = 0; next < rows.length;) {
      // A writer in another process polls for the lock: without a gap it would wait until all rows are written.
      if (next > 0 && !this.bulk.isActive) await sleep(1);
      next = await this.write(() => {
        const end = applyFor(MAX_LOCK_MS, rows, next, each);
        beforeCommit?.();
        return end;
      }, { signal });
    }
  }

  /** Repeats a statement that changes at most `limit` rows until it changes fewer; returns the sum. */
  async writeAll(
    options: { sql: string; limit: number; values: readonly SQLInputValue[] } & Abortable,
  ): Promise<number> {
    let sum = 0;
    while (true) {
      const changes = await this.write(
        () => this.run(options.sql, ...options.values, options.limit),
        options,
      );
      sum += changes;
      if (changes < options.limit) return sum;
      await sleep(1);
    }
  }

  /** Moves the write-ahead log into the file, so that no erased byte stays in the log. */
  async scrub(): Promise<void> {
    this.bulk.commit();
    const deadline = performance.now() + LOCK_TIMEOUT_MS;
    while (!this.checkpoint()) {
      if (performance.now() > deadline) throw this.locked(null);
      await sleep(10);
    }
  }

  /**
   * Rewrites every table. A deleted row is overwritten at once, but a page whose rows were moved to others before may still have
   * copies of them in space that it no longer uses: a table that is emptied overwrites its pages, with those of its indexes. Takes
   * some seconds for each 100 MB, in which other processes can read and not write. `VACUUM` would do it faster, but attaches
   * a database, which Deno allows only with all permissions.
   */
  async compact({ signal }: Abortable = {}): Promise<void> {
    const tables = this.all<{ name: string; wr: number }>(
      "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'",
    );
    for (const { name, wr } of tables) await this.rewrite(name, { keyed: wr === 1, signal });
    await this.scrub();
  }

  private async rewrite(table: string, { keyed, signal }: { keyed: boolean } & Abortable): Promise<void> {
    const columns = this.all<{ name: string; type: string; pk: number }>(
      `SELECT name, type, pk FROM pragma_table_info('${table}')`,
    );
    const [key, ...others] = columns.filter(({ pk }) => pk > 0);
    const named = keyed || (key?.type === "INTEGER" && others.length === 0);
    const names = [...named ? [] : ["rowid"], ...columns.map(({ name }) => `"${name}"`)].join(", ");
    const order = keyed ? "" : `ORDER BY ${named ? `"${key!.name}"` : "rowid"}`;
    this.bulk.commit();
    // References are to rows that are back when the transaction ends.
    this.db.exec("PRAGMA foreign_keys = OFF");
    try {
      await this.write(() =>
        this.db.exec(`
          CREATE TEMP TABLE copy AS SELECT ${named ? "" : "rowid AS copied, "}* FROM main."${table}" ${order};
          DELETE FROM main."${table}";
          INSERT INTO main."${table}" (${names}) SELECT * FROM copy ORDER BY rowid;
          DROP TABLE copy`), { signal });
    } finally {
      this.db.exec("PRAGMA foreign_keys = ON");
    }
  }

  private checkpoint(): boolean {
    return this.get<{ busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)")?.busy === 0;
  }

  private locked(cause: unknown): ParleyError {
    return new ParleyError(
      "unavailable",
      `${this.options.path} was locked by another process for ${LOCK_TIMEOUT_MS / 1_000} s; try again`,
      { cause },
    );
  }

  /** Throws `unavailable` if a statement has found damage since the file was opened, or `thorough` finds some. */
  health({ thorough = false }: HealthOptions = {}): Health {
    const start = performance.now();
    const { version, bytes } = this.get<{ version: string; bytes: number }>(
      "SELECT sqlite_version() AS version, page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
    )!;
    const latency_ms = performance.now() - start;
    if (thorough) this.checkPages();
    this.connection.refuseDamaged();
    return { adapter: "sqlite", version, latency_ms, bytes };
  }

  private checkPages(): void {
    const found = this.get<{ quick_check: string }>("PRAGMA quick_check(1)")?.quick_check;
    if (found !== "ok") {
      throw this.connection.explain(new Error(MALFORMED, { cause: found }));
    }
  }

  close(): void {
    this.bulk.commit();
    this.statements.clear();
    this.preparedOn = null;
    this.connection.close();
  }
}

/** Applies `each` to rows from `start` on for about `ms`, and to one at least; returns where it stopped. */
function applyFor<T>(ms: number, rows: readonly T[], start: number, each: (row: T) => void): number {
  const deadline = performance.now() + ms;
  let next = start;
  do each(rows[next++]!); while (next < rows.length && performance.now() < deadline);
  return next;
}
