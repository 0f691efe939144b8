import { messageOf, ParleyError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/errors.ts";

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

/** What the URL says beyond the address. Throws `invalid`, without showing the URL, which may hold a password. */
export function parseRedisUrl(url: URL): { database: number; namespace: string } {
  const [, digits = ""] = /^\/?(\d*)$/.exec(url.pathname) ?? refuse("the path is the number of a database");
  for (const name of url.searchParams.keys()) {
    if (name !== "namespace") refuse(`it knows ?namespace= and not ?${name}=`);
  }
  if (url.hostname === "") refuse("the host is missing");
  return { database: Number(digits), namespace: url.searchParams.get("namespace") ?? "parley" };
}

function refuse(complaint: string): never {
  throw new ParleyError("invalid", `PARLEY_CACHE is no URL of a Redis, redis://:password@host:6379/0: ${complaint}`);
}

export function closedError(url: URL): ParleyError {
  return new ParleyError("unavailable", `the connection to Redis at ${url.host} has been closed`);
}

/** What the driver's or the server's words mean, first match first. */
const REASONS: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/WRONGPASS|invalid password/i, "denied", "refused the password: correct PARLEY_CACHE"],
  [/NOAUTH/, "denied", "asks for a password: write redis://:password@host in PARLEY_CACHE"],
  [/without any password configured|no password is set/, "denied", "has no password, but PARLEY_CACHE has one"],
  [/NOPERM/, "denied", "does not allow its user GET, SET, DEL, INFO and PING: extend the user's ACL"],
  [/DB index/i, "invalid", "has no database of that number: correct the path of PARLEY_CACHE"],
  [/^OOM/, "unavailable", "is full and evicts nothing: set its maxmemory-policy to allkeys-lru"],
  [/^LOADING/, "unavailable", "is still loading its data: try again soon"],
  [/^READONLY/, "unavailable", "is a replica and takes no writes: name the primary in PARLEY_CACHE"],
  [/ENOTFOUND|EAI_AGAIN/, "unavailable", "cannot be found: the host has no address"],
  [/ECONNREFUSED/, "unavailable", "refused the connection: is it running?"],
  [/UnknownIssuer|certificate/i, "unavailable", "has a certificate that is not trusted: see DENO_CERT"],
  [/InvalidContentType|corrupt message/, "unavailable", "does not speak TLS there: write redis:// instead of rediss://"],
  [/Protocol error/, "unavailable", "answered in another protocol: if it wants TLS, write rediss:// in PARLEY_CACHE"],
  [/timed? ?out/i, "unavailable", "did not answer in time"],
];

/** One sentence for what went wrong. The server's own words are left out: they may repeat what was sent. */
export function explainRedis(error: unknown, url: URL): ParleyError {
  const words = messageOf(error);
  const [, code, what] = REASONS.find(([pattern]) => pattern.test(words)) ??
    [null, "unavailable", "lost the connection, or refused a command"] as const;
  return new ParleyError(code, `Redis at ${url.host} ${what}`, { cause: error });
}
