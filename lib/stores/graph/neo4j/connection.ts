import { type BookmarkManager, type Driver, loadNeo4j, type ManagedTransaction } from "../../../../deps.ts";
import { abortable, onAbort } from "../../../core/abort.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Abortable } from "../../../core/types.ts";
import { toStoreError, versionOf } from "./errors.ts";
import { type Neo4jAddress, parseNeo4jUrl } from "./url.ts";

export type Transaction = Pick<ManagedTransaction, "run">;

export interface Neo4jOptions {
  readonly url: URL;
  /** How long a read may take, with retries. */
  readonly read_ms?: number;
  /** How long one batch of a write may take, with retries: deadlocks wait a second or two. */
  readonly write_ms?: number;
}

const READ_TIMEOUT_MS = 5_000;
const WRITE_TIMEOUT_MS = 30_000;
/** The server ends a transaction at its timeout. If it has not responded this much later, the connection counts as hung. */
const GRACE_MS = 500;
/** Attempts at a write that conflicts with deletions by other writers. */
const MAX_ATTEMPTS = 5;

type DriverSession = ReturnType<Driver["session"]>;

/** How long a call may take, and the signal that aborts it. */
interface Limits extends Abortable {
  readonly ms: number;
}

interface OpenDriver {
  readonly driver: Driver;
  readonly version: string;
}

/**
 * A server, connected to at the first call, and again at the next one after a failure. Transactions are the driver's
 * managed ones: it repeats them after deadlocks and lost connections, so their work must be repeatable.
 */
export class Neo4jConnection {
  readonly address: Neo4jAddress;
  readonly read_ms: number;
  readonly write_ms: number;
  private opening: Promise<OpenDriver> | null = null;
  private driver: Driver | null = null;
  private bookmarks: BookmarkManager | null = null;
  private readonly calls = new Set<(error: ParleyError) => void>();
  /** Timers of sessions that are being closed. */
  private readonly closeTimers = new Set<ReturnType<typeof setTimeout>>();
  private closed = false;

  constructor(options: Neo4jOptions) {
    this.address = parseNeo4jUrl(options.url);
    this.read_ms = options.read_ms ?? READ_TIMEOUT_MS;
    this.write_ms = options.write_ms ?? WRITE_TIMEOUT_MS;
  }

  /** An aborted call has the server end its transaction, as {@link Neo4jConnection.write} does. */
  read<T>(work: (tx: Transaction) => Promise<T>, options: Partial<Limits> = {}): Promise<T> {
    const { ms = this.read_ms, signal } = options;
    return this.session({ ms, signal }, "READ", (session) => session.executeRead(work, { timeout: ms }));
  }

  /** Repeats a write that used a node which another transaction had just deleted; the driver does not. */
  async write<T>(work: (tx: Transaction) => Promise<T>, { signal }: Abortable = {}): Promise<T> {
    const ms = this.write_ms;
    const limits = { ms, signal };
    for (let attempt = 1;; attempt++) {
      try {
        return await this.session(limits, "WRITE", (session) => session.executeWrite(work, { timeout: ms }));
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !(error instanceof ParleyError && error.code === "conflict")) {
          throw error;
        }
      }
    }
  }

  async version(options: Abortable = {}): Promise<string> {
    return (await this.connected(options)).version;
  }

  private async session<T>(
    limits: Limits,
    mode: "READ" | "WRITE",
    body: (session: DriverSession) => Promise<T>,
  ): Promise<T> {
    const { driver } = await this.connected(limits);
    return await this.within(limits, driver, (ended) => body(this.begin(driver, mode, ended)));
  }

  /**
   * A session that is closed when its call has ended. Sessions share bookmarks, so that each sees the writes of the others,
   * whichever member of a cluster it uses.
   */
  private begin(driver: Driver, defaultAccessMode: "READ" | "WRITE", ended: Promise<void>): DriverSession {
    const { database } = this.address;
    const { bookmarks } = this;
    const session = driver.session({
      defaultAccessMode,
      ...(database === null ? {} : { database }),
      ...(bookmarks === null ? {} : { bookmarkManager: bookmarks }),
    });
    // Not awaited, since it does not end on a hung connection.
    ended.then(() => this.closeSession(session, driver));
    return session;
  }

  /**
   * Closes a session, which ends a transaction that is still open at the server, and clears the timer of a retry. If the
   * server does not respond to that either, the driver is dropped, since it would never release the connection.
   */
  private async closeSession(session: DriverSession, driver: Driver): Promise<void> {
    const timer = setTimeout(() => this.drop(driver), GRACE_MS);
    this.closeTimers.add(timer);
    await session.close().catch(() => {});
    clearTimeout(timer);
    this.closeTimers.delete(timer);
  }

  /** An aborted caller stops waiting for the connection; the others still get it. */
  private connected({ signal }: Abortable): Promise<OpenDriver> {
    return abortable(signal, () => {
      if (this.closed) return Promise.reject(new ParleyError("unavailable", "the graph store is closed"));
      return this.opening ??= this.connect();
    });
  }

  private async connect(): Promise<OpenDriver> {
    let driver: Driver | null = null;
    try {
      driver = this.driver = await this.createDriver();
      return { driver, version: await this.checkServer(driver) };
    } catch (error) {
      this.drop(driver);
      throw toStoreError(error, this.address);
    }
  }

  private async createDriver(): Promise<Driver> {
    const { default: neo4j } = await loadNeo4j();
    if (this.closed) throw new ParleyError("unavailable", "the graph store is closed");
    this.bookmarks ??= neo4j.bookmarkManager();
    const { server, login } = this.address;
    return neo4j.driver(server, login === null ? undefined : neo4j.auth.basic(login.user, login.password), {
      connectionTimeout: this.read_ms,
      // Later than any call's timeout, which also drops a connection that hangs while connecting.
      connectionAcquisitionTimeout: this.write_ms + 2 * GRACE_MS,
      maxTransactionRetryTime: this.write_ms,
      disableLosslessIntegers: true,
      telemetryDisabled: true,
      notificationFilter: { minimumSeverityLevel: "OFF" },
    });
  }

  /** Logs in, finds the database and checks the version. Not in a managed transaction, which would be retried for long. */
  private checkServer(driver: Driver): Promise<string> {
    return this.within({ ms: this.read_ms }, driver, async (ended) => {
      const session = this.begin(driver, "READ", ended);
      const { summary } = await session.run("RETURN 1", {}, { timeout: this.read_ms });
      return versionOf(summary.server.agent ?? "", this.address);
    });
  }

  /**
   * Runs a call until it ends, times out, is aborted, or the store is closed. `ended` resolves then. The driver has no
   * timeout for a connection that stops responding, so a timeout here drops all connections, and the next call connects
   * again.
   */
  private async within<T>(
    { ms, signal }: Limits,
    driver: Driver,
    body: (ended: Promise<void>) => Promise<T>,
  ): Promise<T> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const { server } = this.address;
      stop(new ParleyError("unavailable", `the graph store at ${server} did not answer in ${ms} ms`));
      this.drop(driver);
    }, ms + GRACE_MS);
    this.calls.add(stop);
    const stopListening = onAbort(signal, () => stop(signal?.reason));
    try {
      signal?.throwIfAborted();
      return await Promise.race([body(ended), stopped]);
    } catch (error) {
      throw signal?.aborted ? signal.reason : toStoreError(error, this.address);
    } finally {
      end();
      stopListening();
      clearTimeout(timer);
      this.calls.delete(stop);
    }
  }

  /** Closes a driver with all its connections, also busy ones; if it is the current one, the next call creates another. */
  private async drop(driver: Driver | null): Promise<void> {
    if (driver === this.driver) this.driver = this.opening = null;
    await driver?.close().catch(() => {});
  }

  /** Pending calls throw `unavailable`. */
  async close(): Promise<void> {
    this.closed = true;
    for (const stop of this.calls) stop(new ParleyError("unavailable", "the graph store was closed"));
    await this.drop(this.driver);
    for (const timer of this.closeTimers) clearTimeout(timer);
  }
}
