import { yieldToEventLoop } from "../../../core/abort.ts";
import { FILE_MODE, FOLDER_MODE } from "../../../core/file_modes.ts";
import type { Abortable } from "../../../core/types.ts";
import { removeFile } from "../../engines/disk.ts";
import { createIndex, FORMAT, type IndexWriter, loadUsearchFile } from "./ann.ts";
import { type Build, type Builds, COLUMNS, faultOfIndex } from "./builds.ts";
import { Groups, hashVectors, vectorOfHash } from "./groups.ts";
import { finishFile, type IndexFile, withVerifiedCopy } from "./index_file.ts";
import type { Indexed } from "../port.ts";
import { faultOf } from "../rows.ts";

/** How long adding to an index takes before other work gets its turn. */
const SLICE_MS = 5;

/** Builds index files from the rows. */
export class IndexBuilder {
  constructor(private readonly builds: Builds, private readonly dimension: number) {}

  /**
   * Builds the index of a collection for a version and returns how many rows it has. It extends the newest graph that was
   * built since the last deletion, since a graph still has the bytes of removed entries. Without one, or if its file is
   * damaged, which `log` gets a line about, it is built from the rows alone. Rows that change meanwhile may be missing;
   * the next build has them.
   */
  async build(
    { collection, version, log, signal }:
      & { collection: Indexed; version: number; log?: ((line: string) => void) | undefined }
      & Abortable,
  ): Promise<number> {
    const { deletions } = this.builds.sql.get<{ deletions: number }>(
      "SELECT deletions FROM collections WHERE collection = ?",
      collection,
    )!;
    await hashVectors(this.builds.sql, collection, { signal });
    const groups = await Groups.read(this.builds.sql, collection, { signal });
    const index = await this.extended({ collection, version, deletions, groups, log, signal }) ??
      createIndex({ size: [...groups.keys()].length, dimension: this.dimension });
    await this.addMissing(index, collection, groups, signal);
    const file = await this.save(index, `${collection}-${version}`, signal);
    await this.record({ collection, version, kind: index.kind, deletions, file, groups });
    return groups.rows;
  }

  /** The newest graph up to this version without bytes of deleted rows; entries that no row has any more are removed. */
  private async extended(
    { collection, version, deletions, groups, log, signal }: Abortable & {
      collection: Indexed;
      version: number;
      deletions: number;
      groups: Groups;
      log: ((line: string) => void) | undefined;
    },
  ): Promise<IndexWriter | null> {
    const bases = this.builds.sql.all<Build>(
      `SELECT ${COLUMNS} FROM indexes WHERE collection = ? AND version <= ? AND deletions = ? AND format = ${FORMAT}
         AND kind = 'usearch' ORDER BY version DESC`,
      collection,
      version,
      deletions,
    );
    for (const base of bases) {
      try {
        const load = (path: string) => loadUsearchFile(path, this.dimension);
        const index = await withVerifiedCopy(this.builds.file(base), { signal }, load);
        for (const key of this.builds.groups(base).keys()) {
          if (!groups.has(key) && index.has(key)) index.remove(key);
        }
        return index;
      } catch (error) {
        signal?.throwIfAborted();
        log?.(`${faultOfIndex(base, error)}; the index of version ${version} is built without it`);
      }
    }
    return null;
  }

  /** Adds every vector that the index lacks. */
  private async addMissing(
    index: IndexWriter,
    collection: Indexed,
    groups: Groups,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let deadline = performance.now() + SLICE_MS;
    for (const key of groups.keys()) {
      if (performance.now() > deadline) {
        await yieldToEventLoop({ signal });
        deadline = performance.now() + SLICE_MS;
      }
      if (index.has(key)) continue;
      const vector = vectorOfHash(this.builds.sql, collection, key);
      if (vector !== null && faultOf(vector, this.dimension) === null) index.add(key, vector);
    }
  }

  private async save(
    index: IndexWriter,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<IndexFile> {
    Deno.mkdirSync(this.builds.folder, { recursive: true, mode: FOLDER_MODE });
    const path = `${this.builds.folder}/${name}.${crypto.randomUUID().slice(0, 8)}.${index.kind}`;
    try {
      Deno.openSync(path, { write: true, createNew: true, mode: FILE_MODE }).close();
      index.save(path);
      return await finishFile(path, { signal });
    } catch (error) {
      removeFile(path);
      throw error;
    }
  }

  /** Makes the file that of the version, and removes the one before it. */
  private async record(
    { collection, version, kind, deletions, file: { path, bytes, sha256 }, groups }:
      & Pick<Build, "collection" | "version" | "kind" | "deletions">
      & { file: IndexFile; groups: Groups },
  ): Promise<void> {
    const file = path.slice(this.builds.folder.length + 1);
    const values = [collection, version, kind, deletions, FORMAT, file, bytes, sha256, groups.bytes()];
    try {
      const former = await this.builds.sql.write(() => {
        const former = this.builds.of(collection, version);
        this.builds.sql.run(
          `INSERT OR REPLACE INTO indexes
             (collection, version, kind, deletions, format, file, bytes, sha256, groups)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          ...values,
        );
        return former;
      });
      if (former !== null) removeFile(this.builds.path(former));
    } catch (error) {
      removeFile(path);
      throw error;
    }
  }
}
