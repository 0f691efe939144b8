import { messageOf, ParleyError } from "../../../core/errors.ts";
import type { Abortable } from "../../../core/types.ts";
import { removeFile } from "../../engines/disk.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { mapUsearchFile, readFlat } from "./ann.ts";
import { type Build, Builds, COLUMNS, faultOfIndex } from "./builds.ts";
import { IndexBuilder } from "./index_builder.ts";
import { DamagedIndex, type IndexFile, readVerified, stampOf, withVerifiedCopy } from "./index_file.ts";
import { INDEXED, type Indexed, type IndexFault } from "../port.ts";
import { VersionIndex } from "./version_index.ts";

/** What one process has open of a build, or why it has not. */
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
/** How long an index that could not be opened or rebuilt is left alone. */
const RETRY_MS = 60_000;

/** The index files of all data versions, in one folder, and which process has what of them open. */
export class Indexes {
  private readonly opened = new Map<Indexed, Map<number, Opened>>();
  private readonly closing = new AbortController();
  private readonly background = new Set<Promise<unknown>>();
  /** Files that were read whole and had the bytes that were written, by path, as {@link stampOf} named them before. */
  private readonly whole = new Map<string, string>();

  readonly builder: IndexBuilder;
  private readonly builds: Builds;

  constructor(private readonly sql: Sqlite, folder: string, private readonly dimension: number) {
    this.builds = new Builds(sql, folder);
    this.builder = new IndexBuilder(this.builds, dimension);
  }

  /**
   * The index of a version, verified when it is first asked for; `unavailable` if it is damaged, `not_found` if there is
   * none: it was never built, or it was lost, as with a database from an older backup. Only published versions are asked
   * for, so that in either case it is rebuilt from the rows in the background, if there are rows.
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
    // The version after it is about to be published: opened now, it does not keep the first answers from it waiting.
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
    // In the order of use, so that an old version that is asked for stays open.
    versions.delete(version);
    versions.set(version, opened);
    if (versions.size > OPEN_VERSIONS) versions.delete(versions.keys().next().value!);
    return opened;
  }

  private async load(build: Build | null): Promise<VersionIndex> {
    if (build === null) throw new DamagedIndex("it is missing");
    const { signal } = this.closing;
    if (build.kind === "empty") {
      return new VersionIndex(readFlat(new Uint8Array(), this.dimension), this.builds.groups(build));
    }
    const file = this.builds.file(build);
    const stamp = await stampOf(file.path);
    const map = (path: string) => mapUsearchFile(path, this.dimension);
    const index = build.kind === "flat"
      ? readFlat(await readWhole(file, { signal }), this.dimension)
      : await withVerifiedCopy(file, { signal }, map);
    if (stamp !== null) this.whole.set(file.path, stamp);
    return new VersionIndex(index, this.builds.groups(build));
  }

  /** Says what is wrong, and rebuilds what is damaged. */
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

  /** Why an index that was asked for is not available, a sentence each. */
  problems(): string[] {
    return [...this.opened].flatMap(([collection, versions]) =>
      [...versions].flatMap(([version, opened]) =>
        opened.problem !== null && this.isCurrent({ collection, version, opened }) ? [opened.problem] : []
      )
    );
  }

  /** What is wrong with the indexes of a version; reads files whole that it has not read as they are now. */
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
        // An index that cannot be opened now, as with too many open files, is opened later instead.
        faults.push({ text: faultOfIndex(build, error), rebuilt: error instanceof DamagedIndex });
      }
    }
    return faults;
  }

  private async verifyFile(file: IndexFile, o: Abortable): Promise<void> {
    const stamp = await stampOf(file.path);
    if (stamp !== null && this.whole.get(file.path) === stamp) return;
    for await (const _chunk of readVerified(file, o));
    if (stamp !== null) this.whole.set(file.path, stamp);
  }

  /** Drops the indexes of all other versions, with every file that an interrupted build of them left. */
  async keep(versions: readonly number[]): Promise<void> {
    await this.sql.write(() =>
      this.sql.run(
        "DELETE FROM indexes WHERE version NOT IN (SELECT value FROM json_each(?))",
        JSON.stringify(versions),
      )
    );
    for (const open of this.opened.values()) {
      for (const version of open.keys()) if (!versions.includes(version)) open.delete(version);
    }
    this.whole.clear();
    for (const { name, version } of filesOf(this.builds.folder)) {
      if (!versions.includes(version)) removeFile(`${this.builds.folder}/${name}`);
    }
  }

  /** Gives up what is under way, and resolves when it has ended; until then it no longer uses the database. */
  async close(): Promise<void> {
    this.closing.abort(new ParleyError("unavailable", "the store was closed"));
    this.opened.clear();
    await Promise.all(this.background);
  }
}

function notBuilt(collection: Indexed, version: number): string {
  return `no index of ${collection} was built for version ${version}`;
}

async function readWhole(file: IndexFile, options: Abortable): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(file.bytes);
  let at = 0;
  for await (const chunk of readVerified(file, options)) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

const FILE_NAME = new RegExp(`^(?:${INDEXED.join("|")})-(\\d+)\\.`);

/** Index files by name, finished or not, with their versions. */
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
