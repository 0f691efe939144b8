import { loadPg, type PgClient, type Socket } from "../../../../deps.ts";
import type { PostgresAddress } from "./url.ts";

/** How long a server may take to be reached for a cancellation, and a statement to end by it. */
const CANCEL_MS = 1_000;

/** What is used here of the driver's connections beyond its types: the two numbers that name one to the server. */
interface Named {
  readonly processID: number;
  readonly secretKey: number;
  readonly connection: { readonly stream: Socket };
}

/** The driver's bare connection, on which nobody has logged in. */
interface Bare {
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processID: number, secretKey: number): void;
  on(event: string, act: () => void): void;
  readonly stream: Socket;
}

/**
 * Asks the server to cancel what a connection is busy with, as the protocol has it: on a connection of its own, which
 * needs no login and takes none of `max_connections`, and which the server closes once it has passed the word on.
 * Where the connection is still busy afterwards, or the server does not listen, it is destroyed. Never throws.
 */
export async function cancelStatement(
  options: { client: PgClient; address: PostgresAddress; socket: () => Socket; idle: Promise<unknown> },
): Promise<void> {
  const { processID, secretKey, connection } = options.client as unknown as Named;
  const { Connection } = await loadPg();
  const { ssl, host, port } = options.address;
  const bare = new Connection({ stream: options.socket(), ssl } as object) as unknown as Bare;
  const { promise: told, resolve } = Promise.withResolvers<void>();
  const late = setTimeout(() => {
    bare.stream.destroy();
    connection.stream.destroy();
    resolve();
  }, CANCEL_MS);
  const cancel = () => bare.cancel(processID, secretKey);
  bare.on("connect", () => ssl === false ? cancel() : bare.requestSsl());
  bare.on("sslconnect", cancel);
  bare.on("error", resolve);
  bare.on("end", resolve);
  bare.connect(port, host);
  await Promise.all([told, options.idle]);
  clearTimeout(late);
  bare.stream.destroy();
}
