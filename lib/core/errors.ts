/** What kind of trouble an error is, so that a caller can decide without reading its sentence. */
export type ErrorCode =
  /** The caller's input is wrong; repeating it will not help. */
  | "invalid"
  /** What was asked for does not exist. */
  | "not_found"
  /** This adapter cannot do that at all. */
  | "unsupported"
  /** A store or service did not answer; trying again may help. */
  | "unavailable"
  /** Somebody else holds or changed what this call wanted. */
  | "conflict"
  /** Data on disk and this program do not fit: another model, a newer schema. */
  | "mismatch"
  /** The permissions or keys at hand do not allow it. */
  | "denied";

/** An error whose message is one sentence for a person: what happened and, where it helps, what to do. */
export class ParleyError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ParleyError";
    this.code = code;
  }
}

/** The one error for what an adapter lacks; contract suites assert it. */
export function unsupported(adapter: string, what: string): ParleyError {
  return new ParleyError("unsupported", `${adapter} does not support ${what}`);
}

/** A sentence for any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What failed, for a log. The message of a foreign error may quote data, so only its name and place are told. */
export function causeOf(error: unknown): string {
  if (error instanceof ParleyError) return `${error.code}: ${error.message}`;
  if (!(error instanceof Error)) return typeof error;
  const place = error.stack?.split("\n").find((line) => /^\s+at /.test(line))?.trim();
  return place === undefined ? error.name : `${error.name} ${place}`;
}

const MOST_CAUSES = 5;

/** The sentence of an error, then a line for each error that caused it, by {@link causeOf}. */
export function withCauses(error: unknown): string {
  const lines = [messageOf(error)];
  for (
    let at = error;
    lines.length <= MOST_CAUSES && at instanceof Error && at.cause !== undefined;
    at = at.cause
  ) {
    lines.push(`caused by ${causeOf(at.cause)}`);
  }
  return lines.join("\n");
}
