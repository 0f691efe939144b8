import { loadMilvus } from "../../../../deps.ts";
import { abortable, sleep } from "../../../core/abort.ts";
import { ParleyError } from "../../../core/errors.ts";
import { accepted, explain, failureOf, isOverdue, isUnloaded, MIN_VERSION, tooOld } from "./errors.ts";
import type { MilvusAddress } from "./url.ts";

type Sdk = Awaited<ReturnType<typeof loadMilvus>>;
export type MilvusClient = InstanceType<Sdk["MilvusClient"]>;

/** `collection` is loaded if it is not in memory; `timeout_ms` replaces the default. */
interface CallOptions {
  readonly collection?: string;
  readonly timeout_ms?: number;
  readonly signal?: AbortSignal | undefined;
}

interface Connection {
  readonly client: MilvusClient;
  readonly version: string;
}

/** Delay before a call is repeated for the first time; it doubles until the call times out. */
const RETRY_DELAY_MS = 50;

/** A server that is back is found within a second; gRPC's default may wait two minutes. */
const RECONNECT = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 1_000 };

/** Otherwise a new client would get the socket that the former one waits on. */
const OWN_SOCKETS = { "grpc.use_local_subchannel_pool": 1 };

/** How long connecting may take: less than a call, so that a call to a silent server does not last much longer. */
const CONNECT_TIMEOUT_MS = 3_000;

/** HTTP/2 sessions end some time after they are closed, and gRPC has no way to wait for it. */
const CLOSE_TIMEOUT_MS = 100;

/** gRPC's state of a closed channel. */
const SHUTDOWN = 4;

/**
 * One connection to a Milvus, opened at the first call, and again after a call without an answer: gRPC would wait on a
 * silent socket, and forever if it falls silent while connecting. All calls here may be repeated.
 */
export class Milvus {
  private connecting: Promise<Connection> | null = null;
  /** Dropped connections, which close with their last call. */
  private readonly pendingCloses = new Set<Promise<void>>();
  private closed = false;

  /** `timeout_ms` is how long one call may take, with repeats. */
  constructor(readonly address: MilvusAddress, private readonly timeout_ms: number) {}

  /**
   * Calls the server and returns its answer, if that says success. A collection that is not in memory is loaded meanwhile;
   * other failures that the server calls retriable are retried. An abort does not reach gRPC: the server finishes the
   * call, within the timeout, and its answer is dropped.
   */
  call<T>(ask: (client: MilvusClient, timeout: number) => Promise<T>, options: CallOptions = {}): Promise<T> {
    return abortable(options.signal, () => this.repeat(ask, options));
  }

  private async repeat<T>(
    ask: (client: MilvusClient, timeout: number) => Promise<T>,
    options: CallOptions,
  ): Promise<T> {
    const timeout = options.timeout_ms ?? this.timeout_ms;
    const deadline = performance.now() + timeout;
    for (let pause = RETRY_DELAY_MS;; pause *= 2) {
      const connecting = this.connected();
      const { client } = await connecting;
      try {
        return accepted(await ask(client, Math.max(1, Math.ceil(deadline - performance.now()))));
      } catch (thrown) {
        const failure = failureOf(thrown);
        if (isOverdue(failure)) this.drop(connecting, client);
        options.signal?.throwIfAborted();
        if (this.closed) throw closed();
        const isTransient = failure.retriable || isUnloaded(failure);
        if (!isTransient || performance.now() + pause > deadline) {
          throw explain(failure, this.address, "later");
        }
        if (isUnloaded(failure) && options.collection) {
          await client.loadCollection({ collection_name: options.collection, timeout }).catch(() => {});
        }
        await sleep(pause);
      }
    }
  }

  /** The server's version, as it says it. */
  async version(): Promise<string> {
    return (await this.connected()).version;
  }

  private connected(): Promise<Connection> {
    if (this.closed) return Promise.reject(closed());
    if (this.connecting !== null) return this.connecting;
    const connecting = this.connecting = this.connect();
    connecting.catch(() => this.forget(connecting));
    return connecting;
  }

  /** Whether it was the current connection; if so, the next call connects again. */
  private forget(connecting: Promise<Connection>): boolean {
    const present = this.connecting === connecting;
    if (present) this.connecting = null;
    return present;
  }

  /** Closes a connection as soon as its other calls have ended. */
  private drop(connecting: Promise<Connection>, client: MilvusClient): void {
    if (!this.forget(connecting)) return;
    const closing = closeClient(client).finally(() => this.pendingCloses.delete(closing));
    this.pendingCloses.add(closing);
  }

  private async connect(): Promise<Connection> {
    const { host, tls, credentials, database } = this.address;
    const { MilvusClient } = await loadMilvus();
    const client = new MilvusClient({
      address: host,
      ssl: tls,
      ...credentials,
      database,
      // For calls without a timeout of their own: connecting.
      timeout: Math.min(CONNECT_TIMEOUT_MS, this.timeout_ms),
      // The SDK gives each retry a whole timeout; `call` repeats within one.
      maxRetries: 0,
      telemetry: { enabled: false },
      channelOptions: { ...RECONNECT, ...OWN_SOCKETS },
    });
    try {
      const hello: unknown = await client.connectPromise;
      const { server_info } = accepted(hello) as { server_info?: { build_tags?: string } };
      const version = server_info?.build_tags || (await client.getVersion()).version;
      checkVersion(version, `Milvus at ${host}`);
      return { client, version };
    } catch (thrown) {
      await closeClient(client);
      throw thrown instanceof ParleyError ? thrown : explain(failureOf(thrown), this.address, "opening");
    }
  }

  /** Waits for pending calls, each at most its timeout. */
  async close(): Promise<void> {
    this.closed = true;
    const connection = await this.connecting?.catch(() => null);
    if (connection) await closeClient(connection.client);
    await Promise.all(this.pendingCloses);
  }
}

/**
 * Closes the SDK's channels permanently, once pending calls have ended. The SDK reads each channel's state after closing it,
 * which makes the channel connect again and leaves a socket and timers behind; so the state is answered here. While calls
 * use channels, the pool would create new ones for a caller that acquires all of them.
 */
async function closeClient(client: MilvusClient): Promise<void> {
  const { channelPool } = client;
  while (channelPool.borrowed > 0) await sleep(CLOSE_TIMEOUT_MS);
  const services = await Promise.all(Array.from({ length: channelPool.size }, () => channelPool.acquire()));
  for (const service of services) {
    service.getChannel().getConnectivityState = () => SHUTDOWN;
    await channelPool.release(service);
  }
  await client.closeConnection();
  await sleep(CLOSE_TIMEOUT_MS);
}

/** Zilliz Cloud has no version that can be compared; it is new enough. */
function checkVersion(version: string, milvus: string): void {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return;
  const behind = Number(major) - MIN_VERSION[0] || Number(minor) - MIN_VERSION[1];
  if (behind < 0) throw tooOld(milvus, `is version ${version}`);
}

function closed(): ParleyError {
  return new ParleyError("unavailable", "the vector store is closed");
}
