import { basename, dirname, join } from "../../../../deps.ts";
import { ParleyError } from "../../../core/errors.ts";
import { FOLDER_MODE } from "../../../core/file_modes.ts";
import type { Artifact, Health } from "../../../core/types.ts";
import { diskError } from "../../engines/disk.ts";
import { linesOf, writeLineFile } from "./lines.ts";
import { nameOf, pathOf, runPathOf, uriOf } from "./names.ts";
import type { ArtifactStore, Register } from "../port.ts";
import { SqliteRegister } from "./sqlite_register.ts";
import { filesUnder, removeEmptyFolders, removeIfExists } from "./walk.ts";

const REGISTER = ".register-";

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
    for await (const lines of linesOf(file)) {
      for (const line of lines) yield line;
    }
  }

  async register(): Promise<Register> {
    await Deno.mkdir(this.dir, { recursive: true, mode: FOLDER_MODE });
    await this.dropOrphanedRegisters();
    return new SqliteRegister(join(this.dir, REGISTER + crypto.randomUUID()));
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

  /** On systems that cannot unlink an open file, a process that died leaves its register; open ones stay. */
  private async dropOrphanedRegisters(): Promise<void> {
    for await (const entry of Deno.readDir(this.dir)) {
      if (entry.name.startsWith(REGISTER)) await Deno.remove(join(this.dir, entry.name)).catch(() => {});
    }
  }
}

function isArtifact(path: string): boolean {
  return !basename(path).startsWith(".");
}

async function isOlder(path: string, limit: number): Promise<boolean> {
  const { mtime } = await Deno.stat(path);
  return mtime !== null && mtime.getTime() < limit;
}

async function openArtifact(path: string, uri: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new ParleyError("not_found", `${uri} does not exist; it may have been pruned`, { cause: error });
  }
}
