import { type ErrorCode, messageOf, ParleyError } from "../../../core/errors.ts";

/** Where the driver connects to. TLS trusts what Deno trusts: see `DENO_CERT` and `DENO_TLS_CA_STORE`. */
export function addressOf(url: URL) {
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? 6379 : Number(url.port),
    ...(url.username !== "" && { username: decodeURIComponent(url.username) }),
    ...(url.password !== "" && { password: decodeURIComponent(url.password) }),
    ...(url.protocol === "rediss:" && { tls: {} }),
  };
}

/** The parts of the URL besides the address. Throws `invalid`, without the URL, which may have a password. */
export function parseRedisUrl(url: URL): { database: number; namespace: string } {
  const [, digits = ""] = /^\/?(\d*)$/.exec(url.pathname) ?? refuse("the path is the number of a database");
  for (const name of url.searchParams.keys()) {
    if (name !== "namespace") refuse("the one parameter is ?namespace=");
  }
  if (url.hostname === "") refuse("the host is missing");
  return { database: Number(digits), namespace: url.searchParams.get("namespace") ?? "parley" };
}

function refuse(complaint: string): never {
  throw new ParleyError(
    "invalid",
    `PARLEY_CACHE is no URL of a Redis, redis://:password@host:6379/0: ${complaint}`,
  );
}

export function closedError(url: URL): ParleyError {
  return new ParleyError("unavailable", `the connection to Redis at ${url.host} has been closed`);
}

const REASONS: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/WRONGPASS|invalid password/i, "denied", "refused the password: correct PARLEY_CACHE"],
  [/NOAUTH/, "denied", "asks for a password: write redis://:password@host in PARLEY_CACHE"],
  [
    /NOPERM/,
    "denied",
    "does not allow its user GET, SET, DEL, INFO, PING and, for a reset, SCAN: extend the user's ACL",
  ],
  [/DB index/i, "invalid", "has no database of that number: correct the path of PARLEY_CACHE"],
  [/^OOM/, "unavailable", "is full and evicts nothing: set its maxmemory-policy to allkeys-lru"],
  [/^LOADING/, "unavailable", "is still loading its data: try again soon"],
  [/^READONLY/, "unavailable", "is a replica, which takes no writes: name the primary in PARLEY_CACHE"],
  [/ENOTFOUND|EAI_AGAIN/, "unavailable", "cannot be found: does the host have an address?"],
  [/ECONNREFUSED/, "unavailable", "refused the connection: is it running?"],
  [/certificate|UnknownIssuer/i, "unavailable", "has a certificate that is not trusted: set DENO_CERT"],
  [/InvalidContentType|EPROTO/, "unavailable", "does not speak TLS: write redis:// in PARLEY_CACHE"],
  [
    /RESP type|Protocol error/i,
    "unavailable",
    "does not speak plain Redis: for TLS write rediss:// in PARLEY_CACHE",
  ],
  [/timed? ?out/i, "unavailable", "did not answer in time"],
];

const CLOSED = "closed the connection";

/**
 * One sentence for what the driver or the server said. The error itself is not kept as a cause: it carries the command
 * that was sent, and that may be a password or an answer.
 */
export function explainRedis(error: unknown, url: URL): ParleyError {
  const words = messageOf(error);
  const [, code, what] = REASONS.find(([pattern]) => pattern.test(words)) ??
    [null, "unavailable", other(error)];
  const hint = hintFor(what, url.protocol === "rediss:");
  return new ParleyError(code, `Redis at ${url.host} ${what}${hint}`);
}

/** If only one side speaks TLS, either side may stop responding or close the connection. */
function hintFor(what: string, tls: boolean): string {
  if (tls && what.endsWith("in time")) return "; does it speak TLS?";
  return !tls && what === CLOSED ? "; if it asks for TLS, write rediss:// in PARLEY_CACHE" : "";
}

/** The first word of a refusal is its kind; the rest may repeat what was sent. */
function other(error: unknown): string {
  if (!(error instanceof Error) || error.name !== "ReplyError") return CLOSED;
  return `refused a command with ${error.message.split(" ")[0]}`;
}
