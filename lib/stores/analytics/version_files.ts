import { yieldToEventLoop } from "../../core/abort.ts";
import type { Abortable, Published } from "../../core/types.ts";
import type { Sqlite } from "../engines/sqlite/sqlite.ts";

/** Bytes of one row: a millisecond or two to write. */
export const PART_BYTES = 2 ** 20;
/** Rows that one transaction deletes. */
const DELETE_LIMIT = 8;

interface FileName {
  readonly version: number;
  readonly name: string;
}

/**
 * Files of data versions in an analytics database, in parts, so that none holds the lock for long. Each save has a number
 * and writes its first part last, so a save counts once that part is there, and the newest save that counts is the file.
 */
export class VersionFiles {
  constructor(private readonly db: Sqlite) {}

  async save({ version, name, bytes, signal }: FileName & { bytes: Uint8Array } & Abortable): Promise<void> {
    let save: number | null = null;
    await this.db.writeEach(partsOf(bytes).reverse(), (part) => {
      save ??= this.nextSave({ version, name });
      this.db.run(
        "INSERT INTO files (version, name, save, part, size, bytes) VALUES (?, ?, ?, ?, ?, ?)",
        ...[version, name, save, part.part, bytes.length, part.bytes],
      );
    }, { signal });
    await this.delete("version = ? AND name = ? AND save < ?", [version, name, save!], signal);
  }

  private nextSave({ version, name }: FileName): number {
    const sql = "SELECT coalesce(max(save), 0) + 1 AS save FROM files WHERE version = ? AND name = ?";
    return this.db.get<{ save: number }>(sql, version, name)!.save;
  }

  async read(options: FileName & Abortable): Promise<Uint8Array<ArrayBuffer> | null> {
    while (true) {
      await yieldToEventLoop(options);
      const newest = this.db.get<{ save: number; size: number }>(
        `SELECT save, size FROM files WHERE version = ? AND name = ? AND part = 0 ORDER BY save DESC LIMIT 1`,
        options.version,
        options.name,
      );
      if (newest === null) return null;
      const file = new Uint8Array(newest.size);
      // Parts are missing if a newer save or a drop took them while they were read.
      if (await this.readInto(file, { ...options, save: newest.save })) return file;
    }
  }

  private async readInto(
    file: Uint8Array,
    options: FileName & { save: number } & Abortable,
  ): Promise<boolean> {
    for (let part = 0; part * PART_BYTES < file.length; part++) {
      if (part > 0) await yieldToEventLoop(options);
      const row = this.db.get<{ bytes: Uint8Array }>(
        "SELECT bytes FROM files WHERE version = ? AND name = ? AND save = ? AND part = ?",
        ...[options.version, options.name, options.save, part],
      );
      if (row === null) return false;
      file.set(row.bytes, part * PART_BYTES);
    }
    return true;
  }

  async dropVersionsExcept({ version, previous }: Pick<Published, "version" | "previous">): Promise<void> {
    await this.delete("version NOT IN (?, ?)", [version, previous ?? version]);
  }

  /** First parts go first: without its first part nothing counts. */
  private async delete(
    where: string,
    values: readonly (string | number)[],
    signal?: AbortSignal,
  ): Promise<void> {
    await this.db.writeAll({
      sql: `DELETE FROM files WHERE rowid IN (SELECT rowid FROM files WHERE ${where} ORDER BY part LIMIT ?)`,
      values,
      limit: DELETE_LIMIT,
      signal,
    });
  }
}

/** One part at least, so that an empty file is there too. */
export function partsOf(bytes: Uint8Array): { part: number; bytes: Uint8Array }[] {
  return Array.from({ length: Math.max(1, Math.ceil(bytes.length / PART_BYTES)) }, (_, part) => ({
    part,
    bytes: bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
  }));
}
