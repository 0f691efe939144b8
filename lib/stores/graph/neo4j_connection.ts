import { type BookmarkManager, type Driver, loadNeo4j, type ManagedTransaction } from "../../../deps.ts";
import { ParleyError } from "../../core/errors.ts";
import { troubleOf, versionOf } from "./neo4j_errors.ts";
import { type Neo4jAddress, parseNeo4jUrl } from "./neo4j_url.ts";

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
  private closed = false;

  constructor(o: Neo4jOptions) {
    this.address = parseNeo4jUrl(o.url);
    this.read_ms = o.read_ms ?? READ_MS;
    this.write_ms = o.write_ms ?? WRITE_MS;
  }

  read<T>(work: (tx: Transaction) => Promise<T>, ms = this.read_ms): Promise<T> {
    return this.session(ms, "READ", (session) => session.executeRead(work, { timeout: ms }));
  }

  /** The driver does not repeat what met a node that another transaction had just deleted, so this does. */
  async write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const ms = this.write_ms;
    for (let attempt = 1;; attempt++) {
      try {
        return await this.session(ms, "WRITE", (session) => session.executeWrite(work, { timeout: ms }));
      } catch (error) {
        if (attempt === ATTEMPTS || !(error instanceof ParleyError && error.code === "conflict")) throw error;
      }
    }
  }

  async version(): Promise<string> {
    return (await this.connected()).version;
  }

  private async session<T>(
    ms: number,
    mode: "READ" | "WRITE",
    body: (session: Session) => Promise<T>,
  ): Promise<T> {
    const { driver } = await this.connected();
    return await this.within(ms, driver, (ended) => body(this.begin(driver, mode, ended)));
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
    // Nobody waits for it, for it does not end on a hung connection. It also takes back the timer of a retry.
    ended.then(() => session.close()).catch(() => {});
    return session;
  }

  private connected(): Promise<Open> {
    if (this.closed) return Promise.reject(new ParleyError("unavailable", "the graph store is closed"));
    this.opening ??= this.connect();
    return this.opening;
  }

  private async connect(): Promise<Open> {
    let driver: Driver | null = null;
    try {
      driver = this.driver = await this.create();
      return { driver, version: await this.greet(driver) };
    } catch (error) {
      this.drop(driver);
      throw troubleOf(error, this.address);
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
    return this.within(this.read_ms, driver, async (ended) => {
      const session = this.begin(driver, "READ", ended);
      const { summary } = await session.run("RETURN 1", {}, { timeout: this.read_ms });
      return versionOf(summary.server.agent ?? "", this.address);
    });
  }

  /**
   * Runs a call until it ends, its time is over, or the store is closed. `ended` resolves then. The driver has no time
   * limit of its own for a connection that falls silent, so overtime drops them all, and the next call makes new ones.
   */
  private async within<T>(
    ms: number,
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
    try {
      return await Promise.race([body(ended), stopped]);
    } catch (error) {
      throw troubleOf(error, this.address);
    } finally {
      end();
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
  }
}
