import { type ErrorCode, messageOf, ParleyError } from "../../../core/errors.ts";

export function closedError(url: URL): ParleyError {
  return new ParleyError("unavailable", `the connection to MongoDB at ${url.host} has been closed`);
}

export function lateError(url: URL, ms: number): ParleyError {
  return new ParleyError("unavailable", `MongoDB at ${url.host} did not answer within ${ms / 1_000} s`);
}

/** By the number of the server's error. */
const REFUSALS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  13: ["denied", "does not allow this user to read and write the database: grant the role readWrite"],
  18: ["denied", "refused the login: correct user, password or ?authSource= in PARLEY_DOCUMENTS"],
  8000: ["denied", "refused the login: correct user, password or ?authSource= in PARLEY_DOCUMENTS"],
};

/** By the driver's message about a connection, first match first. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/ENOTFOUND|EAI_AGAIN|ENODATA/, "cannot be found: does the host have an address?"],
  [/ECONNREFUSED/, "refused the connection: is it running?"],
  [/certificate|UnknownIssuer/i, "has a certificate that is not trusted: set DENO_CERT or tlsCAFile"],
  [/timed out/, "did not answer in time"],
];

/**
 * One sentence for what the driver or the server said. The error itself is not kept as a cause, nor are its words: those
 * about a URL may quote it, and a refused write carries its document.
 */
export function explainMongo(error: unknown, url: URL): ParleyError {
  if (error instanceof ParleyError) return error;
  const { name, code } = error as { name: string; code?: unknown };
  if (name === "MongoParseError" || name === "MongoInvalidArgumentError" || name === "MongoAPIError") {
    return new ParleyError(
      "invalid",
      "PARLEY_DOCUMENTS is no MongoDB URL that can be used: look at the name of its database, and at its parameters' names " +
        "and values",
    );
  }
  if (isTooOld(error)) {
    return new ParleyError("mismatch", `MongoDB at ${url.host} is too old: this Parley needs 4.4 or newer`);
  }
  if (typeof code !== "number") {
    return new ParleyError("unavailable", `MongoDB at ${url.host} ${broken(error, url)}`);
  }
  const [kind, what] = REFUSALS[code] ?? ["unavailable", `refused a command with error ${code}`];
  return new ParleyError(kind, `MongoDB at ${url.host} ${what}`);
}

function isTooOld(error: unknown): boolean {
  return /reports maximum wire version/.test(messageOf(error));
}

function broken(error: unknown, url: URL): string {
  const words = messageOf(error);
  const reason = REASONS.find(([pattern]) => pattern.test(words))?.[1];
  const tls = url.protocol === "mongodb+srv:" || /[?&](tls|ssl)=true/.test(url.search);
  const hint = tls ? "does it speak TLS?" : "if it asks for TLS, add ?tls=true to PARLEY_DOCUMENTS";
  if (reason === undefined) return `closed the connection; ${hint}`;
  return reason.endsWith("in time") ? `${reason}; ${hint}` : reason;
}
