import { loadPg, type PgClient, type Socket } from "../../../../deps.ts";
import type { PostgresAddress } from "./url.ts";

/** How long a server may take to be reached for a cancellation, and a statement to end by it. */
const CANCEL_TIMEOUT_MS = 1_000;

/** What the driver's connections have beyond its types: the two numbers by which the server knows one. */
interface BackendKey {
  readonly processID: number;
  readonly secretKey: number;
  readonly connection: { readonly stream: Socket };
}

/** The driver's connection before a login. */
interface BareConnection {
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
  on(event: string, act: () => void): void;
  readonly stream: Socket;
}

/**
 * Asks the server to cancel the statement of a connection, by the protocol: on a connection of its own, which needs no
 * login and takes none of `max_connections`, and which the server closes once it has passed the request on. A connection
 * that is still busy after that, or whose server does not respond, is destroyed. Never throws.
 */
export async function cancelStatement(
  options: { client: PgClient; address: PostgresAddress; socket: () => Socket; idle: Promise<unknown> },
): Promise<void> {
  const { processID, secretKey, connection } = options.client as unknown as BackendKey;
  const { Connection } = await loadPg();
  const { ssl, host, port } = options.address;
  const bare = new Connection({ stream: options.socket(), ssl } as object) as unknown as BareConnection;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    bare.stream.destroy();
    connection.stream.destroy();
    resolve();
  }, CANCEL_TIMEOUT_MS);
  const cancel = () => bare.cancel(processID, secretKey);
  bare.on("connect", () => ssl === false ? cancel() : bare.requestSsl());
  bare.on("sslconnect", cancel);
  bare.on("error", resolve);
  bare.on("end", resolve);
  bare.connect(port, host);
  await Promise.all([done, options.idle]);
  clearTimeout(timer);
  bare.stream.destroy();
}
