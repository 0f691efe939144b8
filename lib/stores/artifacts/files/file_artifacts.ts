import { basename, dirname, join } from "../../../../deps.ts";
import { ParleyError } from "../../../core/errors.ts";
import { FOLDER_MODE } from "../../../core/file_modes.ts";
import type { Abortable, Artifact, Health } from "../../../core/types.ts";
import { diskError } from "../../engines/disk.ts";
import { linesOf } from "../lines.ts";
import { nameOf, pathOf, runPathOf, uriAt, uriOf } from "../names.ts";
import type { ArtifactStore, FoundLine, LineFilter, Register } from "../port.ts";
import { openRegister } from "../sqlite_register.ts";
import { reader, writeLineFile } from "./line_file.ts";
import { filesUnder, removeEmptyFolders, removeIfExists } from "./walk.ts";

/**
 * Artifacts as files `dir/run/task/file`, each part escaped so that any run id is a name and none leads out of `dir`.
 * Files that begin with a dot are unfinished or temporary, and no artifacts.
 */
export class FileArtifacts implements ArtifactStore {
  private readonly dir: string;

  constructor(options: { dir: string }) {
    this.dir = options.dir;
  }

  async writeLines(
    options: { name: string; lines: AsyncIterable<string>; signal?: AbortSignal },
  ): Promise<Artifact> {
    const path = pathOf(this.dir, options.name);
    const unfinished = join(dirname(path), `.${crypto.randomUUID()}`);
    await Deno.mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
    try {
      const written = await writeLineFile(unfinished, options.lines, options.signal);
      await Deno.rename(unfinished, path);
      return { uri: uriOf(options.name), ...written };
    } catch (error) {
      await removeIfExists(unfinished);
      throw diskError(error, path);
    }
  }

  async *readLines(options: { uri: string }): AsyncGenerator<string> {
    using file = await openArtifact(pathOf(this.dir, nameOf(options.uri)), options.uri);
    for await (const lines of linesOf(reader(file))) {
      for (const line of lines) yield line;
    }
  }

  register(): Promise<Register> {
    return openRegister(this.dir);
  }

  async *findLines({ matches, signal }: LineFilter): AsyncGenerator<FoundLine> {
    for await (const path of filesUnder(this.dir)) {
      if (!isArtifact(path)) continue;
      for await (const line of matchingLines(path, matches, signal)) {
        yield { uri: uriAt(this.dir, path), line };
      }
    }
  }

  async removeLines({ matches, run_id, signal }: LineFilter & { run_id?: string }): Promise<number> {
    let removed = 0;
    const folder = run_id === undefined ? this.dir : runPathOf(this.dir, run_id);
    for await (const path of filesUnder(folder)) {
      if (isArtifact(path)) removed += await removeFrom(path, matches, signal);
    }
    return removed;
  }

  async removeUnfinished({ before, signal }: { before: string } & Abortable): Promise<number> {
    let files = 0;
    for await (const path of filesUnder(this.dir)) {
      signal?.throwIfAborted();
      if (isArtifact(path) || !await isOlder(path, Date.parse(before))) continue;
      await removeIfExists(path);
      files++;
    }
    return files;
  }

  async deleteRun(options: { run_id: string }): Promise<number> {
    const folder = runPathOf(this.dir, options.run_id);
    let artifacts = 0;
    for await (const path of filesUnder(folder)) if (isArtifact(path)) artifacts++;
    await removeIfExists(folder);
    return artifacts;
  }

  async prune(options: { before: string }): Promise<number> {
    let artifacts = 0;
    for await (const path of filesUnder(this.dir)) {
      if (!await isOlder(path, Date.parse(options.before))) continue;
      await removeIfExists(path);
      if (isArtifact(path)) artifacts++;
    }
    await removeEmptyFolders(this.dir);
    return artifacts;
  }

  async health(): Promise<Health> {
    const start = performance.now();
    try {
      await Deno.mkdir(this.dir, { recursive: true, mode: FOLDER_MODE });
    } catch (error) {
      throw new ParleyError("unavailable", `the artifact folder ${this.dir} cannot be used`, {
        cause: error,
      });
    }
    return { adapter: "files", version: "1", latency_ms: performance.now() - start, bytes: null };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function isArtifact(path: string): boolean {
  return !basename(path).startsWith(".");
}

async function isOlder(path: string, limit: number): Promise<boolean> {
  const { mtime } = await Deno.stat(path);
  return mtime !== null && mtime.getTime() < limit;
}

async function* matchingLines(
  path: string,
  matches: (line: string) => boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  using file = await Deno.open(path);
  for await (const lines of linesOf(reader(file))) {
    signal?.throwIfAborted();
    for (const line of lines) if (matches(line)) yield line;
  }
}

/** An artifact without such a line stays as it is. Else its time stays, as artifacts are kept for so long from when they were written. */
async function removeFrom(
  path: string,
  matches: (line: string) => boolean,
  signal: AbortSignal | undefined,
): Promise<number> {
  let removed = 0;
  for await (const _line of matchingLines(path, matches, signal)) removed++;
  if (removed === 0) return 0;
  const unfinished = join(dirname(path), `.${crypto.randomUUID()}`);
  try {
    await writeLineFile(unfinished, matchingLines(path, (line) => !matches(line), signal), signal);
    const { atime, mtime } = await Deno.stat(path);
    await Deno.utime(unfinished, atime ?? new Date(), mtime ?? new Date());
    await Deno.rename(unfinished, path);
    return removed;
  } catch (error) {
    await removeIfExists(unfinished);
    throw diskError(error, path);
  }
}

async function openArtifact(path: string, uri: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new ParleyError("not_found", `${uri} does not exist; it may have been pruned`, { cause: error });
  }
}
