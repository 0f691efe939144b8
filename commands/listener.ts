import { sleep } from "../lib/core/abort.ts";
import { causeOf, messageOf } from "../lib/core/errors.ts";
import type { Logger } from "../lib/telemetry/log.ts";

/** A port that is listened to. */
interface Listener {
  readonly hostname: string;
  readonly port: number;
  /** Still answers for so long, and ends each connection after its answer, so that clients and proxies go to other processes. */
  drain(ms: number): Promise<void>;
  /** Stops listening, and waits for requests under way, but not for long. */
  close(): Promise<void>;
}

/** How long a port rests after listening has failed. */
const PAUSE_MS = 200;
/** How long closing waits for requests under way. */
const CLOSE_TIMEOUT_MS = 10_000;

/**
 * Answers HTTP until it is closed. `Deno.serve` stops permanently when a connection can't be accepted, as when the process has no
 * file descriptor left. Then the stopped server is shut down, which closes its idle connections and those whose request has not
 * come whole, and lets requests under way finish; and the port is listened to again.
 */
export function listenHttp(
  { hostname, port, handler, log }: {
    hostname: string;
    port: number;
    handler: Deno.ServeHandler<Deno.NetAddr>;
    log: Logger;
  },
): Listener {
  const closing = new AbortController();
  const draining = new Set<Promise<void>>();
  const onError = (error: unknown) => {
    log.error("an answer failed: {cause}", { cause: causeOf(error) });
    return new Response(null, { status: 500 });
  };
  let isDraining = false;
  const answer: Deno.ServeHandler<Deno.NetAddr> = async (request, info) => {
    const response = await handler(request, info);
    return isDraining ? endingConnection(response) : response;
  };
  const serve = (port: number) => Deno.serve({ hostname, port, onError, onListen: () => {} }, answer);

  const shutDown = (server: Deno.HttpServer) => {
    const drained: Promise<void> = server.shutdown()
      .catch((error) => log.error("a server did not shut down: {cause}", { cause: causeOf(error) }))
      .finally(() => draining.delete(drained));
    draining.add(drained);
  };

  let server = serve(port);
  const { addr } = server;

  const supervise = async () => {
    while (!closing.signal.aborted) {
      const reason = await server.finished.then(() => "the server ended", messageOf);
      if (closing.signal.aborted) return;
      // The system's own words, which quote no request.
      log.error("listening stopped: {reason}. Idle connections are closed, and it listens again", { reason });
      shutDown(server);
      await relisten();
    }
  };

  const relisten = async () => {
    for (;;) {
      await sleep(PAUSE_MS, closing.signal);
      if (closing.signal.aborted) return;
      try {
        server = serve(addr.port);
        return;
      } catch (error) {
        log.error("listening failed: {reason}", { reason: messageOf(error) });
      }
    }
  };

  supervise();
  const drain = async (ms: number) => {
    isDraining = true;
    await sleep(ms);
  };
  const close = async () => {
    closing.abort();
    shutDown(server);
    const waited = new AbortController();
    await Promise.race([Promise.all(draining), sleep(CLOSE_TIMEOUT_MS, waited.signal)]);
    waited.abort();
  };
  return { hostname: addr.hostname, port: addr.port, drain, close };
}

/** Headers of a response may be immutable, as those of a redirect. */
function endingConnection(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set("connection", "close");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
