import type { Abortable, Published } from "../../core/types.ts";
import { type Sqlite, turn } from "../sqlite.ts";

/** Bytes of one row: a millisecond or two to write. */
export const PART_BYTES = 2 ** 20;
/** Rows that one transaction deletes. */
const DELETE_LIMIT = 8;

/** Files of data versions in an analytics database, in parts, so that none holds the lock for long. */
export class VersionFiles {
  constructor(private readonly db: Sqlite) {}

  /** Writes the last part first and deletes the first part first: a file is there while its part 0 is. */
  async save(o: { version: number; name: string; bytes: Uint8Array } & Abortable): Promise<void> {
    const { version, name, bytes, signal } = o;
    await this.delete({ where: "version = ? AND name = ?", values: [version, name], signal });
    await this.db.writeEach(partsOf(bytes).reverse(), (part) => {
      this.db.run(
        "INSERT INTO files (version, name, part, size, bytes) VALUES (?, ?, ?, ?, ?)",
        ...[version, name, part.part, bytes.length, part.bytes],
      );
    }, { signal });
  }

  async read(o: { version: number; name: string } & Abortable): Promise<Uint8Array<ArrayBuffer> | null> {
    let file: Uint8Array<ArrayBuffer> | null = null;
    for (let part = 0, end = 0; file === null || end < file.length; part++) {
      await turn(o);
      const row = this.db.get<{ size: number; bytes: Uint8Array }>(
        "SELECT size, bytes FROM files WHERE version = ? AND name = ? AND part = ?",
        ...[o.version, o.name, part],
      );
      // Also if the file was dropped while it was read.
      if (row === null) return null;
      file ??= new Uint8Array(row.size);
      file.set(row.bytes, end);
      end += row.bytes.length;
    }
    return file;
  }

  async dropVersionsExcept({ version, previous }: Pick<Published, "version" | "previous">): Promise<void> {
    await this.delete({ where: "version NOT IN (?, ?)", values: [version, previous ?? version] });
  }

  private async delete(
    o: { where: string; values: readonly (string | number)[] } & Abortable,
  ): Promise<void> {
    await this.db.writeAll({
      sql: `DELETE FROM files WHERE rowid IN (
              SELECT rowid FROM files WHERE ${o.where} ORDER BY version, name, part LIMIT ?)`,
      values: o.values,
      limit: DELETE_LIMIT,
      signal: o.signal,
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
