import { z } from "../../deps.ts";
import { type ErrorCode, ParleyError } from "../../lib/core/errors.ts";

/** An error body by RFC 9457, as `application/problem+json`. */
export interface Problem {
  /** `about:blank`: the status says what kind it is, `code` more exactly. */
  readonly type: "about:blank";
  /** The status in words. */
  readonly title: string;
  readonly status: number;
  /** One sentence: what is wrong, and what to do. */
  readonly detail: string;
  /** The request's id, which its log line has too. */
  readonly instance: string;
  readonly code: typeof PROBLEM_CODES[number];
}

/** What went wrong: the code of an error of Parley, except `mismatch`, which is `internal` to the caller. */
export const PROBLEM_CODES = [
  "invalid",
  "not_found",
  "unsupported",
  "unavailable",
  "conflict",
  "denied",
  "method_not_allowed",
  "rate_limited",
  "internal",
] as const;

/** Statuses of errors, in words. */
export const TITLES: Readonly<Record<number, string>> = Object.freeze({
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
});

const STATUS: Readonly<Record<Exclude<ErrorCode, "mismatch">, number>> = Object.freeze({
  invalid: 400,
  not_found: 404,
  unsupported: 501,
  unavailable: 503,
  conflict: 409,
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

/** A thrown value as a problem for the caller. An unexpected error reveals nothing. */
export function problemOf(error: unknown, request_id: string): Problem {
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(request_id);
  const instance = `urn:${isUuid ? "uuid" : "x-request-id"}:${request_id}`;
  const { status, code, detail } = describe(error);
  return { type: "about:blank", title: TITLES[status] ?? "Error", status, detail, instance, code };
}

function describe(error: unknown): Pick<Problem, "status" | "code" | "detail"> {
  if (error instanceof HttpError) return { status: error.status, code: error.code, detail: error.message };
  if (error instanceof z.ZodError) {
    return { status: 400, code: "invalid", detail: error.issues.map(sentenceOf).join("; ") };
  }
  if (error instanceof ParleyError && error.code !== "mismatch") {
    return { status: STATUS[error.code], code: error.code, detail: error.message };
  }
  return { status: 500, code: "internal", detail: "an unexpected error; the log has more" };
}

/** Schemas of rows say what is wrong with a field, but not with which. */
function sentenceOf({ message, path }: z.core.$ZodIssue): string {
  return path.length > 0 && /^(is|has|holds|must|Invalid input) ?/.test(message)
    ? `${path.join(".")} ${message.replace(/^Invalid input:/, "is invalid:")}`
    : message;
}

/** The error of a strict schema of query parameters: it names the unknown ones. */
export const UNKNOWN_PARAMETERS = {
  error: (issue: z.core.$ZodRawIssue) =>
    issue.code === "unrecognized_keys" ? unknownParameters(issue.keys as string[]) : undefined,
};

/** The errors of a strict schema of a body. */
export const BODY_ERRORS = {
  error: (issue: z.core.$ZodRawIssue) => {
    if (issue.code === "invalid_type") return "the body must be a JSON object";
    return issue.code === "unrecognized_keys"
      ? `unknown field: ${shownNames(issue.keys as string[])}`
      : undefined;
  },
};

function shownNames(names: readonly string[]): string {
  return names.slice(0, 5).map((name) => name.slice(0, 40)).join(", ");
}

function unknownParameters(names: readonly string[]): string {
  return `unknown query parameter${names.length === 1 ? "" : "s"}: ${shownNames(names)}`;
}

export function problemResponse(problem: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { ...headers, "content-type": "application/problem+json", "cache-control": "no-store" },
  });
}
