import { type ErrorCode, messageOf, ParleyError } from "../../../core/errors.ts";
import type { Neo4jAddress } from "./url.ts";

/** The oldest server that has every clause used here; `CALL (variable) { … }` is the newest of them. */
const MIN_VERSION = { major: 5, minor: 23 };
const NEEDED = `Parley needs Neo4j ${MIN_VERSION.major}.${MIN_VERSION.minor} or newer`;

type Sentence = readonly [pattern: RegExp, code: ErrorCode, text: string];

/** By the server's code, the first match. `%` is replaced by the code, or by the reason. */
const BY_CODE: readonly Sentence[] = [
  [
    /Security\.(Unauthorized|AuthenticationRateLimit|CredentialsExpired)$/,
    "denied",
    "refused the user name or password; check both in PARLEY_GRAPH, and wait after several wrong ones",
  ],
  [
    /\.Security\./,
    "denied",
    "does not let this user do that (%); grant the user reading, writing and constraints",
  ],
  [
    /DatabaseNotFound$/,
    "not_found",
    "has no database of the name in PARLEY_GRAPH; create it, or name another",
  ],
  [
    /ConstraintCreationFailed$/,
    "mismatch",
    "holds nodes that share an id, so that its ids cannot be made unique; remove them",
  ],
  [
    /^Neo\.TransientError|TransactionTimedOut|Terminated|\.Cluster\./,
    "unavailable",
    "did not get that done (%); try again",
  ],
  [
    /EntityNotFound$|ConstraintValidationFailed$/,
    "conflict",
    "saw another writer delete what this one used; try again",
  ],
  [/^Neo\./, "mismatch", "refused a statement (%)"],
];

/** By the driver's message, if the server gave no code. */
const BY_REASON: readonly Sentence[] = [
  [
    /protocol version: 0\.0$|does not support any/,
    "mismatch",
    `speaks no Bolt that is known here; ${NEEDED} at this port`,
  ],
  [/protocol version/, "mismatch", "does not answer in Bolt; if it requires TLS, put +s behind the scheme"],
  [/HTTP/, "mismatch", "answers HTTP; give the port of Bolt, which is 7687 unless changed"],
  [
    /certificate|UnknownIssuer/i,
    "unavailable",
    "shows a certificate that is not trusted here; give its authority's file in DENO_CERT",
  ],
  [
    /TLS|SSL/,
    "unavailable",
    "does not speak TLS at this port; switch it on there, or leave +s out of the scheme",
  ],
  [/^/, "unavailable", "cannot be reached (%); check host and port, and whether it runs"],
];

/** Turns what the driver throws into one sentence, without the server's own words, which can quote properties. */
export function toStoreError(error: unknown, { server }: Neo4jAddress): ParleyError {
  if (error instanceof ParleyError) return error;
  if (error instanceof Deno.errors.NotCapable) return incapable(error);
  const serverCode = codeOf(error);
  const [table, value] = serverCode.startsWith("Neo.") ? [BY_CODE, serverCode] : [BY_REASON, reasonOf(error)];
  const [, code, text] = table.find(([pattern]) => pattern.test(value))!;
  return new ParleyError(code, `the graph store at ${server} ${text.replace("%", () => value)}`, {
    cause: error,
  });
}

/** The innermost message of a chain of errors, without the driver's general advice. */
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

/** The version in a server's agent, such as `Neo4j/5.26.0`. Throws `mismatch` for one that is too old. */
export function versionOf(agent: string, { server }: Neo4jAddress): string {
  const [, version = "", major, minor] = /^Neo4j\/((\d+)\.(\d+)\S*)$/.exec(agent) ?? [];
  const newer = Number(major) - MIN_VERSION.major || Number(minor) - MIN_VERSION.minor;
  if (newer >= 0) return version;
  throw new ParleyError("mismatch", `${NEEDED}, and ${agent} answers at ${server}; upgrade the server`);
}
