/** The kind of an error, so that a caller can decide without reading the message. */
export type ErrorCode =
  /** The caller's input is wrong; repeating it will not help. */
  | "invalid"
  /** The requested object does not exist. */
  | "not_found"
  /** This adapter cannot do that at all. */
  | "unsupported"
  /** A store or service did not answer; trying again may help. */
  | "unavailable"
  /** Another process holds or changed what this call needs. */
  | "conflict"
  /** Data on disk and this program do not fit: another model, a newer schema. */
  | "mismatch"
  /** The permissions or keys at hand do not allow it. */
  | "denied";

/** An error whose message is one sentence for a person: what happened and, if it helps, what to do. */
export class ParleyError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ParleyError";
    this.code = code;
  }
}

/** Path of a library's file in a message, of no use to the reader. */
const LIBRARY_FILE = /(?:file:\/\/)?\/[^\s'"()]*\/(?:npm\/[^\s/]+\.[a-z]+|node_modules)\/[^\s'"()]*/g;

/** A sentence for any thrown value. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof ParleyError ? message : message.replace(LIBRARY_FILE, "a library");
}

/**
 * What failed, for a log or a page. The message of a foreign error may quote data or a secret, so only its name is given, and
 * the innermost frame of this program in its stack.
 */
export function causeOf(error: unknown): string {
  if (error instanceof ParleyError) return `${error.code}: ${error.message}`;
  if (!(error instanceof Error)) return typeof error;
  if (error.name === "TimeoutError") return "timed out";
  const [frame] = stackFrames(error);
  return frame === undefined ? error.name : `${error.name} at ${frame}`;
}

/** Where this program is, as its frames in a stack begin. */
const ROOT = new URL("../../", import.meta.url).href;

/** The frames of this program in an error's stack, innermost first, as `lib/core/errors.ts:12:3`. */
export function stackFrames({ stack = "" }: Error): string[] {
  return stack.split("\n").filter((line) => /^\s+at /.test(line)).flatMap((line) => {
    const at = line.indexOf(ROOT);
    return at < 0 ? [] : [line.slice(at + ROOT.length).replace(/\)$/, "")];
  });
}

/** What is wrong, for a person: the sentence of Parley's own error, and of a foreign one what {@link causeOf} gives. */
export function reasonOf(error: unknown): string {
  if (error instanceof ParleyError) return error.message;
  // SQLite's own sentences name tables and columns, and never values.
  if (error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR") return error.message;
  return causeOf(error);
}

const MAX_CAUSES = 5;

/** The sentence of an error, then a line for each error that caused it, by {@link causeOf}. */
export function withCauses(error: unknown): string {
  return [messageOf(error), ...causesOf(error)].join("\n");
}

/** A line for each error that caused this one, by {@link causeOf}. */
export function causesOf(error: unknown): string[] {
  const lines: string[] = [];
  for (
    let at = error;
    lines.length < MAX_CAUSES && at instanceof Error && at.cause !== undefined;
    at = at.cause
  ) {
    lines.push(`caused by ${causeOf(at.cause)}`);
  }
  return lines;
}
