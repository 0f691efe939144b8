import { messageOf, ParleyError } from "../../../core/errors.ts";
import type { MilvusAddress } from "./url.ts";

/** The one version check: COSINE and upsert begin here. */
export const MIN_VERSION = [2, 3] as const;

const GRPC = { deadline: 4, forbidden: 7, unimplemented: 12, unreachable: 14, unauthenticated: 16 } as const;
const STATUS = { notLoaded: 101, notWhollyLoaded: 106, noDatabase: 800, invalid: 1100 } as const;

/** `grpc` is the error if no answer came, `code` that of an answer which is a refusal. */
interface Failure {
  readonly grpc: number | null;
  readonly code: number | null;
  readonly reason: string;
  readonly retriable: boolean;
}

interface Status {
  readonly error_code?: unknown;
  readonly code?: number;
  readonly reason?: string;
  readonly retriable?: boolean;
}

/**
 * An answer whose status says success. Milvus refuses by a status inside an answer, and the SDK returns an empty answer
 * for a call that the server does not have, so an answer without a status is a refusal too.
 */
export function accepted<T>(answer: T): T {
  const status = statusOf(answer);
  if (status?.error_code === "Success" && (status.code ?? 0) === 0) return answer;
  throw answer;
}

function statusOf(answer: unknown): Status | null {
  if (typeof answer !== "object" || answer === null) return null;
  const { status } = answer as { status?: Status };
  return status ?? (answer as Status);
}

/** Reads what the SDK throws: errors of gRPC, whole answers, bare statuses, and its own. */
export function failureOf(thrown: unknown): Failure {
  const { code, details } = thrown as { code?: unknown; details?: unknown };
  if (thrown instanceof Error && typeof code === "number" && typeof details === "string") {
    return { grpc: code, code: null, reason: details, retriable: false };
  }
  if (thrown instanceof Error) return { grpc: null, code: null, reason: messageOf(thrown), retriable: false };
  const status = statusOf(thrown);
  if (status?.error_code === undefined) {
    return { grpc: GRPC.unimplemented, code: null, reason: "no status", retriable: false };
  }
  const { reason = "no reason", retriable = false } = status;
  return { grpc: null, code: status.code ?? null, reason, retriable };
}

/** A collection is not in memory: shortly after a restart, or because it was released. */
export function isUnloaded({ code }: Failure): boolean {
  return code === STATUS.notLoaded || code === STATUS.notWhollyLoaded;
}

/** The call timed out. */
export function isOverdue({ grpc }: Failure): boolean {
  return grpc === GRPC.deadline;
}

/**
 * One sentence for a failure, `opening` a connection or later. It has no credentials, and only the first of the server's
 * words.
 */
export function explain(
  failure: Failure,
  { host, tls, database }: MilvusAddress,
  when: "opening" | "later",
): ParleyError {
  const { grpc, code, reason } = failure;
  const milvus = `Milvus at ${host}`;
  if (
    grpc === GRPC.unauthenticated || grpc === GRPC.forbidden || /auth check fail|permission/i.test(reason)
  ) {
    return new ParleyError("denied", `${milvus} refuses the user, password or token in PARLEY_VECTORS`);
  }
  if (isOverdue(failure)) {
    return new ParleyError("unavailable", `${milvus} did not answer in time; check that it is healthy`);
  }
  if (grpc === GRPC.unreachable && /certificate/i.test(reason)) return untrusted(milvus);
  if (grpc === GRPC.unreachable) {
    return unreachable(milvus, when === "later" || REFUSED.test(reason) ? null : tls);
  }
  if (grpc === GRPC.unimplemented) return tooOld(milvus, "does not have a call that is needed");
  if (code === STATUS.noDatabase || /database not found/i.test(reason)) {
    const what = `${milvus} has no database ${database}`;
    return new ParleyError("not_found", `${what}: create it, or name another in PARLEY_VECTORS`);
  }
  const said = `${milvus} refused: ${reason.slice(0, 160)}`;
  return new ParleyError(code === STATUS.invalid ? "invalid" : "unavailable", said);
}

export function tooOld(milvus: string, what: string): ParleyError {
  return new ParleyError(
    "mismatch",
    `${milvus} ${what}: version ${MIN_VERSION.join(".")} or newer is needed`,
  );
}

/** There is no server, so TLS is not the reason. */
const REFUSED = /ECONNREFUSED|ENOTFOUND|name resolution/i;

/** gRPC brings its own list of authorities, which `DENO_CERT` does not reach. */
function untrusted(milvus: string): ParleyError {
  return new ParleyError(
    "unavailable",
    `${milvus} shows a certificate that is not trusted: name its authority's file in ` +
      "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, and in PARLEY_VECTORS the host that it is for",
  );
}

/** `tls` says whether TLS was used; null if TLS is not the reason. */
function unreachable(milvus: string, tls: boolean | null): ParleyError {
  const what = tls === null
    ? "start it, or correct host and port in PARLEY_VECTORS"
    : tls
    ? "if it does not speak TLS write milvus://, otherwise give the name its certificate is for, not an IP address"
    : "if it speaks TLS write milvuss://";
  return new ParleyError("unavailable", `${milvus} cannot be reached: ${what}`);
}
