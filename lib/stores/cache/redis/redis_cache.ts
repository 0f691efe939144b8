import { loadRedis, type Redis } from "../../../../deps.ts";
import { abortable } from "../../../core/abort.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Abortable, Health } from "../../../core/types.ts";
import type { Cache } from "../port.ts";
import { addressOf, closedError, explainRedis, parseRedisUrl } from "./url.ts";

const CALL_TIMEOUT_MS = 5_000;
/** For how long calls fail at once after a connection failed, so that a dead Redis costs no time. */
const RETRY_DELAY_MS = 500;
/** Keys that one step of a scan reads. */
const SCAN_COUNT = 1_000;
/** How long closing waits for the server to close its side. */
const CLOSE_TIMEOUT_MS = 100;

/**
 * Answers in Redis, or a server with its protocol. Keys begin with `namespace:`. Every entry has a time to live, and
 * `maxmemory` with the policy `allkeys-lru` bounds the server's memory, so nothing has to be scanned.
 *
 * The first call connects. After a lost connection, the next call connects again; nothing runs in the background.
 */
export class RedisCache implements Cache {
  private readonly url: URL;
  private readonly call_ms: number;
  private readonly namespace: string;
  private readonly database: number;
  private client: Promise<Redis> | null = null;
  private connecting: Promise<void> | null = null;
  private retry_at = 0;
  /** The driver's last error event; its rejections say only "Connection is closed." */
  private lastError: unknown = null;
  private closed = false;

  /**
   * `url` is `redis://[user]:password@host:port/database?namespace=parley`, or `rediss://` for TLS. Throws `invalid`
   * for another one.
   */
  constructor(options: { url: URL; call_ms?: number }) {
    this.url = options.url;
    this.call_ms = options.call_ms ?? CALL_TIMEOUT_MS;
    ({ namespace: this.namespace, database: this.database } = parseRedisUrl(options.url));
  }

  get(options: { key: string } & Abortable): Promise<string | null> {
    return this.run((redis) => redis.get(this.name(options.key)), options);
  }

  /** An entry without time to live only removes the one before it. */
  async set(options: { key: string; value: string; ttl_ms: number } & Abortable): Promise<void> {
    const [key, ttl] = [this.name(options.key), Math.ceil(options.ttl_ms)];
    await this.run<unknown>(
      (redis) => ttl > 0 ? redis.set(key, options.value, "PX", ttl) : redis.del(key),
      options,
    );
  }

  async tryLock(options: { key: string; ttl_ms: number } & Abortable): Promise<boolean> {
    const [key, ttl] = [this.name(options.key), Math.ceil(options.ttl_ms)];
    return await this.run((redis) => redis.set(key, "", "PX", ttl, "NX"), options) === "OK";
  }

  evaluate(
    { script, keys, args }: { script: string; keys: readonly string[]; args: readonly string[] },
  ): Promise<unknown> {
    const names = keys.map((key) => this.name(key));
    return this.run((redis) => redis.eval(script, names.length, ...names, ...args), {});
  }

  /** Removes all entries and locks of the namespace. */
  async clear(): Promise<void> {
    const pattern = `${this.namespace.replaceAll(/[\\*?[\]^-]/g, "\\$&")}:*`;
    for (let cursor = "", keys: string[]; cursor !== "0";) {
      const from = cursor || "0";
      [cursor, keys] = await this.run((redis) => redis.scan(from, "MATCH", pattern, "COUNT", SCAN_COUNT), {});
      if (keys.length > 0) await this.run((redis) => redis.del(...keys), {});
    }
  }

  async health(options: Abortable = {}): Promise<Health> {
    const info = await this.run((redis) => redis.info(), options);
    const field = (name: string) => new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1];
    const start = performance.now();
    await this.run((redis) => redis.ping(), options);
    const latency_ms = performance.now() - start;
    const used = field("used_memory");
    const bytes = used === undefined ? null : Number(used);
    return { adapter: "redis", version: field("redis_version") ?? "", latency_ms, bytes };
  }

  async close(): Promise<void> {
    this.closed = true;
    const redis = await this.client?.catch(() => null);
    if (redis) await disconnect(redis);
  }

  private name(key: string): string {
    return `${this.namespace}:${key}`;
  }

  /** A command that was sent cannot be taken back: an aborted call only stops waiting for its answer. */
  private run<T>(work: (redis: Redis) => Promise<T>, { signal }: Abortable): Promise<T> {
    return abortable(signal, () => this.call(work));
  }

  private async call<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    try {
      const redis = await (this.client ??= this.createClient());
      await this.ready(redis);
      return await work(redis);
    } catch (error) {
      throw this.explain(error);
    }
  }

  private async ready(redis: Redis): Promise<void> {
    if (this.closed) throw closedError(this.url);
    if (redis.status === "ready") return;
    if (performance.now() < this.retry_at) throw this.lastError;
    await (this.connecting ??= this.connect(redis).finally(() => this.connecting = null));
  }

  private async connect(redis: Redis): Promise<void> {
    this.lastError = null;
    try {
      await redis.connect();
    } catch (error) {
      this.lastError ??= error;
    }
    // If the database does not exist, the driver reports it and continues in database 0.
    if (this.lastError === null) return;
    this.retry_at = performance.now() + RETRY_DELAY_MS;
    await disconnect(redis);
    throw this.lastError;
  }

  /** No queue and no resending: an answer that comes later is of no use. */
  private async createClient(): Promise<Redis> {
    const { Redis } = await loadRedis();
    const redis = new Redis({
      ...addressOf(this.url),
      db: this.database,
      lazyConnect: true,
      connectTimeout: this.call_ms,
      commandTimeout: this.call_ms,
      socketTimeout: this.call_ms,
      disconnectTimeout: CLOSE_TIMEOUT_MS,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      autoResendUnfulfilledCommands: false,
      retryStrategy: null,
      // A former primary refuses writes for as long as the connection lives.
      reconnectOnError: ({ message }) => message.startsWith("READONLY"),
    });
    redis.on("error", (error) => this.lastError = error);
    return redis;
  }

  private explain(error: unknown): ParleyError {
    if (this.closed) return closedError(this.url);
    return error instanceof ParleyError ? error : explainRedis(error, this.url);
  }
}

/** Does nothing without a connection: the driver would leave a timer behind. */
async function disconnect(redis: Redis): Promise<void> {
  if (redis.status === "wait" || redis.status === "end") return;
  const ended = new Promise<void>((resolve) => redis.once("end", resolve));
  redis.disconnect();
  await ended;
}
