import { basename, join } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../core/file_modes.ts";
import { EXPORT_FORMATS, type ExportFormat, userOf } from "./answer_lines.ts";

const UNFINISHED = ".part";
const REWRITTEN = ".new.part";
const NAME = new RegExp(`\\.(${EXPORT_FORMATS.join("|")})((?:\\.new)?\\.part)?$`);
/** Characters that are written at a time while users are taken out of a file. */
const CHUNK_LENGTH = 262_144;

interface UnfinishedExport {
  /** Where the whole file will be. */
  readonly path: string;
  /** Appends text; durable when it returns. Returns the size of the file in bytes. */
  append(text: string): Promise<number>;
  /** Gives the file its name. Throws `conflict` if it was removed meanwhile, as an erasure does: then it has to be made again. */
  finish(): Promise<void>;
  close(): void;
}

/** The folder of exports: files that name users, each with what would be shown to them. */
export class ExportFolder {
  constructor(private readonly folder: string) {}

  /**
   * The file of a run, to be continued after its first `bytes`; null if it has fewer, as after an erasure, or if it does not exist: then
   * it starts again with 0.
   */
  async open(
    { run_id, format, bytes }: { run_id: string; format: ExportFormat; bytes: number },
  ): Promise<UnfinishedExport | null> {
    await Deno.mkdir(this.folder, { recursive: true, mode: FOLDER_MODE });
    const name = `${encodeURIComponent(run_id.toWellFormed()).replace(/^\./, "%2E")}.${format}`;
    const path = join(this.folder, name);
    const unfinished = path + UNFINISHED;
    const file = await openIfThere(unfinished, bytes === 0);
    if (file === null) return null;
    try {
      if ((await file.stat()).size < bytes) {
        file.close();
        return null;
      }
      await file.truncate(bytes);
      await file.seek(bytes, Deno.SeekMode.Start);
    } catch (error) {
      file.close();
      throw error;
    }
    const encoder = new TextEncoder();
    let size = bytes;
    return {
      path,
      append: async (text) => {
        const chunk = encoder.encode(text);
        for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
        await file.syncData();
        return size += chunk.length;
      },
      finish: () => rename(unfinished, path),
      close: () => file.close(),
    };
  }

  /** Removes files that were last written before this ISO time; returns how many. */
  async prune({ before }: { before: string }): Promise<number> {
    let files = 0;
    for (const { path } of await this.files()) {
      const { mtime } = await Deno.stat(path);
      if (mtime === null || mtime.getTime() >= Date.parse(before)) continue;
      await Deno.remove(path);
      files++;
    }
    return files;
  }

  /** Takes these users' lines out of all files, and removes unfinished ones, which start again; returns how many files changed. */
  async deleteUsers({ user_ids }: { user_ids: readonly string[] }): Promise<number> {
    const users = new Set(user_ids);
    let changed = 0;
    for (const { path, format, isUnfinished } of await this.files()) {
      if (isUnfinished) {
        await Deno.remove(path);
        changed++;
      } else if (await rewriteWithout(path, format, users)) changed++;
    }
    return changed;
  }

  /** The lines about a user in whole exports, each with the name of its file. */
  async *linesOf({ user_id }: { user_id: string }): AsyncGenerator<{ file: string; line: string }> {
    for (const { path, format, isUnfinished } of await this.files()) {
      if (isUnfinished) continue;
      using file = await Deno.open(path);
      let unfinished = "";
      for await (
        const chunk of file.readable.pipeThrough(new TextDecoderStream("utf-8", { ignoreBOM: true }))
      ) {
        const lines = (unfinished + chunk).split("\n");
        unfinished = lines.pop()!;
        for (const line of lines) if (userOf(line, format) === user_id) yield { file: basename(path), line };
      }
    }
  }

  private async files() {
    const found: { path: string; format: ExportFormat; isUnfinished: boolean }[] = [];
    try {
      for await (const { name, isFile } of Deno.readDir(this.folder)) {
        const [, format, unfinished] = isFile ? NAME.exec(name) ?? [] : [];
        if (format === undefined) continue;
        const path = join(this.folder, name);
        found.push({ path, format: format as ExportFormat, isUnfinished: unfinished !== undefined });
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return found;
  }
}

async function openIfThere(path: string, create: boolean): Promise<Deno.FsFile | null> {
  try {
    return await Deno.open(path, { read: true, write: true, create, mode: FILE_MODE });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function rename(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new ParleyError("conflict", "the unfinished export was removed: it has to be made again", {
      cause: error,
    });
  }
}

/** Whether a line was taken out. The new file replaces the old one once it is whole. */
async function rewriteWithout(
  path: string,
  format: ExportFormat,
  users: ReadonlySet<string>,
): Promise<boolean> {
  const rewritten = path + REWRITTEN;
  let dropped = 0;
  {
    using from = await Deno.open(path);
    using to = await Deno.open(rewritten, { write: true, create: true, truncate: true, mode: FILE_MODE });
    const encoder = new TextEncoder();
    let [text, unfinished] = ["", ""];
    const flush = async () => {
      const bytes = encoder.encode(text);
      for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
      text = "";
    };
    const decoded = from.readable.pipeThrough(new TextDecoderStream("utf-8", { ignoreBOM: true }));
    for await (const chunk of decoded) {
      const lines = (unfinished + chunk).split("\n");
      unfinished = lines.pop()!;
      for (const line of lines) {
        const user = userOf(line, format);
        if (user !== null && users.has(user)) dropped++;
        else text += `${line}\n`;
      }
      if (text.length >= CHUNK_LENGTH) await flush();
    }
    await flush();
    await to.syncData();
  }
  if (dropped === 0) await Deno.remove(rewritten);
  else await Deno.rename(rewritten, path);
  return dropped > 0;
}
