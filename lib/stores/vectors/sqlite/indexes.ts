import { messageOf, ParleyError } from "../../../core/errors.ts";
import type { Abortable } from "../../../core/types.ts";
import { removeFile } from "../../engines/disk.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { FlatReader, type IndexReader } from "./ann.ts";
import { type Build, Builds, COLUMNS, faultOfIndex } from "./builds.ts";
import { CodesReader, memoryOf } from "./codes.ts";
import type { Groups } from "./groups.ts";
import { IndexBuilder } from "./index_builder.ts";
import { DamagedIndex, type IndexFile, readVerified, readWhole, stampOf } from "./index_file.ts";
import { INDEXED, type Indexed, type IndexFault } from "../port.ts";

/** A row with its cosine similarity to a query. */
export interface NearRow {
  readonly rowid: number;
  readonly score: number;
}

/** The index of one version: distinct vectors, and which rows have them. */
class VersionIndex {
  constructor(private readonly index: IndexReader, private readonly groups: Groups) {}

  get rows(): number {
    return this.groups.rows;
  }

  /**
   * At least the `n` nearest rows to a unit vector, best first, or all if there are fewer. Of rows with the same vector, the
   * first `n` by id.
   */
  nearest(vector: Float32Array, n: number): NearRow[] {
    const entries = this.index.nearest(vector, Math.min(n, this.index.size)).sort((a, b) =>
      b.score - a.score
    );
    const rows: NearRow[] = [];
    for (const { key, score } of entries) {
      if (rows.length >= n && score < rows.at(-1)!.score) break;
      for (const rowid of this.groups.members(key, n)) rows.push({ rowid, score });
    }
    return rows;
  }
}

/** An open build, or why it is not open. */
interface Opened {
  /** Null for a version that the table has no build of. */
  readonly build: number | null;
  readonly index: Promise<VersionIndex>;
  problem: string | null;
  /** When opening may be tried again after it failed, by `performance.now()`. */
  retry_at: number;
}

interface IndexName {
  readonly collection: Indexed;
  readonly version: number;
}

/** Versions that one process keeps open for each collection: the published one, and the one before or after it. */
const OPEN_VERSIONS = 2;
/** When an index that could not be opened or rebuilt is tried again. */
const RETRY_MS = 60_000;

/** The index files of all data versions, in one folder, and those that this process has open. */
export class Indexes {
  private readonly opened = new Map<Indexed, Map<number, Opened>>();
  private readonly closing = new AbortController();
  private readonly background = new Set<Promise<unknown>>();
  /** Files that were verified, by path, with their {@link stampOf} before that. */
  private readonly verified = new Map<string, string>();

  readonly builder: IndexBuilder;
  private readonly builds: Builds;

  constructor(private readonly sql: Sqlite, folder: string, private readonly dimension: number) {
    this.builds = new Builds(sql, folder);
    this.builder = new IndexBuilder(this.builds, dimension);
  }

  /**
   * The index of a version, verified when it is first opened. Throws `unavailable` if it is damaged, and `not_found` if
   * the version has no index: it was never built, or it was lost, as with a database from an older backup. Callers name published
   * versions only, so in either case it is rebuilt in the background, if there are rows.
   */
  async reader({ collection, version }: IndexName): Promise<VersionIndex> {
    const builds = this.sql.all<Build>(
      `SELECT ${COLUMNS} FROM indexes WHERE collection = ? AND version >= ? ORDER BY version LIMIT 2`,
      collection,
      version,
    );
    const build = builds[0]?.version === version ? builds.shift()! : null;
    if (build === null && !this.hasRows()) throw new ParleyError("not_found", notBuilt(collection, version));
    const [next] = builds;
    // The version after it is about to be published: it is opened now, so that its first answers do not wait.
    if (next !== undefined) this.open({ collection, version: next.version, build: next });
    const opened = this.open({ collection, version, build });
    try {
      return await opened.index;
    } catch (error) {
      this.closing.signal.throwIfAborted();
      // Another process has replaced it since its row was read.
      if (!this.isCurrent({ collection, version, opened })) return await this.reader({ collection, version });
      if (opened.problem === null) this.handleFailure({ collection, version, build, opened, error });
      throw new ParleyError(build === null ? "not_found" : "unavailable", opened.problem!, { cause: error });
    }
  }

  private hasRows(): boolean {
    return this.sql.get("SELECT 1 FROM vectors LIMIT 1") !== null;
  }

  /** Whether the build that was opened, or that none was there, is still what the table says. */
  private isCurrent({ collection, version, opened }: IndexName & { opened: Opened }): boolean {
    return (this.builds.of(collection, version)?.build ?? null) === opened.build;
  }

  private open({ collection, version, build }: IndexName & { build: Build | null }): Opened {
    const versions = this.opened.get(collection) ?? new Map<number, Opened>();
    this.opened.set(collection, versions);
    let opened = versions.get(version);
    const id = build?.build ?? null;
    if (opened === undefined || opened.build !== id || performance.now() >= opened.retry_at) {
      const index = this.inBackground(this.load(build));
      opened = { build: id, index, problem: null, retry_at: Infinity };
    }
    // In the order of use, so that an old version that is in use stays open.
    versions.delete(version);
    versions.set(version, opened);
    if (versions.size > OPEN_VERSIONS) versions.delete(versions.keys().next().value!);
    return opened;
  }

  private async load(build: Build | null): Promise<VersionIndex> {
    if (build === null) throw new DamagedIndex("it is missing");
    const { signal } = this.closing;
    if (build.kind === "empty") {
      return new VersionIndex(new FlatReader(new Uint8Array(), this.dimension), this.builds.groups(build));
    }
    const file = this.builds.file(build);
    const stamp = await stampOf(file.path);
    const index = build.kind === "flat"
      ? new FlatReader(await readWhole(file, { signal }), this.dimension)
      : await this.readCodes(file);
    if (stamp !== null) this.verified.set(file.path, stamp);
    return new VersionIndex(index, this.builds.groups(build));
  }

  private async readCodes(file: IndexFile): Promise<IndexReader> {
    let memory = memoryOf(0);
    await readWhole(file, { signal: this.closing.signal }, (bytes) => {
      memory = memoryOf(bytes);
      return new Uint8Array(memory.buffer as ArrayBuffer, 0, bytes);
    });
    return new CodesReader(memory, file.bytes, this.dimension);
  }

  /** Records the problem, and rebuilds a damaged index. */
  private handleFailure(
    { collection, version, build, opened, error }:
      & IndexName
      & { build: Build | null; opened: Opened; error: unknown },
  ): void {
    const fault = build === null ? notBuilt(collection, version) : faultOfIndex(build, error);
    if (!(error instanceof DamagedIndex)) {
      opened.problem = fault;
      opened.retry_at = performance.now() + RETRY_MS;
      return;
    }
    opened.problem = `${fault}; it is being rebuilt from the rows`;
    const rebuilt = this.builder.build({ collection, version, signal: this.closing.signal }).then(
      () => {
        opened.problem = null;
      },
      (error) => {
        opened.problem = `${fault}, and rebuilding it failed: ${
          messageOf(error)
        }; it is tried again in a minute`;
        opened.retry_at = performance.now() + RETRY_MS;
      },
    );
    this.inBackground(rebuilt);
  }

  /** What {@link close} waits for. */
  private inBackground<T>(work: Promise<T>): Promise<T> {
    const ended = work.then(() => {}, () => {}).finally(() => this.background.delete(ended));
    this.background.add(ended);
    return work;
  }

  /** A sentence for each index that could not be opened. */
  problems(): string[] {
    return [...this.opened].flatMap(([collection, versions]) =>
      [...versions].flatMap(([version, opened]) =>
        opened.problem !== null && this.isCurrent({ collection, version, opened }) ? [opened.problem] : []
      )
    );
  }

  /** What is wrong with the indexes of a version; reads files that it has not verified as they are now. */
  async verify({ version, signal }: { version: number } & Abortable): Promise<IndexFault[]> {
    const faults: IndexFault[] = [];
    for (const collection of INDEXED) {
      const build = this.builds.of(collection, version);
      if (build === null) {
        faults.push({ text: notBuilt(collection, version), rebuilt: true });
        continue;
      }
      if (build.kind === "empty") continue;
      try {
        await this.verifyFile(this.builds.file(build), { signal });
        this.builds.groups(build);
      } catch (error) {
        signal?.throwIfAborted();
        // An index that cannot be opened now, as with too many open files, may be opened later.
        faults.push({ text: faultOfIndex(build, error), rebuilt: error instanceof DamagedIndex });
      }
    }
    return faults;
  }

  private async verifyFile(file: IndexFile, options: Abortable): Promise<void> {
    const stamp = await stampOf(file.path);
    if (stamp !== null && this.verified.get(file.path) === stamp) return;
    for await (const _chunk of readVerified(file, options));
    if (stamp !== null) this.verified.set(file.path, stamp);
  }

  /** Drops the indexes of all other versions, with every file that an interrupted build of them left. */
  async dropVersionsExcept(versions: readonly number[]): Promise<void> {
    await this.sql.write(() =>
      this.sql.run(
        "DELETE FROM indexes WHERE version NOT IN (SELECT value FROM json_each(?))",
        JSON.stringify(versions),
      )
    );
    for (const open of this.opened.values()) {
      for (const version of open.keys()) if (!versions.includes(version)) open.delete(version);
    }
    this.verified.clear();
    for (const { name, version } of filesOf(this.builds.folder)) {
      if (!versions.includes(version)) removeFile(`${this.builds.folder}/${name}`);
    }
  }

  /** Aborts work in the background, and resolves when it has ended. It does not use the database meanwhile. */
  async close(): Promise<void> {
    this.closing.abort(new ParleyError("unavailable", "the store was closed"));
    this.opened.clear();
    await Promise.all(this.background);
  }
}

function notBuilt(collection: Indexed, version: number): string {
  return `no index of ${collection} was built for version ${version}`;
}

const FILE_NAME = new RegExp(`^(?:${INDEXED.join("|")})-(\\d+)\\.`);

/** Index files, also unfinished ones, with their versions. */
function filesOf(folder: string): { name: string; version: number }[] {
  try {
    return [...Deno.readDirSync(folder)].flatMap(({ name }) => {
      const version = FILE_NAME.exec(name)?.[1];
      return version === undefined ? [] : [{ name, version: Number(version) }];
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
