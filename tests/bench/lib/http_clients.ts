/** One answer as a client saw it. */
export interface Answered {
  readonly status: number;
  readonly ms: number;
}

/**
 * Clients on loopback, each with a connection that it keeps, that ask for the next path as soon as they have an answer. They take
 * a third of the CPU time of `fetch`, which is that of the server too.
 */
export async function httpClients(
  { port, clients, requests, next }: {
    port: number;
    clients: number;
    requests: number;
    /** The path of the next request. */
    next: () => string;
  },
): Promise<Answered[]> {
  const answered: Answered[] = [];
  let sent = 0;
  const client = async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const read = responses(connection);
    while (sent++ < requests) {
      const start = performance.now();
      const request = `GET ${next()} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
      await writeAll(connection, new TextEncoder().encode(request));
      const status = await read();
      answered.push({ status, ms: performance.now() - start });
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return answered;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** Reads one response with each call, and returns its status. Each must have a `Content-Length`. */
function responses(connection: Deno.Conn): () => Promise<number> {
  const buffer = new Uint8Array(1 << 20);
  return async () => {
    let end = 0;
    let total = Infinity;
    let head = "";
    while (end < total) {
      const count = await connection.read(buffer.subarray(end));
      if (count === null) throw new Error("the server closed the connection");
      end += count;
      if (total !== Infinity) continue;
      head = new TextDecoder("latin1").decode(buffer.subarray(0, Math.min(end, 4_096)));
      const body = head.indexOf("\r\n\r\n") + 4;
      if (body < 4) continue;
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      if (length === undefined) throw new Error("a response has no Content-Length");
      total = body + Number(length);
    }
    return Number(head.slice(9, 12));
  };
}
