import { type ErrorCode, messageOf, ParleyError } from "../../../core/errors.ts";

/**
 * What may be done again after a failure: a question, because the connection broke; a transaction, because the server
 * rolled it back in favour of another.
 */
type Retryable = "question" | "transaction" | null;

/**
 * A failure of the server or of the way to it. It does not carry the driver's error, whose text and details may quote
 * what is in the rows.
 */
export class PostgresError extends ParleyError {
  /** `broke` says whether the connection is of no more use. */
  constructor(code: ErrorCode, message: string, readonly retryable: Retryable, readonly broke: boolean) {
    super(code, message);
  }
}

/** What the driver throws: `code` is an SQLSTATE where there is a severity, otherwise the system's. */
interface DriverError {
  readonly code?: string;
  readonly severity?: string;
  readonly constraint?: string;
}

interface Sentence {
  readonly code: ErrorCode;
  readonly says: string;
  readonly again?: Retryable;
}

const BROKE: Sentence = { code: "unavailable", says: "broke the connection; try again", again: "question" };
const SLOW: Sentence = { code: "unavailable", says: "did not answer in time; try again" };
const UNTRUSTED: Sentence = {
  code: "mismatch",
  says:
    "shows a certificate that is not trusted: name its authority's file in DENO_CERT, or, on a network that " +
    "you trust, write ?sslmode=require",
};
const FULL: Sentence = { code: "unavailable", says: "has no room left on its disk" };
const BUSY: Sentence = { code: "unavailable", says: "has no connection to spare: raise its max_connections" };
const ROLLED_BACK: Sentence = {
  code: "unavailable",
  says: "rolled a transaction back in favour of another, several times; try again",
  again: "transaction",
};

/** What the server says of a statement that its own time limit, or we, ended. */
const CANCELLED = "57014";

/** By SQLSTATE, its class, or the system's code. */
const BY_CODE: Readonly<Record<string, Sentence>> = {
  ECONNREFUSED: { code: "unavailable", says: "cannot be reached: does it run, and is the port right?" },
  ENOTFOUND: { code: "unavailable", says: "cannot be found: is the host's name right?" },
  EAI_AGAIN: { code: "unavailable", says: "cannot be found now: the name service did not answer" },
  EHOSTUNREACH: { code: "unavailable", says: "cannot be reached: there is no way to that host" },
  ETIMEDOUT: SLOW,
  ECONNRESET: BROKE,
  EPIPE: BROKE,
  "08": BROKE,
  "28P01": { code: "denied", says: "refuses the user or the password in its URL" },
  "28": { code: "denied", says: "lets this user in from here under no rule: see its pg_hba.conf" },
  "3D000": { code: "not_found", says: "has no such database: make it with createdb, or correct the URL" },
  "25006": { code: "unavailable", says: "is read-only, as a standby is: give the URL of the primary" },
  "40001": ROLLED_BACK,
  "40P01": ROLLED_BACK,
  "42501": {
    code: "denied",
    says:
      "does not allow this user to make or use the schema: grant it CREATE on the database, or make the " +
      "schema and let the user own it",
  },
  "53100": FULL,
  "53300": BUSY,
  "53": { code: "unavailable", says: "is out of memory or other resources" },
  [CANCELLED]: SLOW,
  "57": BROKE,
  "58": { code: "unavailable", says: "has trouble with its own files: see its log" },
};

/** What has no code of its own, by the driver's words. */
const BY_WORDS: readonly (readonly [RegExp, Sentence])[] = [
  [/no encryption|SSL off/, { code: "mismatch", says: "wants encryption: add ?sslmode=require to its URL" }],
  [/does not support SSL/, { code: "mismatch", says: "has no TLS: take sslmode out of its URL" }],
  [/certificate|self.signed|altname/i, UNTRUSTED],
  [/read timeout|timeout exceeded|connection timeout|timeout expired/i, SLOW],
  [/terminated|not queryable|socket|closed/i, BROKE],
];

/** Whether a connection is of no more use: not where the server refused something, or the caller's own code threw. */
export function isBroken(error: unknown): boolean {
  return error instanceof PostgresError && error.broke;
}

/** Turns whatever the driver threw into a sentence about the server at `where`. */
export function postgresError(error: unknown, where: string): ParleyError {
  if (error instanceof ParleyError) return error;
  const { code = "", severity, constraint } = error as DriverError;
  const words = BY_WORDS.find(([words]) => words.test(messageOf(error)))?.[1];
  const known = severity === undefined
    ? BY_CODE[code] ?? words
    : (code.startsWith("28") ? words : undefined) ?? BY_CODE[code] ?? BY_CODE[code.slice(0, 2)];
  const { code: kind, says, again = null } = known ?? refusal(code, constraint);
  const broke = kind === "unavailable" && again !== "transaction" && code !== CANCELLED;
  return new PostgresError(kind, `PostgreSQL at ${where} ${says}`, again, broke);
}

/** For a connection that is of no use any more, whatever it was that made it so. */
export function brokenError(where: string): PostgresError {
  return new PostgresError(BROKE.code, `PostgreSQL at ${where} ${BROKE.says}`, "question", true);
}

function refusal(code: string, constraint: string | undefined): Sentence {
  const by = constraint === undefined ? "" : ` by its constraint ${constraint}`;
  return { code: "invalid", says: `refused a statement${by} (${code || "no code"})` };
}

/** The oldest server that is still maintained and on which the statements here are tested. */
const OLDEST = 14;

/** Throws `mismatch` where the server, by its `server_version_num`, is too old. */
export function checkVersion(number: number, where: string): void {
  const major = Math.floor(number / 10_000);
  if (major >= OLDEST) return;
  throw new ParleyError(
    "mismatch",
    `PostgreSQL at ${where} is version ${major}: use ${OLDEST} or newer`,
  );
}
