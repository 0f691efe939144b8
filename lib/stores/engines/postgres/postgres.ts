import { loadPg, type PgClient, type PgClientBase, type PgPool, Socket } from "../../../../deps.ts";
import { abortable, onAbort, sleep } from "../../../core/abort.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Abortable, Health } from "../../../core/types.ts";
import { cancelStatement } from "./cancel.ts";
import { checkVersion, isBroken, PostgresError, postgresError } from "./errors.ts";
import { createExtension, extendSearchPath, type Extension, hasExtension } from "./extension.ts";
import { migrate, type Schema, schemaVersion } from "./schema.ts";
import { PgSession, type Queryable, type SqlValue, transaction } from "./session.ts";
import { parsePostgresUrl, type PostgresAddress } from "./url.ts";

/** Connections of one store in one process. */
const MAX_CONNECTIONS = 5;
/** How long one statement may take, unless its transaction says otherwise, and how long connecting may take. */
const STATEMENT_TIMEOUT_MS = 5_000;
/** How much longer than the server this side waits, so that the server's own timeout comes first. */
const GRACE_MS = 500;
/** A migration may rewrite tables, or wait for another process that does. */
const MIGRATION = { timeout_ms: 600_000 };
const IDLE_TIMEOUT_MS = 30_000;
/** Attempts at a transaction that the server rolls back in favour of another. */
const MAX_ATTEMPTS = 5;
/** How long closing waits for pending calls; what takes longer is cut off. */
const CLOSE_TIMEOUT_MS = 10_000;
/** How long closing waits for the server to close its side. */
const DISCONNECT_TIMEOUT_MS = 1_000;

const READ_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/** Of the tables of the connection's schema, with their indexes; text, since it is a sum of bigints. */
const SIZE = `SELECT sum(pg_total_relation_size(c.oid)) AS bytes FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`;
const SIZE_TIMEOUT_MS = 300;
const READ_ONLY = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

export interface PostgresOptions extends Omit<Schema, "name"> {
  /** See {@link parsePostgresUrl}. */
  readonly url: URL;
  /** What the tables and statements use beyond PostgreSQL itself. */
  readonly extension?: Extension;
  /** Statements for each new connection, such as `SET`. */
  readonly settings?: string;
}

/** The server cancels the statement of an aborted transaction. */
interface Limits extends Abortable {
  /** For each of its statements. Default 5 s. */
  readonly timeout_ms?: number;
}

/**
 * One store's tables in one schema of a PostgreSQL database, connected and migrated at the first call, or at the next one
 * after that failed. Uses `pg`: it is well maintained, and its statements have a deadline on this side too, so that a
 * server which accepts connections and never answers is noticed.
 *
 * Connection poolers must be in session mode: statements are prepared, and settings hold for a connection.
 */
export class Postgres implements Queryable {
  private readonly address: PostgresAddress;
  private readonly schema: Schema;
  private readonly extension: Extension | undefined;
  private readonly settings: string;
  private readonly where: string;
  private readonly names = new Map<string, string>();
  private readonly sockets = new Set<Socket>();
  private readonly pending = new Set<Promise<unknown>>();
  private opening: Promise<PgPool> | null = null;
  private closing: Promise<void> | null = null;

  constructor({ url, extension, settings = "", ...schema }: PostgresOptions) {
    this.address = parsePostgresUrl(url);
    const { host, port, database } = this.address;
    this.where = `${host}:${port}/${database}`;
    this.schema = { ...schema, name: this.address.schema };
    this.extension = extension;
    this.settings = settings;
  }

  /** For a statement that writes nothing: it is repeated once if the connection broke. */
  all<Row>(sql: string, values: readonly SqlValue[] = [], options: Abortable = {}): Promise<Row[]> {
    return this.retryRead(() => this.connected((session) => session.all<Row>(sql, values), options));
  }

  /** As {@link Postgres.all}. */
  get<Row>(sql: string, values: readonly SqlValue[] = [], options: Abortable = {}): Promise<Row | null> {
    return this.retryRead(() => this.connected((session) => session.get<Row>(sql, values), options));
  }

  run(sql: string, values: readonly SqlValue[] = [], options: Abortable = {}): Promise<number> {
    return this.connected((session) => session.run(sql, values), options);
  }

  /** One statement that writes nothing, as {@link Postgres.all}. */
  query<T>(body: (session: PgSession) => Promise<T>, options: Abortable = {}): Promise<T> {
    return this.retryRead(() => this.connected(body, options));
  }

  /**
   * Runs `body` in a transaction: whole, or not at all. Each statement sees what is committed when it starts, so `body`
   * locks what must not change meanwhile. It may be called again if the server rolled it back in favour of another one; if
   * the connection breaks, it is tried again only if `body` has not begun.
   */
  async write<T>(body: (session: PgSession) => Promise<T>, limits: Limits = {}): Promise<T> {
    for (let attempt = 1;; attempt++) {
      let begun = false;
      const work = (session: PgSession) => {
        begun = true;
        return body(session);
      };
      try {
        return await this.connected((session) => transaction(session, READ_WRITE, limits, work), limits);
      } catch (error) {
        const retryable = error instanceof PostgresError ? error.retryable : null;
        const isSafe = retryable === "transaction" || retryable === "read" && !begun;
        if (!isSafe || attempt === MAX_ATTEMPTS) throw error;
        await sleep(Math.random() * 20);
      }
    }
  }

  /** Several reads of one state of the database. */
  read<T>(body: (session: PgSession) => Promise<T>, limits: Limits = {}): Promise<T> {
    return this.retryRead(() =>
      this.connected((session) => transaction(session, READ_ONLY, limits, body), limits)
    );
  }

  private async retryRead<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof PostgresError) || error.retryable !== "read") throw error;
      return await read();
    }
  }

  /** Lends a connection, which is closed if it broke. */
  private connected<T>(body: (session: PgSession) => Promise<T>, limits: Limits): Promise<T> {
    return abortable(limits.signal, () => {
      const call = this.open().then((pool) => this.borrow(pool, body, limits));
      this.pending.add(call);
      const done = () => this.pending.delete(call);
      call.then(done, done);
      return call;
    });
  }

  private async borrow<T>(
    pool: PgPool,
    body: (session: PgSession) => Promise<T>,
    limits: Limits,
  ): Promise<T> {
    const client = await pool.connect().catch((error) => {
      throw postgresError(error, this.where);
    });
    const { promise: idle, resolve: setIdle } = Promise.withResolvers<void>();
    let cancelled: Promise<void> | null = null;
    const stopListening = onAbort(limits.signal, () => cancelled = this.cancel(client, idle));
    let broken = true;
    try {
      const result = await body(this.session(client, limits));
      broken = false;
      return result;
    } catch (error) {
      broken = isBroken(error);
      throw error;
    } finally {
      stopListening();
      setIdle();
      // A cancellation that is still on its way would cancel the next statement.
      await cancelled;
      client.release(broken);
    }
  }

  private cancel(client: PgClient, idle: Promise<void>): Promise<void> {
    return cancelStatement({ client, address: this.address, socket: () => this.socket(), idle });
  }

  private session(client: PgClient, { timeout_ms = STATEMENT_TIMEOUT_MS, signal }: Limits): PgSession {
    const { where, names } = this;
    return new PgSession({ client, where, names, timeout_ms: timeout_ms + GRACE_MS, signal });
  }

  private open(): Promise<PgPool> {
    if (this.closing !== null) {
      return Promise.reject(new ParleyError("unavailable", `the ${this.schema.store} were closed`));
    }
    this.opening ??= this.connect().catch((error) => {
      this.opening = null;
      throw error;
    });
    return this.opening;
  }

  private async connect(): Promise<PgPool> {
    const pool = await this.pool();
    try {
      if (await this.borrow(pool, (session) => this.isCurrent(session), {})) return pool;
      const work = (session: PgSession) =>
        transaction(session, READ_WRITE, MIGRATION, () => this.prepare(session));
      await this.borrow(pool, work, MIGRATION);
      return pool;
    } catch (error) {
      await this.end(pool);
      throw error;
    }
  }

  private async prepare(session: PgSession): Promise<void> {
    const { extension, where } = this;
    if (extension !== undefined && !await hasExtension(session, extension, where)) {
      await createExtension(session, extension, where);
    }
    await migrate(session, this.schema);
  }

  private async isCurrent(session: PgSession): Promise<boolean> {
    const sql = "SELECT current_setting('server_version_num')::int AS number";
    checkVersion((await session.get<{ number: number }>(sql))?.number ?? 0, this.where);
    const { extension } = this;
    if (extension !== undefined && !await hasExtension(session, extension, this.where)) return false;
    return await schemaVersion(session, this.schema) === this.schema.migrations.length;
  }

  private async pool(): Promise<PgPool> {
    const { Pool, types } = await loadPg();
    const { schema: _schema, ...address } = this.address;
    const pool = new Pool({
      ...address,
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: STATEMENT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS + GRACE_MS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      keepAlive: true,
      application_name: `parley ${this.schema.store}`,
      stream: () => this.socket(),
      types: { getTypeParser: (oid, format) => oid === BIGINT ? Number : types.getTypeParser(oid, format) },
      onConnect: (client) => this.configure(client),
    });
    // The next call finds out that an idle connection broke; nothing else depends on it.
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    return pool;
  }

  /** Sockets are recorded, so that closing leaves none behind, whatever the server does. */
  private socket(): Socket {
    const socket = new Socket();
    this.sockets.add(socket);
    socket.once("close", () => this.sockets.delete(socket));
    return socket;
  }

  private async configure(client: PgClientBase): Promise<void> {
    await client.query(
      `SET search_path = "${this.address.schema}"; SET statement_timeout = ${STATEMENT_TIMEOUT_MS};
       SET idle_in_transaction_session_timeout = ${IDLE_TIMEOUT_MS}; SET synchronous_commit = on;
       ${this.extension === undefined ? "" : extendSearchPath(this.extension)}; ${this.settings}`,
    );
  }

  async health(options: Abortable = {}): Promise<Health> {
    const start = performance.now();
    const sql = "SELECT current_setting('server_version') AS version";
    const row = await this.get<{ version: string }>(sql, [], options);
    const latency_ms = performance.now() - start;
    return { adapter: "postgres", version: row?.version ?? "", latency_ms, bytes: await this.size(options) };
  }

  /** Null while a whole table is locked, as by `VACUUM FULL`: its size is known only afterwards, and health does not wait. */
  private async size({ signal }: Abortable): Promise<number | null> {
    const timeout = AbortSignal.timeout(SIZE_TIMEOUT_MS);
    const options = { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) };
    try {
      const row = await this.get<{ bytes: string | null }>(SIZE, [], options);
      return Number(row?.bytes ?? 0);
    } catch (error) {
      if (error !== timeout.reason) throw error;
      return null;
    }
  }

  /** Waits for pending calls up to 10 s, refuses new ones, and leaves no connection. */
  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  private async finish(): Promise<void> {
    const timer = setTimeout(() => this.disconnect(), CLOSE_TIMEOUT_MS);
    await Promise.allSettled(this.pending);
    clearTimeout(timer);
    const pool = await this.opening?.catch(() => null);
    if (pool) await this.end(pool);
  }

  private async end(pool: PgPool): Promise<void> {
    await pool.end();
    const deadline = performance.now() + DISCONNECT_TIMEOUT_MS;
    while (this.sockets.size > 0 && performance.now() < deadline) await sleep(2);
    this.disconnect();
  }

  private disconnect(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

const BIGINT = 20;
