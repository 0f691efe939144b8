import { type BookmarkManager, type Driver, loadNeo4j, type ManagedTransaction } from "../../../../deps.ts";
import { abortable, onAbort } from "../../../core/abort.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Abortable } from "../../../core/types.ts";
import { toStoreError, versionOf } from "./errors.ts";
import { type Neo4jAddress, parseNeo4jUrl } from "./url.ts";

export type Transaction = Pick<ManagedTransaction, "run">;

export interface Neo4jOptions {
  readonly url: URL;
  /** How long a question may take, retries included. */
  readonly read_ms?: number;
  /** How long one batch of a write may take, retries included: deadlocks wait a second or two. */
  readonly write_ms?: number;
}

const READ_MS = 5_000;
const WRITE_MS = 30_000;
/** The server ends a transaction at its time. One that still says nothing this much later is taken for hung. */
const GRACE_MS = 500;
/** How often a write may meet deletions by others. */
const ATTEMPTS = 5;

type Session = ReturnType<Driver["session"]>;

/** How long a call may take, and what gives it up before. */
interface Limits extends Abortable {
  readonly ms: number;
}

interface Open {
  readonly driver: Driver;
  readonly version: string;
}

/**
 * A server, connected to at the first call, and again at the next one after a failure. Transactions are the driver's
 * managed ones: it repeats them after deadlocks and lost connections, so their work must bear repeating.
 */
export class Neo4jConnection {
  readonly address: Neo4jAddress;
  readonly read_ms: number;
  readonly write_ms: number;
  private opening: Promise<Open> | null = null;
  private driver: Driver | null = null;
  private bookmarks: BookmarkManager | null = null;
  private readonly calls = new Set<(error: ParleyError) => void>();
  /** Timers of sessions that are being closed. */
  private readonly partings = new Set<ReturnType<typeof setTimeout>>();
  private closed = false;

  constructor(options: Neo4jOptions) {
    this.address = parseNeo4jUrl(options.url);
    this.read_ms = options.read_ms ?? READ_MS;
    this.write_ms = options.write_ms ?? WRITE_MS;
  }

  /** An aborted call has the server end its transaction, as {@link Neo4jConnection.write} does. */
  read<T>(work: (tx: Transaction) => Promise<T>, options: Partial<Limits> = {}): Promise<T> {
    const { ms = this.read_ms, signal } = options;
    return this.session({ ms, signal }, "READ", (session) => session.executeRead(work, { timeout: ms }));
  }

  /** The driver does not repeat what met a node that another transaction had just deleted, so this does. */
  async write<T>(work: (tx: Transaction) => Promise<T>, { signal }: Abortable = {}): Promise<T> {
    const ms = this.write_ms;
    const limits = { ms, signal };
    for (let attempt = 1;; attempt++) {
      try {
        return await this.session(limits, "WRITE", (session) => session.executeWrite(work, { timeout: ms }));
      } catch (error) {
        if (attempt === ATTEMPTS || !(error instanceof ParleyError && error.code === "conflict")) throw error;
      }
    }
  }

  async version(options: Abortable = {}): Promise<string> {
    return (await this.connected(options)).version;
  }

  private async session<T>(
    limits: Limits,
    mode: "READ" | "WRITE",
    body: (session: Session) => Promise<T>,
  ): Promise<T> {
    const { driver } = await this.connected(limits);
    return await this.within(limits, driver, (ended) => body(this.begin(driver, mode, ended)));
  }

  /**
   * A session that closes by itself when its call has ended. Sessions share bookmarks, so that each sees what others
   * here wrote, whichever member of a cluster it asks.
   */
  private begin(driver: Driver, defaultAccessMode: "READ" | "WRITE", ended: Promise<void>): Session {
    const { database } = this.address;
    const { bookmarks } = this;
    const session = driver.session({
      defaultAccessMode,
      ...(database === null ? {} : { database }),
      ...(bookmarks === null ? {} : { bookmarkManager: bookmarks }),
    });
    // The caller does not wait for it, for it does not end on a hung connection.
    ended.then(() => this.part(session, driver));
    return session;
  }

  /**
   * Closes a session, which ends a transaction that is still open at the server, and takes back the timer of a retry.
   * Where the server says nothing to that either, the connection would be held for good: then the driver is dropped.
   */
  private async part(session: Session, driver: Driver): Promise<void> {
    const hung = setTimeout(() => this.drop(driver), GRACE_MS);
    this.partings.add(hung);
    await session.close().catch(() => {});
    clearTimeout(hung);
    this.partings.delete(hung);
  }

  /** Who gives up waiting for the connection leaves it to the others. */
  private connected({ signal }: Abortable): Promise<Open> {
    return abortable(signal, () => {
      if (this.closed) return Promise.reject(new ParleyError("unavailable", "the graph store is closed"));
      return this.opening ??= this.connect();
    });
  }

  private async connect(): Promise<Open> {
    let driver: Driver | null = null;
    try {
      driver = this.driver = await this.create();
      return { driver, version: await this.greet(driver) };
    } catch (error) {
      this.drop(driver);
      throw toStoreError(error, this.address);
    }
  }

  private async create(): Promise<Driver> {
    const { default: neo4j } = await loadNeo4j();
    if (this.closed) throw new ParleyError("unavailable", "the graph store is closed");
    this.bookmarks ??= neo4j.bookmarkManager();
    const { server, login } = this.address;
    return neo4j.driver(server, login === null ? undefined : neo4j.auth.basic(login.user, login.password), {
      connectionTimeout: this.read_ms,
      // Later than any call's own end, which also drops a connection that hangs while it is made.
      connectionAcquisitionTimeout: this.write_ms + 2 * GRACE_MS,
      maxTransactionRetryTime: this.write_ms,
      disableLosslessIntegers: true,
      telemetryDisabled: true,
      notificationFilter: { minimumSeverityLevel: "OFF" },
    });
  }

  /** Logs in, finds the database and checks the version. Not by a managed transaction, which would try for long. */
  private greet(driver: Driver): Promise<string> {
    return this.within({ ms: this.read_ms }, driver, async (ended) => {
      const session = this.begin(driver, "READ", ended);
      const { summary } = await session.run("RETURN 1", {}, { timeout: this.read_ms });
      return versionOf(summary.server.agent ?? "", this.address);
    });
  }

  /**
   * Runs a call until it ends, its time is over, it is aborted, or the store is closed. `ended` resolves then. The
   * driver has no time limit of its own for a connection that falls silent, so overtime drops them all, and the next
   * call makes new ones.
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

  /** Closes a driver with all its connections, busy ones too, and forgets it if it is the present one. */
  private async drop(driver: Driver | null): Promise<void> {
    if (driver === this.driver) this.driver = this.opening = null;
    await driver?.close().catch(() => {});
  }

  /** Ends what is under way by `unavailable`. */
  async close(): Promise<void> {
    this.closed = true;
    for (const stop of this.calls) stop(new ParleyError("unavailable", "the graph store was closed"));
    await this.drop(this.driver);
    for (const hung of this.partings) clearTimeout(hung);
  }
}
