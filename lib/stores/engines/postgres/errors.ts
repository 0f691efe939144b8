import { type ErrorCode, messageOf, ParleyError } from "../../../core/errors.ts";

/**
 * What may be repeated after a failure: a read, because the connection broke; a transaction, because the server rolled it
 * back in favour of another.
 */
type Retryable = "read" | "transaction" | null;

/** A failure of the server or the network. It does not have the driver's error, whose text may quote rows. */
export class PostgresError extends ParleyError {
  /** `broken` says whether the connection can no longer be used; `lacksTable`, whether a table does not exist. */
  constructor(
    code: ErrorCode,
    message: string,
    readonly retryable: Retryable,
    readonly broken: boolean,
    readonly lacksTable = false,
  ) {
    super(code, message);
  }
}

/** What the driver throws: with a severity, `code` is an SQLSTATE, otherwise the system's. */
interface DriverError {
  readonly code?: string;
  readonly severity?: string;
  readonly constraint?: string;
}

interface Explanation {
  readonly code: ErrorCode;
  readonly says: string;
  readonly retryable?: Retryable;
}

const BROKEN: Explanation = {
  code: "unavailable",
  says: "broke the connection; try again",
  retryable: "read",
};
const SLOW: Explanation = { code: "unavailable", says: "did not answer in time; try again" };
const UNTRUSTED: Explanation = {
  code: "mismatch",
  says:
    "shows a certificate that is not trusted: name its authority's file in DENO_CERT, or, on a network that " +
    "you trust, write ?sslmode=require",
};
const FULL: Explanation = { code: "unavailable", says: "has no room left on its disk" };
const BUSY: Explanation = { code: "unavailable", says: "has no free connection: raise its max_connections" };
const ROLLED_BACK: Explanation = {
  code: "unavailable",
  says: "rolled a transaction back in favour of another, several times; try again",
  retryable: "transaction",
};

/** The server's code for a statement that was cancelled by its time limit, or by us. */
const CANCELLED = "57014";
const UNDEFINED_TABLE = "42P01";

/** By SQLSTATE, its class, or the system's code. */
const BY_CODE: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: { code: "unavailable", says: "cannot be reached: check that it is running, and the port" },
  ENOTFOUND: { code: "unavailable", says: "cannot be found: check the name of the host" },
  EAI_AGAIN: { code: "unavailable", says: "cannot be found now: the name service did not answer" },
  EHOSTUNREACH: { code: "unavailable", says: "cannot be reached: there is no route to that host" },
  ETIMEDOUT: SLOW,
  ECONNRESET: BROKEN,
  EPIPE: BROKEN,
  "08": BROKEN,
  "28P01": { code: "denied", says: "refuses the user or the password in its URL" },
  "28": { code: "denied", says: "has no rule that lets this user in from this host: see its pg_hba.conf" },
  "3D000": { code: "not_found", says: "has no such database: create it with createdb, or correct the URL" },
  "25006": { code: "unavailable", says: "is read-only, as a standby is: give the URL of the primary" },
  "40001": ROLLED_BACK,
  "40P01": ROLLED_BACK,
  "42501": {
    code: "denied",
    says:
      "does not allow this user to create or use the schema: grant it CREATE on the database, or create the " +
      "schema and make the user its owner",
  },
  "53100": FULL,
  "53300": BUSY,
  "53": { code: "unavailable", says: "is out of memory or other resources" },
  [CANCELLED]: SLOW,
  "57": BROKEN,
  "58": { code: "unavailable", says: "cannot use its own files: see its log" },
};

/** Failures without a code, by the driver's words. */
const BY_WORDS: readonly (readonly [RegExp, Explanation])[] = [
  [/no encryption|SSL off/, {
    code: "mismatch",
    says: "requires encryption: add ?sslmode=require to its URL",
  }],
  [/does not support SSL/, { code: "mismatch", says: "has no TLS: remove sslmode from its URL" }],
  [/certificate|self.signed|altname/i, UNTRUSTED],
  [/read timeout|timeout exceeded|connection timeout|timeout expired/i, SLOW],
  [/terminated|not queryable|socket|closed/i, BROKEN],
];

/** Whether a connection can no longer be used: not if the server refused something, or the caller's own code threw. */
export function isBroken(error: unknown): boolean {
  return error instanceof PostgresError && error.broken;
}

/** Turns what the driver threw into a sentence about the server at `where`. */
export function postgresError(error: unknown, where: string): ParleyError {
  if (error instanceof ParleyError) return error;
  const { code = "", severity, constraint } = error as DriverError;
  const byWords = BY_WORDS.find(([words]) => words.test(messageOf(error)))?.[1];
  const known = severity === undefined
    ? BY_CODE[code] ?? byWords
    : (code.startsWith("28") ? byWords : undefined) ?? BY_CODE[code] ?? BY_CODE[code.slice(0, 2)];
  const { code: kind, says, retryable = null } = known ?? refusal(code, constraint);
  const broken = kind === "unavailable" && retryable !== "transaction" && code !== CANCELLED;
  return new PostgresError(
    kind,
    `PostgreSQL at ${where} ${says}`,
    retryable,
    broken,
    code === UNDEFINED_TABLE,
  );
}

/** For a connection that can no longer be used, for any reason. */
export function brokenError(where: string): PostgresError {
  return new PostgresError(BROKEN.code, `PostgreSQL at ${where} ${BROKEN.says}`, "read", true);
}

function refusal(code: string, constraint: string | undefined): Explanation {
  const by = constraint === undefined ? "" : ` by its constraint ${constraint}`;
  return { code: "invalid", says: `refused a statement${by} (${code || "no code"})` };
}

/** The oldest server that is still maintained and on which the statements here are tested. */
const MIN_VERSION = 14;

/** Throws `mismatch` if the server, by its `server_version_num`, is too old. */
export function checkVersion(number: number, where: string): void {
  const major = Math.floor(number / 10_000);
  if (major >= MIN_VERSION) return;
  throw new ParleyError(
    "mismatch",
    `PostgreSQL at ${where} is version ${major}: use ${MIN_VERSION} or newer`,
  );
}
