import { loadMilvus } from "../../../../deps.ts";
import { abortable } from "../../../core/abort.ts";
import { ParleyError } from "../../../core/errors.ts";
import { accepted, explain, failureOf, isOverdue, isUnloaded, OLDEST, tooOld } from "./errors.ts";
import type { MilvusAddress } from "./url.ts";

type Sdk = Awaited<ReturnType<typeof loadMilvus>>;
export type MilvusClient = InstanceType<Sdk["MilvusClient"]>;

/** How one call is made. `collection` is the one to load where it is not in memory; `timeout_ms` stands for the usual. */
interface CallOptions {
  readonly collection?: string;
  readonly timeout_ms?: number;
  readonly signal?: AbortSignal | undefined;
}

interface Connection {
  readonly client: MilvusClient;
  readonly version: string;
}

/** First pause before a call is repeated; it doubles until the call's time is up. */
const PAUSE_MS = 50;

/** A server that is back is noticed within a second; gRPC by itself may wait two minutes. */
const RECONNECT = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 1_000 };

/** A client that is made anew would otherwise be given the socket that the former one waits on. */
const OWN_SOCKETS = { "grpc.use_local_subchannel_pool": 1 };

/** How long connecting may take: less than a call, so that a try that falls into a silence does not outlast it for long. */
const CONNECT_MS = 3_000;

/** HTTP/2 sessions end a moment after they are told to, and gRPC lets nobody wait for it. */
const CLOSE_TIMEOUT_MS = 100;

/** gRPC's state of a closed channel. */
const SHUTDOWN = 4;

/**
 * One connection to a Milvus, made at the first call, and anew after a call without an answer: gRPC would wait on a
 * socket that has fallen silent, for good where that happens while it connects. All calls here may be repeated without
 * harm.
 */
export class Milvus {
  private connecting: Promise<Connection> | null = null;
  /** Connections that are given up end here with their last call. */
  private readonly partings = new Set<Promise<void>>();
  private closed = false;

  /** `timeout_ms` is what one call may take, repeats included. */
  constructor(readonly address: MilvusAddress, private readonly timeout_ms: number) {}

  /**
   * Calls the server and gives its answer, once that says success. A collection that is not in memory is loaded
   * meanwhile; anything else that the server calls passing is tried again. gRPC is not told of an abort: the server
   * finishes what it was asked, within the timeout, and nobody waits for it.
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
    for (let pause = PAUSE_MS;; pause *= 2) {
      const connecting = this.connected();
      const { client } = await connecting;
      try {
        return accepted(await ask(client, Math.max(1, Math.ceil(deadline - performance.now()))));
      } catch (thrown) {
        const failure = failureOf(thrown);
        if (isOverdue(failure)) this.drop(connecting, client);
        options.signal?.throwIfAborted();
        if (this.closed) throw closed();
        const passing = failure.retriable || isUnloaded(failure);
        if (!passing || performance.now() + pause > deadline) throw explain(failure, this.address, "later");
        if (isUnloaded(failure) && options.collection) {
          await client.loadCollection({ collection_name: options.collection, timeout }).catch(() => {});
        }
        await new Promise((resume) => setTimeout(resume, pause));
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

  /** Says whether it was the present connection, which the next call makes anew. */
  private forget(connecting: Promise<Connection>): boolean {
    const present = this.connecting === connecting;
    if (present) this.connecting = null;
    return present;
  }

  /** Closes a connection as soon as what else was asked over it has ended. */
  private drop(connecting: Promise<Connection>, client: MilvusClient): void {
    if (!this.forget(connecting)) return;
    const parting = closeClient(client).finally(() => this.partings.delete(parting));
    this.partings.add(parting);
  }

  private async connect(): Promise<Connection> {
    const { host, tls, credentials, database } = this.address;
    const { MilvusClient } = await loadMilvus();
    const client = new MilvusClient({
      address: host,
      ssl: tls,
      ...credentials,
      database,
      // Of what names none of its own, which is connecting.
      timeout: Math.min(CONNECT_MS, this.timeout_ms),
      // The SDK gives each retry a whole timeout of its own; `call` repeats within one.
      maxRetries: 0,
      telemetry: { enabled: false },
      channelOptions: { ...RECONNECT, ...OWN_SOCKETS },
    });
    try {
      const hello: unknown = await client.connectPromise;
      const { server_info } = accepted(hello) as { server_info?: { build_tags?: string } };
      const version = server_info?.build_tags || (await client.getVersion()).version;
      refuseOld(version, `Milvus at ${host}`);
      return { client, version };
    } catch (thrown) {
      await closeClient(client);
      throw thrown instanceof ParleyError ? thrown : explain(failureOf(thrown), this.address, "opening");
    }
  }

  /** Waits for calls that are under way, each at most its timeout. */
  async close(): Promise<void> {
    this.closed = true;
    const connection = await this.connecting?.catch(() => null);
    if (connection) await closeClient(connection.client);
    await Promise.all(this.partings);
  }
}

/**
 * Closes the SDK's channels for good, once the calls under way have ended. It asks each for its state after closing it,
 * in a way that makes the channel connect again and leaves a socket and timers behind; so that question gets its answer
 * here. While calls hold channels, the pool would make new ones for who asks for all of them.
 */
async function closeClient(client: MilvusClient): Promise<void> {
  const { channelPool } = client;
  while (channelPool.borrowed > 0) await new Promise((resume) => setTimeout(resume, CLOSE_TIMEOUT_MS));
  const services = await Promise.all(Array.from({ length: channelPool.size }, () => channelPool.acquire()));
  for (const service of services) {
    service.getChannel().getConnectivityState = () => SHUTDOWN;
    await channelPool.release(service);
  }
  await client.closeConnection();
  await new Promise((resume) => setTimeout(resume, CLOSE_TIMEOUT_MS));
}

/** Zilliz Cloud names no version that could be compared; what it runs is new enough. */
function refuseOld(version: string, milvus: string): void {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return;
  const behind = Number(major) - OLDEST[0] || Number(minor) - OLDEST[1];
  if (behind < 0) throw tooOld(milvus, `is version ${version}`);
}

function closed(): ParleyError {
  return new ParleyError("unavailable", "the vector store is closed");
}
