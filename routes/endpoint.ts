import type { Context } from "../deps.ts";
import { ParleyError } from "../lib/core/errors.ts";
import type { Scope } from "../lib/core/types.ts";
import type { Authorize } from "./auth.ts";
import { HttpError, problemOf, problemResponse } from "./problem.ts";

/** One request in the log. It holds the route's pattern and never the path, whose parts identify users. */
export interface LogEntry {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly ms: number;
  /** Stores that failed while it was answered, each with why. */
  readonly degraded?: Readonly<Record<string, string>>;
  /** What went wrong on our side, with the `instance` of the problem that the caller got. */
  readonly error?: string;
  readonly instance?: string;
}
export type Log = (entry: LogEntry) => void;

/** What an endpoint adds to its request's log entry. */
export type Note = { -readonly [field in "degraded" | "error" | "instance"]?: LogEntry[field] };

export interface Endpoint {
  /** The path's pattern, such as `/recommendations/:user_id`. */
  readonly route: string;
  /** What a key must allow; null where no key is asked for. */
  readonly scope: Scope | null;
  readonly handle: (context: Context, note: Note) => Response | Promise<Response>;
}

/**
 * An endpoint as a handler: authorised, its errors turned into problems, logged in one line. One wrapper instead of a chain of
 * middleware, which would cost a cached answer more than reading the cache does.
 */
export function handlerOf(
  endpoint: Endpoint,
  o: { authorize: Authorize; log: Log | null },
): (context: Context) => Promise<Response> {
  return async (context) => {
    const start = performance.now();
    const note: Note = {};
    const response = await answer(endpoint, { context, note, authorize: o.authorize });
    const ms = Math.round(100 * (performance.now() - start)) / 100;
    o.log?.({ method: context.req.method, route: endpoint.route, status: response.status, ms, ...note });
    return response;
  };
}

async function answer(
  endpoint: Endpoint,
  o: { context: Context; note: Note; authorize: Authorize },
): Promise<Response> {
  try {
    if (endpoint.scope !== null) o.authorize(o.context, endpoint.scope);
    return await endpoint.handle(o.context, o.note);
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status >= 500) {
      o.note.error = causeOf(error);
      o.note.instance = problem.instance;
    }
    return problemResponse(problem, error instanceof HttpError ? error.headers : {});
  }
}

/** What failed, for the log. The message of a foreign error may quote data, so only its name and place are told. */
export function causeOf(error: unknown): string {
  if (error instanceof ParleyError) return `${error.code}: ${error.message}`;
  if (!(error instanceof Error)) return typeof error;
  const place = error.stack?.split("\n").find((line) => /^\s+at /.test(line))?.trim();
  return place === undefined ? error.name : `${error.name} ${place}`;
}
