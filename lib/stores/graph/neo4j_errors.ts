import { type ErrorCode, messageOf, ParleyError } from "../../core/errors.ts";
import type { Neo4jAddress } from "./neo4j_url.ts";

/** The oldest server that has every clause used here; `CALL (variable) { … }` is the newest of them. */
const OLDEST = { major: 5, minor: 23 };
const NEEDED = `Parley needs Neo4j ${OLDEST.major}.${OLDEST.minor} or newer`;

/** Turns what the driver throws into one sentence. A server's own words are left out: they can quote properties. */
export function troubleOf(error: unknown, { server, database }: Neo4jAddress): ParleyError {
  if (error instanceof ParleyError) return error;
  if (error instanceof Deno.errors.NotCapable) return incapable(error);
  const trouble = (code: ErrorCode, text: string) =>
    new ParleyError(code, `the graph store at ${server} ${text}`, { cause: error });
  const code = codeOf(error);
  if (/Security\.(Unauthorized|AuthenticationRateLimit|CredentialsExpired)$/.test(code)) {
    return trouble("denied", "refused the user name or password; check both in PARLEY_GRAPH, and wait after several wrong ones");
  }
  if (/\.Security\./.test(code)) {
    return trouble("denied", `does not let this user do that (${code}); grant the user reading, writing and constraints`);
  }
  if (/DatabaseNotFound$/.test(code)) {
    return trouble("not_found", `has no database ${database ?? ""}; create it, or name another in PARLEY_GRAPH`);
  }
  if (/ConstraintCreationFailed$/.test(code)) {
    return trouble("mismatch", "holds nodes that share an id, so that its ids cannot be made unique; remove them");
  }
  return isConnection(code, error) ? unreachable(trouble, error) : trouble("mismatch", `refused a statement (${code})`);
}

/** Whether the server, and not a statement, is the trouble; the driver also calls what a retry may cure so. */
function isConnection(code: string, error: unknown): boolean {
  return !code.startsWith("Neo.") || /TransientError|TransactionTimedOut|Terminated/.test(code) ||
    (error as { retryable?: boolean }).retryable === true;
}

function unreachable(trouble: (code: ErrorCode, text: string) => ParleyError, error: unknown): ParleyError {
  const reason = reasonOf(error);
  if (/Bolt protocol|protocol version/i.test(reason)) {
    return trouble("mismatch", `speaks no Bolt that is known here; ${NEEDED} at this port`);
  }
  if (/HTTP/.test(reason)) return trouble("mismatch", "answers HTTP; give the port of Bolt, which is 7687 unless changed");
  if (/certificate|UnknownIssuer/i.test(reason)) {
    return trouble("unavailable", "shows a certificate that is not trusted here; install its authority, or use DENO_CERT");
  }
  if (/TLS|SSL/.test(reason)) {
    return trouble("unavailable", "does not speak TLS at this port; switch it on there, or leave +s out of the scheme");
  }
  return trouble("unavailable", `cannot be reached (${reason}); check host and port, and whether it runs`);
}

/** The innermost reason that a chain of errors gives, without the driver's general advice. */
function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const message = messageOf(inner);
  return message.split("Caused by: ").at(-1) ?? message;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return typeof code === "string" ? code : "";
}

function incapable(error: Error): ParleyError {
  return new ParleyError(
    "denied",
    `no permission for the graph store (${error.message}); its driver needs --allow-sys=osRelease and --allow-net`,
    { cause: error },
  );
}

/** The version in a server's name of itself, as `Neo4j/5.26.0`. Throws `mismatch` for one that is too old. */
export function versionOf(agent: string, { server }: Neo4jAddress): string {
  const [, version = "", major, minor] = /^Neo4j\/((\d+)\.(\d+)\S*)$/.exec(agent) ?? [];
  const newer = Number(major) - OLDEST.major || Number(minor) - OLDEST.minor;
  if (newer >= 0) return version;
  throw new ParleyError("mismatch", `${NEEDED}, and ${agent} answers at ${server}; upgrade the server`);
}
