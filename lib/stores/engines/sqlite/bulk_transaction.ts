import type { DatabaseSync, SQLInputValue } from "../../../../deps.ts";
import { sleep } from "../../../core/abort.ts";
import { FILE_MODE } from "../../../core/file_modes.ts";
import { removeFile } from "../disk.ts";
import { CACHE_KB, fileAt, MEMORY } from "./file.ts";

/** How long writes are gathered: what a kill costs at most. */
const MAX_MS = 20_000;
/**
 * Bytes of values in one transaction, about. If its pages exceeded the cache, SQLite would write them to the log, and again
 * each time that they change.
 */
const MAX_BYTES = 16_000_000;
/** How often it looks whether another process waits for the lock. */
const CHECK_INTERVAL_MS = 10;
/** How long it leaves the lock to others after each commit: one that waits tries it every few milliseconds. */
const PAUSE_MS = 20;
const BULK_CACHE_KB = 32_000;

/**
 * The open transaction that gathers the writes of a bulk load. A page that many rows change, as those of an index on random
 * keys, is written once for all of them, and not once for each few rows. A process that finds the file locked leaves an empty
 * file next to it, and the transaction then commits within some 10 ms.
 */
export class BulkTransaction {
  private scopes = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  /** The database whose transaction is open. */
  private open: DatabaseSync | null = null;
  /** The one that is set up for a bulk load. */
  private prepared: DatabaseSync | null = null;
  private commit_at = 0;
  private bytes = 0;
  private resume_at = 0;
  /** Why rows were rolled back whose writes had resolved. */
  private failure: { readonly error: unknown } | null = null;

  constructor(private readonly database: () => DatabaseSync, private readonly path: string) {}

  get isActive(): boolean {
    return this.scopes > 0;
  }

  /** Gathers what `work` writes; all of it is committed when this resolves. */
  async gather<T>(work: () => Promise<T>): Promise<T> {
    if (this.scopes++ === 0) {
      this.failure = null;
      this.timer = setInterval(() => this.commitIfDue(), CHECK_INTERVAL_MS);
    }
    try {
      const result = await work();
      this.commit();
      if (this.failure !== null) throw this.failure.error;
      return result;
    } finally {
      if (--this.scopes === 0) this.stop();
    }
  }

  private stop(): void {
    clearInterval(this.timer);
    this.commit();
    if (this.prepared?.isOpen) {
      this.prepared.exec(
        `PRAGMA cache_size = -${CACHE_KB}; PRAGMA temp_store = DEFAULT; PRAGMA shrink_memory`,
      );
    }
    this.prepared = null;
  }

  /** Resolves when others have had their turn after the last commit. */
  async pause(): Promise<void> {
    const left = this.resume_at - performance.now();
    if (left > 0) await sleep(left);
  }

  /** Runs `body` in the open transaction, or begins one. If it throws, nothing stays of the transaction, and `gather` throws. */
  add<T>(body: () => T): T {
    if (this.open === null) {
      const db = this.database();
      // Statements with triggers first copy the pages that they change, by default to a temporary file.
      if (db !== this.prepared) db.exec(`PRAGMA cache_size = -${BULK_CACHE_KB}; PRAGMA temp_store = MEMORY`);
      this.prepared = db;
      db.exec("BEGIN IMMEDIATE");
      this.open = db;
      this.commit_at = performance.now() + MAX_MS;
      this.bytes = 0;
    }
    try {
      return body();
    } catch (error) {
      this.fail(error);
      throw error;
    } finally {
      this.commitIfDue();
    }
  }

  /** Counts the values of a statement that runs in the open transaction. */
  count(values: readonly SQLInputValue[]): void {
    if (this.open === null) return;
    for (const value of values) {
      if (typeof value === "string") this.bytes += value.length;
      else if (ArrayBuffer.isView(value)) this.bytes += value.byteLength;
    }
  }

  private fail(error: unknown): void {
    this.failure ??= { error };
    if (this.open?.isOpen && this.open.isTransaction) this.open.exec("ROLLBACK");
    this.open = null;
  }

  private commitIfDue(): void {
    if (this.open === null) return;
    if (this.bytes >= MAX_BYTES || performance.now() >= this.commit_at || this.isAwaited()) this.commit();
  }

  /** Ends the open transaction. An error is thrown by {@link gather}. */
  commit(): void {
    if (this.open === null) return;
    try {
      this.open.exec("COMMIT");
      this.open = null;
      if (this.isAwaited()) removeFile(this.marker);
    } catch (error) {
      this.fail(error);
    }
    this.resume_at = performance.now() + PAUSE_MS;
  }

  /** Makes a bulk load of another process commit, as this one waits for the lock. If none runs, the next one commits once early. */
  awaitLock(): void {
    if (this.path !== MEMORY) Deno.writeFileSync(this.marker, new Uint8Array(), { mode: FILE_MODE });
  }

  private isAwaited(): boolean {
    return this.path !== MEMORY && fileAt(this.marker) !== null;
  }

  private get marker(): string {
    return `${this.path}-awaited`;
  }
}
