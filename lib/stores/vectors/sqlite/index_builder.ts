import { yieldToEventLoop } from "../../../core/abort.ts";
import { FILE_MODE, FOLDER_MODE } from "../../../core/file_modes.ts";
import type { Abortable } from "../../../core/types.ts";
import { removeFile } from "../../engines/disk.ts";
import { FlatWriter, FORMAT, type IndexWriter } from "./ann.ts";
import { type Build, type Builds, COLUMNS, faultOfIndex } from "./builds.ts";
import { CodesFile, CodesWriter } from "./codes.ts";
import { Groups, hashVectors, vectorOfHash } from "./groups.ts";
import { finishFile, type IndexFile, readWhole } from "./index_file.ts";
import type { Indexed } from "../port.ts";
import { faultOf, FLAT_MAX } from "../rows.ts";

/** How long adding to an index takes before other work gets its turn. */
const SLICE_MS = 5;
/** Vectors whose mean is the centre of codes. */
const CENTRE_VECTORS = 1_000;

/** Builds index files from the rows. */
export class IndexBuilder {
  constructor(private readonly builds: Builds, private readonly dimension: number) {}

  /**
   * Builds the index of a collection for a version and returns how many rows it has. Codes are copied from the newest file
   * that has any, which takes a tenth of the time of making them; without one, or if it is damaged, which `log` gets a line
   * about, all are made from the rows. Rows that change meanwhile may be missing; the next build has them.
   */
  async build(
    { collection, version, log, signal }:
      & { collection: Indexed; version: number; log?: ((line: string) => void) | undefined }
      & Abortable,
  ): Promise<number> {
    await hashVectors(this.builds.sql, collection, { signal });
    const groups = await Groups.read(this.builds.sql, collection, { signal });
    const keys = [...groups.keys()];
    const index = keys.length <= FLAT_MAX
      ? new FlatWriter(this.dimension)
      : await this.codes({ collection, version, keys, groups, log, signal });
    const yieldIfDue = yieldEvery(SLICE_MS, signal);
    for (const key of keys) {
      await yieldIfDue();
      const vector = index.has(key) ? null : this.vectorOf(collection, key);
      if (vector !== null) index.add(key, vector);
    }
    const file = await this.save(index, `${collection}-${version}`, signal);
    await this.record({ collection, version, kind: index.kind, file, groups });
    return groups.rows;
  }

  /** The vector of a key; null if it is damaged, or no row has it any more. */
  private vectorOf(collection: Indexed, key: number): Float32Array | null {
    const vector = vectorOfHash(this.builds.sql, collection, key);
    return vector !== null && faultOf(vector, this.dimension) === null ? vector : null;
  }

  /** Codes for these keys, with those that the newest usable file up to this version has. */
  private async codes(
    { collection, version, keys, groups, log, signal }: Abortable & {
      collection: Indexed;
      version: number;
      keys: readonly number[];
      groups: Groups;
      log: ((line: string) => void) | undefined;
    },
  ): Promise<CodesWriter> {
    const bases = this.builds.sql.all<Build>(
      `SELECT ${COLUMNS} FROM indexes WHERE collection = ? AND version <= ? AND format = ${FORMAT} AND kind = 'codes'
         ORDER BY version DESC`,
      collection,
      version,
    );
    for (const build of bases) {
      try {
        const { buffer } = await readWhole(this.builds.file(build), { signal });
        const base = new CodesFile(buffer, this.dimension);
        const index = new CodesWriter({ size: keys.length, centre: base.centre.subarray(0, this.dimension) });
        const yieldIfDue = yieldEvery(SLICE_MS, signal);
        for (let row = 0; row < base.size; row++) {
          await yieldIfDue();
          if (groups.has(base.keys[row]!)) index.copy(base, row);
        }
        return index;
      } catch (error) {
        signal?.throwIfAborted();
        log?.(`${faultOfIndex(build, error)}; the index of version ${version} is built without it`);
      }
    }
    return new CodesWriter({ size: keys.length, centre: this.centreOf(collection, keys) });
  }

  /** The mean of some vectors: the first by their hash, which is as good as chance. */
  private centreOf(collection: Indexed, keys: readonly number[]): Float32Array {
    const centre = new Float32Array(this.dimension);
    for (const key of keys.slice(0, CENTRE_VECTORS)) {
      this.vectorOf(collection, key)?.forEach((value, i) => centre[i]! += value / CENTRE_VECTORS);
    }
    return centre;
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
      await index.save(path);
      return await finishFile(path, { signal });
    } catch (error) {
      removeFile(path);
      throw error;
    }
  }

  /** Makes the file that of the version, and removes the one before it. */
  private async record(
    { collection, version, kind, file: { path, bytes, sha256 }, groups }:
      & Pick<Build, "collection" | "version" | "kind">
      & { file: IndexFile; groups: Groups },
  ): Promise<void> {
    const file = path.slice(this.builds.folder.length + 1);
    const values = [collection, version, kind, FORMAT, file, bytes, sha256, groups.bytes()];
    try {
      const former = await this.builds.sql.write(() => {
        const former = this.builds.of(collection, version);
        this.builds.sql.run(
          `INSERT OR REPLACE INTO indexes
             (collection, version, kind, format, file, bytes, sha256, groups)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
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

/** A function that lets other work have its turn if the last time was more than `ms` ago. */
function yieldEvery(ms: number, signal: AbortSignal | undefined): () => Promise<void> {
  let deadline = performance.now() + ms;
  return async () => {
    if (performance.now() < deadline) return;
    await yieldToEventLoop({ signal });
    deadline = performance.now() + ms;
  };
}
