import { type Limits, run, type SqlDatabase, type SqlValue } from "../engines/sql.ts";

/** Bytes of a file in one row: a millisecond or two to write. */
export const PART_BYTES = 2 ** 20;
/** Parts that one transaction deletes at most. */
const MAX_PARTS = 8;

export interface FilePart {
  readonly part: number;
  readonly bytes: Uint8Array;
}

/** At least one part, so that an empty file is stored too. */
export function partsOf(bytes: Uint8Array): FilePart[] {
  return Array.from({ length: Math.max(1, Math.ceil(bytes.length / PART_BYTES)) }, (_, part) => ({
    part,
    bytes: bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
  }));
}

/** Deletes what meets a condition. First parts go first, so that no incomplete save counts. */
export async function deleteParts(
  db: SqlDatabase,
  { where, values, ...limits }: Limits & { where: string; values: readonly SqlValue[] },
): Promise<void> {
  const sql = `DELETE FROM files WHERE (version, name, save, part) IN (
    SELECT version, name, save, part FROM files WHERE ${where} ORDER BY part LIMIT $${values.length + 1})`;
  await db.writeAll((limit) => run(sql, ...values, limit), { ...limits, limit: MAX_PARTS });
}
