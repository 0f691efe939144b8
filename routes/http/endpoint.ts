import type { Context } from "../../deps.ts";
import { causeOf, ParleyError } from "../../lib/core/errors.ts";
import type { Scope } from "../../lib/core/types.ts";
import type { RequestOutcome, ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import { nameRequest } from "../../lib/telemetry/tracing.ts";
import type { AuditLog, AuditNote } from "./audit_log.ts";
import type { Authorize } from "./auth.ts";
import type { CheckHost } from "./host.ts";
import type { RateLimiter, RateLimitHeaders } from "./rate_limiter.ts";
import { HttpError, type Problem, problemOf, problemResponse } from "./problem.ts";

/** One request in the log. It holds the route's pattern and never the path, whose parts identify users. */
export interface LogEntry extends RequestOutcome {
  /** From the caller's `X-Request-Id`, or new; also in the response's header and in a problem's `instance`. */
  readonly request_id: string;
  readonly route: string;
  /** What the cache gave, if it was asked. */
  readonly cache?: string | undefined;
  /** Stores that failed meanwhile, each with the cause. */
  readonly degraded?: Readonly<Record<string, string>> | undefined;
  /** What went wrong in the service; with a status below 500, after the response began. */
  readonly error?: string | undefined;
}
export type Log = (entry: LogEntry) => void;

/** The request's id, and what an endpoint adds to its log entry and to its entry in the audit log. */
export type Note =
  & Pick<LogEntry, "request_id">
  & { -readonly [field in "cache" | "degraded" | "error"]?: LogEntry[field] }
  & AuditNote
  & {
    /** Of a request that was counted. */
    rate_limit?: RateLimitHeaders;
  };

/** What {@link Note.degraded} has of stores that failed. */
export function causesByStore(failures: ReadonlyMap<string, unknown>): Record<string, string> {
  return Object.fromEntries(Array.from(failures, ([store, error]) => [store, causeOf(error)]));
}

/** Logs an error that ended a response after it began, such as a stream. */
export type ReportError = (error: unknown) => void;

export interface Endpoint {
  /** The path's pattern, such as `/recommendations/:user_id`. */
  readonly route: string;
  /** What a key must allow; null needs no key. */
  readonly scope: Scope | null;
  /** Whether the serving window counts its requests. */
  readonly answers?: true;
  /** Whether the audit log has the requests that were let in. An answer waits until it has. */
  readonly audited?: boolean;
  /** The response's headers must be mutable: use `context.redirect()` and not `Response.redirect()`. */
  readonly handle: (context: Context, note: Note, report: ReportError) => Response | Promise<Response>;
  /** How an error becomes a response. Default a problem in JSON. */
  readonly failure?: Failure;
}

export type Failure = (
  problem: Problem,
  headers: Readonly<Record<string, string>>,
  context: Context,
) => Response;

interface EndpointOptions {
  readonly checkHost: CheckHost;
  readonly authorize: Authorize;
  readonly audit: AuditLog;
  /** Without it, requests are not limited. */
  readonly rateLimiter: RateLimiter | null;
  readonly log: Log | null;
  readonly metrics: ServingMetrics;
}

/**
 * An endpoint as a handler, which checks the host and the key, turns errors into problems, counts, and logs one line. It is
 * one wrapper, since a chain of middleware costs more than reading a cached answer.
 */
export function handlerOf(
  endpoint: Endpoint,
  options: EndpointOptions,
): (context: Context) => Promise<Response> {
  const { checkHost, authorize, rateLimiter } = options;
  const checks = { checkHost, authorize, rateLimiter };
  const record = options.metrics.route(endpoint.route);
  return async (context) => {
    const start = performance.now();
    const request_id = requestIdOf(context);
    const note: Note = { request_id };
    const { method } = context.req;
    nameRequest(method, endpoint.route);
    const outcome = (status: number) => {
      const ms = Math.round(1_000 * (performance.now() - start)) / 1_000;
      return { method, status, ms };
    };
    const report = (error: unknown) =>
      options.log?.({
        request_id,
        ...outcome(response.status),
        route: endpoint.route,
        error: causeOf(error),
      });
    const answered = await answer(endpoint, { ...checks, context, note, report });
    const response = endpoint.audited && note.caller !== undefined
      ? await audited(answered, endpoint, options.audit, context, note)
      : answered;
    response.headers.set("x-request-id", request_id);
    if (note.rate_limit !== undefined) {
      for (const [name, value] of Object.entries(note.rate_limit)) response.headers.set(name, value);
    }
    const request = outcome(response.status);
    record(request);
    if (endpoint.answers) options.metrics.addToWindow(request, note);
    const { cache, degraded, error } = note;
    options.log?.({ ...request, route: endpoint.route, request_id, cache, degraded, error });
    return response;
  };
}

/** The fingerprint of the caller's key; null without one. */
export function callerKey({ caller }: Note): string | null {
  return /^key (.+)$/.exec(caller ?? "")?.[1] ?? null;
}

/** The caller's id for the request if it is short and plain enough to be logged, otherwise a new one. */
function requestIdOf(context: Context): string {
  const given = context.req.header("x-request-id");
  return given !== undefined && /^[\w.:=+-]{1,128}$/.test(given) ? given : crypto.randomUUID();
}

/** What nginx logs for a client that disconnected before its answer. */
const CLIENT_CLOSED_REQUEST = 499;

/** What a badly encoded id means cannot be known. */
function checkEncoding(url: string): void {
  if (!url.includes("%")) return;
  try {
    decodeURIComponent(url);
  } catch {
    throw new HttpError(
      400,
      "invalid",
      "the address is not percent-encoded UTF-8: an é is written as %C3%A9, and a % as %25",
    );
  }
}

async function answer(
  endpoint: Endpoint,
  options: Pick<EndpointOptions, "checkHost" | "authorize" | "rateLimiter"> & {
    context: Context;
    note: Note;
    report: ReportError;
  },
): Promise<Response> {
  try {
    options.checkHost(options.context);
    checkEncoding(options.context.req.url);
    if (endpoint.scope !== null) {
      const key = options.authorize(options.context, endpoint.scope);
      const caller = key === null ? "open" : `key ${key}`;
      const { rateLimiter } = options;
      if (rateLimiter !== null) options.note.rate_limit = await rateLimiter.count(caller);
      options.note.caller = caller;
    }
    return await endpoint.handle(options.context, options.note, options.report);
  } catch (error) {
    if (options.context.req.raw.signal.aborted) return new Response(null, { status: CLIENT_CLOSED_REQUEST });
    return refusal(error, endpoint, options);
  }
}

/** An error as a response, and in the log if it is not the caller's. */
function refusal(
  error: unknown,
  { failure = problemResponse }: Endpoint,
  { context, note }: { context: Context; note: Note },
): Response {
  const problem = problemOf(error, note.request_id);
  if (problem.status >= 500) note.error = causeOf(error);
  return failure(problem, error instanceof HttpError ? error.headers : {}, context);
}

/** The answer once the audit log has it, or 503: what is answered as done can be looked up. */
async function audited(
  answer: Response,
  endpoint: Endpoint,
  audit: AuditLog,
  context: Context,
  note: Note,
): Promise<Response> {
  const { caller = "open", facts = {}, request_id } = note;
  const user_id = context.req.param("user_id");
  const { method } = context.req;
  try {
    await audit.record({
      entry: { request_id, by: caller, method, route: endpoint.route, status: answer.status, facts },
      ...user_id !== undefined && { user_id },
    });
    return answer;
  } catch (cause) {
    await answer.body?.cancel();
    const detail = "the request was carried out, but the audit log could not record it: send it again";
    const response = refusal(new ParleyError("unavailable", detail), endpoint, { context, note });
    note.error = causeOf(cause);
    return response;
  }
}
