import { z } from "../../deps.ts";
import { type ErrorCode, ParleyError } from "../../lib/core/errors.ts";

/** An error body by RFC 9457, as `application/problem+json`. */
export interface Problem {
  /** `about:blank`: the status says what kind it is, and `code` says it more exactly. */
  readonly type: "about:blank";
  /** The status in words. */
  readonly title: string;
  readonly status: number;
  /** One sentence: what is wrong, and what to do. */
  readonly detail: string;
  /** Names this one occurrence by its request's id, which the log line of the request has too. */
  readonly instance: string;
  readonly code: ErrorCode | "method_not_allowed" | "internal";
}

const TITLE: Readonly<Record<number, string>> = Object.freeze({
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
});

const STATUS: Readonly<Record<ErrorCode, number>> = Object.freeze({
  invalid: 400,
  not_found: 404,
  unsupported: 501,
  unavailable: 503,
  conflict: 409,
  mismatch: 500,
  denied: 403,
});

/** An error that needs another status or more headers than its code alone gives. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly code: Problem["code"],
    detail: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.name = "HttpError";
  }
}

/** The problem that a thrown value is to the caller. What was not foreseen says nothing of its insides. */
export function problemOf(error: unknown, request_id: string): Problem {
  const made = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(request_id);
  const instance = `urn:${made ? "uuid" : "x-request-id"}:${request_id}`;
  const { status, code, detail } = essence(error);
  return { type: "about:blank", title: TITLE[status] ?? "Error", status, detail, instance, code };
}

function essence(error: unknown): Pick<Problem, "status" | "code" | "detail"> {
  if (error instanceof HttpError) return { status: error.status, code: error.code, detail: error.message };
  if (error instanceof z.ZodError) {
    return { status: 400, code: "invalid", detail: error.issues.map((issue) => issue.message).join("; ") };
  }
  if (error instanceof ParleyError && STATUS[error.code] !== 500) {
    return { status: STATUS[error.code], code: error.code, detail: error.message };
  }
  return { status: 500, code: "internal", detail: "something unforeseen went wrong; the log has more" };
}

export function problemResponse(problem: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { ...headers, "content-type": "application/problem+json", "cache-control": "no-store" },
  });
}
