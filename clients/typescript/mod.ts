import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

/** The objects of the API by name, such as `Schemas["Answer"]`. */
export type Schemas = components["schemas"];
export type ParleyClient = Client<paths>;

export interface ParleyOptions {
  /** Where the service is, such as `https://parley.example`. */
  readonly url: string;
  /** An API key; a service on loopback may need none. */
  readonly key?: string;
  /** How often a request is sent again if the service is busy (429 or 503 with `Retry-After`). Default 2. */
  readonly retries?: number;
  /** The longest time to wait before one more try, in milliseconds: a longer `Retry-After` is not waited for. Default 30,000. */
  readonly max_wait_ms?: number;
  /** Default: the global one. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/**
 * A client whose paths, parameters, bodies and answers are typed. A call gives `{ data, error, response }`: `error` is the
 * problem if the status is not 2xx. It rejects only if there is no response. Calls take a `signal`, which also ends a wait.
 *
 * @example
 * ```ts ignore
 * const parley = createParleyClient({ url: "http://127.0.0.1:8000" });
 * const { data, error } = await parley.GET("/recommendations/{user_id}", {
 *   params: { path: { user_id: "ann" }, query: { k: 5 } },
 * });
 * ```
 */
export function createParleyClient(
  { url, key, retries = 2, max_wait_ms = 30_000, fetch: send = (request) => fetch(request) }: ParleyOptions,
): ParleyClient {
  return createClient<paths>({
    baseUrl: url,
    ...key !== undefined && { headers: { authorization: `Bearer ${key}` } },
    fetch: async (request) => {
      for (let attempt = 0;; attempt++) {
        // A body can be sent once: what may be sent again is a copy.
        const response = await send(attempt < retries ? request.clone() : request);
        const wait_ms = attempt < retries ? retryAfter(response) : null;
        if (wait_ms === null || wait_ms > max_wait_ms) return response;
        await response.body?.cancel();
        await wait(wait_ms, request.signal);
      }
    },
  });
}

/** How long a busy service asks to wait, in milliseconds; null if it is not busy or does not say. */
function retryAfter({ status, headers }: Response): number | null {
  const value = headers.get("retry-after");
  if (value === null || (status !== 429 && status !== 503)) return null;
  const ms = /^\d+$/.test(value) ? 1_000 * Number(value) : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** Rejects with the signal's reason if it is aborted meanwhile. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const end = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", end);
      resolve();
    }, ms);
    signal.addEventListener("abort", end, { once: true });
  });
}
