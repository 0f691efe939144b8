import { type ErrorCode, messageOf, ParleyError } from "../core/errors.ts";

export interface Source {
  /** The file's path as given, or `stdin`. */
  readonly uri: string;
  /** Bytes on disk; null for what can be read only once: stdin and pipes. */
  readonly bytes: number | null;
  /** The folder that it must be in without a link on the way, which is checked when it is opened. */
  readonly within?: string;
}

/** A problem of a source, as opposed to one of the program or a store. */
export class SourceError extends ParleyError {
  readonly uri: string;

  /** `complaint` is the rest of a sentence that begins with the source. */
  constructor(code: ErrorCode, uri: string, problem: string, options?: ErrorOptions) {
    super(code, `${printable(uri)} ${problem}`, options);
    this.name = "SourceError";
    this.uri = uri;
  }
}

/** How the names of the files end that are read of a folder. */
export const FILE_EXTENSIONS = /\.(?:json|jsonl|ndjson|csv|tsv)(?:\.gz)?$/i;

/** A name for a line of a log: file names may hold line feeds and other control characters. */
export function printable(uri: string): string {
  return uri.replace(/\p{Cc}/gu, (unit) => JSON.stringify(unit).slice(1, -1));
}

/** Puts a failure to look at, open or read a source into a sentence. */
export function asSourceError(uri: string, error: unknown): SourceError {
  if (error instanceof SourceError) return error;
  const [code, problem] = explain(uri, error);
  return new SourceError(code, uri, problem, { cause: error });
}

function explain(uri: string, error: unknown): [ErrorCode, string] {
  const { NotFound, PermissionDenied, NotCapable, FilesystemLoop } = Deno.errors;
  if (error instanceof NotFound) {
    const note = uri.includes("\ufffd") ? ", or its name is not UTF-8 text: rename it" : "";
    return ["not_found", `does not exist${note}`];
  }
  if (error instanceof NotCapable) {
    return ["denied", "may not be read by this process: Deno was started without --allow-read for it"];
  }
  if (error instanceof PermissionDenied) {
    return ["denied", "may not be read by the user that this process runs as"];
  }
  if (error instanceof FilesystemLoop) return ["invalid", "is a link that leads back to itself"];
  // "Input/output error (os error 5): open '/path'": the path is named already.
  return ["unavailable", `cannot be read: ${messageOf(error).replace(/: \w+ '[^]*$/, "")}`];
}
