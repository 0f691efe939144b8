import { bulkhead, type BulkheadPolicy } from "../../../deps.ts";
import { abortable, onAbort, sleep } from "../../core/abort.ts";
import { backoff, retryAfter } from "../../core/backoff.ts";
import { type ErrorCode, ParleyError } from "../../core/errors.ts";
import { authorization, type OriginKey, withholds } from "../../core/origin_key.ts";
import type { Endpoint } from "./url.ts";

/** The most tries of one request, and the longest wait between two. */
const MAX_TRIES = 5;
const MAX_WAIT_MS = 60_000;
const BACKOFF = { base_ms: 250, cap_ms: 10_000 };
/** Largest answer that is read: some thousand vectors of the longest kind. */
const MAX_BODY_BYTES = 64 * 2 ** 20;

interface CallErrorOptions {
  /** Whether the same request may succeed later. */
  readonly retryable?: boolean;
  /** The header's text; a task's retries use it too. */
  readonly retry_after?: string | null;
  readonly cause?: unknown;
}

export class CallError extends ParleyError {
  readonly retryable: boolean;
  readonly retry_after: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    { retryable = false, retry_after = null, cause }: CallErrorOptions,
  ) {
    super(code, message, { cause });
    this.retryable = retryable;
    this.retry_after = retry_after;
  }

  /** Whether the endpoint would not have what it was sent, such as a text that is too long. */
  get refused(): boolean {
    return this.code === "invalid";
  }
}

export interface Call {
  /** After the endpoint's own path. */
  readonly path?: string;
  /** Sent as JSON; without it the request is a GET. */
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
}

/** Requests to one endpoint: so many at one time, each in limited time, repeated where that may help. */
export class Caller {
  private readonly slots: BulkheadPolicy;

  constructor(private readonly endpoint: Endpoint, private readonly key: OriginKey | null) {
    this.slots = bulkhead(endpoint.concurrency, Infinity);
  }

  /**
   * The answer's JSON. Throws {@link CallError} in a sentence that names the host alone, or the signal's reason. Silence,
   * a lost connection, 408, 424, 425, 429 and 5xx are tried again: when `Retry-After` says, or by exponential backoff with
   * full jitter.
   */
  call(options: Call): Promise<unknown> {
    return abortable(options.signal, () => this.slots.execute(() => this.callWithRetries(options)));
  }

  private async callWithRetries(options: Call): Promise<unknown> {
    for (let tries = 1;; tries++) {
      options.signal?.throwIfAborted();
      try {
        return await this.send(options);
      } catch (error) {
        options.signal?.throwIfAborted();
        const wait_ms = retryDelay(error, tries);
        if (wait_ms === null) throw error;
        await sleep(wait_ms, options.signal);
        options.signal?.throwIfAborted();
      }
    }
  }

  private async send({ path = "", body, signal }: Call): Promise<unknown> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), this.endpoint.timeout_ms);
    const stopListening = onAbort(signal, () => timeout.abort());
    try {
      const url = new URL(this.endpoint.url);
      url.pathname = url.pathname.replace(/\/$/, "") + path;
      const response = await fetch(url, { ...this.request(body), signal: timeout.signal });
      if (!response.ok) await this.refuse(response);
      return this.parse(await this.read(response));
    } catch (error) {
      if (error instanceof CallError) throw error;
      throw this.connectionError(error, timeout.signal.aborted);
    } finally {
      clearTimeout(timer);
      stopListening();
    }
  }

  /** Redirects are not followed: they would take texts to another host than the one that was configured. */
  private request(body: object | undefined): RequestInit {
    const headers = {
      accept: "application/json",
      ...authorization(this.key, this.endpoint.url),
    };
    if (body === undefined) return { headers, redirect: "manual" };
    const json = { ...headers, "content-type": "application/json" };
    return { method: "POST", headers: json, body: JSON.stringify(body), redirect: "manual" };
  }

  private async refuse({ status, headers, body }: Response): Promise<never> {
    // The response may quote the texts.
    await body?.cancel();
    const [code, sentence] = this.meaningOf(status);
    const retryable = RETRYABLE_STATUS.includes(status) || status >= 500;
    const retry_after = headers.get("retry-after");
    throw this.error(code, `answers with HTTP ${status}: ${sentence}`, { retryable, retry_after });
  }

  private meaningOf(status: number): [ErrorCode, string] {
    const [code, sentence] = meaningOf(status);
    return code === "denied" && withholds(this.key, this.endpoint.url)
      ? [code, withheldNote(this.endpoint.host)]
      : [code, sentence];
  }

  private async read(response: Response): Promise<string> {
    const decoder = new TextDecoder();
    let text = "", size = 0;
    for await (const bytes of response.body ?? []) {
      size += bytes.length;
      if (size > MAX_BODY_BYTES) {
        throw this.invalidAnswer(`answers with more than ${MAX_BODY_BYTES / 2 ** 20} MiB`);
      }
      text += decoder.decode(bytes, { stream: true });
    }
    return text + decoder.decode();
  }

  private parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw this.invalidAnswer("answers with something that is not JSON");
    }
  }

  /** An answer that is no answer; asking again would not help. */
  invalidAnswer(problem: string, code: ErrorCode = "unavailable"): CallError {
    return this.error(code, `${problem}: look whether PARLEY_EMBEDDINGS names its embeddings API`);
  }

  private error(code: ErrorCode, problem: string, options: CallErrorOptions = {}): CallError {
    return new CallError(code, `the embeddings endpoint ${this.endpoint.host} ${problem}`, options);
  }

  private connectionError(cause: unknown, isTimeout: boolean): CallError {
    const { host, timeout_ms } = this.endpoint;
    if (cause instanceof Deno.errors.NotCapable) {
      return this.error("denied", `is out of bounds: run with --allow-net=${host}`, { cause });
    }
    const problem = isTimeout
      ? `did not answer within ${timeout_ms / 1_000} s: see whether it is overloaded, or set ?timeout_ms=`
      : "could not be reached, or cut the connection: see whether it runs";
    return this.error("unavailable", problem, { retryable: true, cause });
  }
}

/** What a status means, and what to do about it. */
function meaningOf(status: number): [ErrorCode, string] {
  if (status < 400) return ["unavailable", "it redirects, so set PARLEY_EMBEDDINGS to where that leads"];
  if (status === 401 || status === 403) {
    return ["denied", "set PARLEY_EMBEDDINGS_KEY to a key that may embed"];
  }
  if (status === 404 || status === 405) {
    return ["not_found", "look whether PARLEY_EMBEDDINGS has the right path and model"];
  }
  if (status === 400 || status === 413 || status === 422) {
    return ["invalid", "look whether PARLEY_EMBEDDINGS has a model and dimensions that it knows"];
  }
  if (status === 429) {
    return ["unavailable", "it takes no more for now, so try later or set ?concurrency= lower"];
  }
  return ["unavailable", "see its own log, and try again"];
}

/** For an endpoint that is sent no key, although there is one. */
export function withheldNote(host: string): string {
  return `PARLEY_EMBEDDINGS_KEY is not sent to ${host}, since it belongs to the endpoint in PARLEY_EMBEDDINGS: to use ` +
    "another key, set both for this run, as in `PARLEY_EMBEDDINGS=URL PARLEY_EMBEDDINGS_KEY=KEY deno task pipeline " +
    "run reembed --param model=URL`";
}

/** Besides 5xx, statuses of a request that may be repeated. */
const RETRYABLE_STATUS: readonly number[] = [408, 424, 425, 429];

/** How long to wait before the next try, in milliseconds; null if the call is not tried again. */
function retryDelay(error: unknown, tries: number): number | null {
  if (!(error instanceof CallError) || !error.retryable || tries >= MAX_TRIES) return null;
  const retry_after_ms = retryAfter(error, Date.now());
  if (retry_after_ms === null) return backoff({ tries, ...BACKOFF, random: Math.random });
  return retry_after_ms > MAX_WAIT_MS ? null : retry_after_ms;
}
