import { join } from "../../deps.ts";
import { type ErrorCode, messageOf, ParleyError } from "../core/errors.ts";

/** Where rows come from. */
export interface Source {
  /** The file's path as given, or `stdin`. */
  readonly uri: string;
  /** Bytes on disk; null where there is one reading only: stdin and pipes. */
  readonly bytes: number | null;
  /** The folder that it must be in without a link on the way, which is checked when it is opened. */
  readonly within?: string;
}

/** What is wrong with a source, as opposed to what is wrong with the program or a store. */
export class SourceError extends ParleyError {
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.name = "SourceError";
  }
}

export const ENDINGS = /\.(?:json|jsonl|ndjson)(?:\.gz)?$/i;
const STDIN: Source = { uri: "stdin", bytes: null };

/**
 * The sources behind paths, each once: a file or pipe is itself, `-` is stdin, and a folder is its `.json`, `.jsonl`
 * and `.ndjson` files, plain or `.gz`, in the order of their paths, with those of its sub-folders; names that begin
 * with a dot are left out. A path that is not there, may not be read or holds no such file throws a
 * {@link SourceError}. In the `inbox`, links are not followed.
 */
export async function expandSources(
  o: { paths: readonly string[]; inbox?: string | null },
): Promise<Source[]> {
  const found = new Map<string, Source>();
  for (const path of o.paths) {
    for (const source of await expand(path)) found.set(source.uri, fenced(source, o.inbox ?? null));
  }
  return [...found.values()];
}

function fenced(source: Source, inbox: string | null): Source {
  return inbox !== null && source.uri.startsWith(`${inbox}/`) ? { ...source, within: inbox } : source;
}

async function expand(path: string): Promise<Source[]> {
  if (path === "-") return [STDIN];
  try {
    const info = await Deno.stat(path);
    if (!info.isDirectory) return [{ uri: path, bytes: info.isFile ? info.size : null }];
    return await nonEmpty(path, await filesIn(path));
  } catch (error) {
    throw asSourceError(path, error);
  }
}

async function filesIn(folder: string): Promise<Source[]> {
  const found: Source[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory) found.push(...await filesIn(path));
    else if (ENDINGS.test(entry.name)) found.push({ uri: path, bytes: (await Deno.stat(path)).size });
  }
  return found.sort((a, b) => a.uri < b.uri ? -1 : 1);
}

function nonEmpty(folder: string, files: Source[]): Source[] {
  if (files.length > 0) return files;
  throw new SourceError("not_found", `${folder} holds no .json, .jsonl or .ndjson file, plain or .gz`);
}

/** Puts a failure to open or read into a sentence that names the source. */
export function asSourceError(uri: string, error: unknown): SourceError {
  if (error instanceof SourceError) return error;
  if (error instanceof Deno.errors.NotFound) {
    return new SourceError("not_found", `${uri} does not exist`, { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return new SourceError("denied", `${uri} may not be read: ${error.message}`, { cause: error });
  }
  return new SourceError("unavailable", `${uri} cannot be read: ${messageOf(error)}`, { cause: error });
}
