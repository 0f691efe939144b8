import { dirname, join } from "../../deps.ts";
import { counted } from "../core/text.ts";
import type { Abortable } from "../core/types.ts";
import { linkInInbox } from "./inbox.ts";
import { asSourceError, FILE_EXTENSIONS, printable, type Source, SourceError } from "./source.ts";

interface ExpandedSources {
  readonly sources: readonly Source[];
  /** What cannot be read; everything else can. */
  readonly failed: readonly SourceError[];
  /** A sentence about each link to what has been found by another name, and about each folder with files that are not read. */
  readonly notes: readonly string[];
}

const READ = ".json, .jsonl, .ndjson, .csv or .tsv";
const STDIN: Source = { uri: "stdin", bytes: null };

/**
 * The sources behind paths, each once: a file or pipe is itself, `-` is stdin, and a folder is its `.json`, `.jsonl`,
 * `.ndjson`, `.csv` and `.tsv` files, plain or `.gz`, in the order of their paths, with those of its sub-folders. Links are followed,
 * except in the `inbox`; names that begin with a dot are left out.
 */
export async function expandSources(
  { paths, inbox = null, signal }: { paths: readonly string[]; inbox?: string | null } & Abortable,
): Promise<ExpandedSources> {
  const byUri = new Map<string, Source>();
  const failed: SourceError[] = [], notes: string[] = [];
  for (const path of paths) {
    const walk = new PathWalk(inbox, signal);
    await walk.start(path);
    for (const source of walk.sources) byUri.set(source.uri, confine(source, inbox));
    failed.push(...walk.failed);
    notes.push(...walk.notes);
  }
  return { sources: [...byUri.values()], failed, notes };
}

/** One path and what is below it. Links wait until all else has been found, so that a file is known by its own name. */
class PathWalk {
  readonly sources: Source[] = [];
  readonly failed: SourceError[] = [];
  readonly notes: string[] = [];
  /** Files whose names say that they have no rows. */
  private readonly others: string[] = [];
  private readonly links: string[] = [];
  /** Paths by real path. */
  private readonly pathsByRealPath = new Map<string, string>();

  constructor(private readonly inbox: string | null, private readonly signal: AbortSignal | undefined) {}

  async start(path: string): Promise<void> {
    if (path === "-") return void this.sources.push(STDIN);
    await this.recordFailure(path, async () => {
      const info = await Deno.stat(path);
      if (!info.isDirectory) return void this.sources.push(sourceOf(path, info));
      await this.addFolder(path, await Deno.realPath(path));
      for (let link = this.links.shift(); link !== undefined; link = this.links.shift()) {
        await this.recordFailure(link, () => this.follow(link!));
      }
      if (this.sources.length + this.failed.length === 0) {
        throw new SourceError("not_found", path, `holds no ${READ} file, plain or .gz`);
      }
      const [other] = this.others.sort();
      if (other !== undefined) {
        const count = counted(this.others.length, "file");
        this.notes.push(
          `not read of ${
            printable(path)
          }: ${count} whose name does not end in ${READ} (plain or .gz), such as ` +
            printable(other),
        );
      }
    });
    this.sources.sort((a, b) => a.uri < b.uri ? -1 : 1);
  }

  /** Runs `work`; what cannot be read is recorded. */
  private async recordFailure(uri: string, work: () => Promise<void>): Promise<void> {
    this.signal?.throwIfAborted();
    try {
      await work();
    } catch (error) {
      this.signal?.throwIfAborted();
      this.failed.push(await isDangling(uri, error) ? dangling(uri, error) : asSourceError(uri, error));
    }
  }

  private async addFolder(folder: string, real: string): Promise<void> {
    if (!this.isNew(folder, real)) return;
    for await (const { name, isSymlink, isDirectory } of Deno.readDir(folder)) {
      if (name.startsWith(".")) continue;
      const path = join(folder, name);
      if (isSymlink) this.links.push(path);
      else if (isDirectory) await this.recordFailure(path, () => this.addFolder(path, join(real, name)));
      else await this.recordFailure(path, () => this.addFile(path, join(real, name)));
    }
  }

  private async addFile(path: string, real: string): Promise<void> {
    if (!FILE_EXTENSIONS.test(path)) return void this.others.push(path);
    const source = sourceOf(path, await Deno.stat(path));
    if (source.bytes === null) {
      throw new SourceError("invalid", path, "is a pipe in a folder: give it as a source of its own");
    }
    if (this.isNew(path, real)) this.sources.push(source);
  }

  private async follow(link: string): Promise<void> {
    const parent = await Deno.realPath(dirname(link));
    if (await this.isInInbox(parent)) throw linkInInbox(link);
    const real = await Deno.realPath(link);
    const { isDirectory } = await Deno.stat(real);
    if (!isDirectory) return await this.addFile(link, real);
    if (contains(real, parent)) {
      throw new SourceError("invalid", link, "is a link to a folder that contains it");
    }
    await this.addFolder(link, real);
  }

  private async isInInbox(real: string): Promise<boolean> {
    if (this.inbox === null) return false;
    try {
      return contains(await Deno.realPath(this.inbox), real);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  private isNew(path: string, real: string): boolean {
    const first = this.pathsByRealPath.get(real);
    if (first === undefined) this.pathsByRealPath.set(real, path);
    else this.notes.push(`${printable(path)} is the same as ${printable(first)}, which is read`);
    return first === undefined;
  }
}

function confine(source: Source, inbox: string | null): Source {
  return inbox !== null && source.uri.startsWith(`${inbox}/`) ? { ...source, within: inbox } : source;
}

/** Whether a folder is another, or has it below it; both by their real paths. */
function contains(folder: string, other: string): boolean {
  return join(other, "/").startsWith(join(folder, "/"));
}

function sourceOf(uri: string, info: Deno.FileInfo): Source {
  if (info.isFile) return { uri, bytes: info.size };
  if (info.isFifo) return { uri, bytes: null };
  const kind = info.isSocket ? "socket" : "device";
  throw new SourceError(
    "invalid",
    uri,
    `is a ${kind}: a source is a file, a folder, a pipe, or - for standard input`,
  );
}

async function isDangling(uri: string, error: unknown): Promise<boolean> {
  if (!(error instanceof Deno.errors.NotFound)) return false;
  return await Deno.lstat(uri).then(({ isSymlink }) => isSymlink, () => false);
}

function dangling(uri: string, cause: unknown): SourceError {
  return new SourceError("not_found", uri, "is a link to what does not exist", { cause });
}
