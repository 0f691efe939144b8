import { type Db, loadMongo, type MongoClient, os } from "../../../../deps.ts";
import { abortable } from "../../../core/abort.ts";
import type { Abortable } from "../../../core/types.ts";
import { closedError, explainMongo, lateError } from "./errors.ts";

const CALL_MS = 5_000;
/** For a question to the whole of a collection, and for the first building of an index. */
export const SCAN_MS = 120_000;
const DEFAULT_DATABASE = "parley";

/** How long a call may take, and what gives it up before. */
interface Limits extends Abortable {
  readonly ms?: number;
}

/** One client for one database: connects at the first call, bounds every call in time, and explains what fails. */
export class MongoConnection {
  /** How long an ordinary call may take. */
  readonly call_ms: number;
  private readonly url: URL;
  private readonly prepare: (db: Db) => Promise<unknown>;
  private client: MongoClient | null = null;
  private opening: Promise<Db> | null = null;
  private closed = false;

  /** `prepare` makes indexes, once, before anything else is asked; it may run any number of times. */
  constructor(options: { url: URL; call_ms?: number | undefined; prepare: (db: Db) => Promise<unknown> }) {
    this.url = options.url;
    this.call_ms = options.call_ms ?? CALL_MS;
    this.prepare = options.prepare;
  }

  /**
   * Runs a question or a write; throws a ParleyError, `unavailable` where no answer came in time. An aborted call ends
   * by the signal's reason. `work` hands `reading` on to the driver's reads, whose connection is then cut, upon which
   * the server stops; the driver has no such thing for writes.
   */
  async run<T>(work: (db: Db, reading: Abortable) => Promise<T>, limits: Limits = {}): Promise<T> {
    const { ms = this.call_ms, signal } = limits;
    try {
      const db = await abortable(signal, () => this.open());
      return await this.within({ ms, signal }, () => work(db, { signal }));
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw this.closed ? closedError(this.url) : explainMongo(error, this.url);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.client?.close();
    await this.opening?.catch(() => {});
  }

  private open(): Promise<Db> {
    if (this.closed) throw closedError(this.url);
    return this.opening ??= this.connect().catch(async (error) => {
      await this.client?.close();
      this.opening = null;
      throw error;
    });
  }

  private async connect(): Promise<Db> {
    const { MongoClient } = await loadMongo();
    if (this.closed) throw closedError(this.url);
    this.client = new MongoClient(this.url.href, {
      appName: "parley",
      serverSelectionTimeoutMS: this.call_ms,
      connectTimeoutMS: this.call_ms,
      // Gives up a connection that a call has left behind; the call itself ended long before.
      socketTimeoutMS: SCAN_MS,
      // A touch must be seen as soon as its row is, and neither may be lost with a primary.
      readPreference: "primary",
      readConcernLevel: "local",
      w: "majority",
      // The driver sends the server a description of this machine; to ask for its release it would need a permission.
      runtimeAdapters: { os: { ...os, release: () => "" } },
    });
    const db = this.client.db(decodeURIComponent(this.url.pathname.slice(1)) || DEFAULT_DATABASE);
    // The driver bounds the search for a server in time, but not the login that follows.
    const client = this.client;
    await this.within({ ms: 2 * this.call_ms }, () => client.connect());
    await this.within({ ms: SCAN_MS }, () => this.prepare(db));
    return db;
  }

  private async within<T>(
    { ms, signal }: Abortable & { ms: number },
    work: () => Promise<T>,
  ): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(lateError(this.url, ms)), ms);
    });
    try {
      return await Promise.race([abortable(signal, work), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
