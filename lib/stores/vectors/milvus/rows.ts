import type { Role, WriteCounts } from "../../../core/types.ts";
import type { VectorRow } from "../port.ts";
import { bytesOf, compareRows } from "../rows.ts";
import type { MilvusField, MilvusRow } from "./table.ts";

/** `gone` of a row that was not replaced. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** A filter for the rows that are valid now. */
export const LIVE = `gone == ${NEVER}`;

const text = (name: string, max_length: number) => ({ name, data_type: "VarChar", max_length } as const);
/** An id has at most 256 UTF-16 units, of 3 bytes at the most. */
const ID_BYTES = 768;

/**
 * The scalar fields of a collection. Null is stored as "", which is no user id and no time, because Milvus before 2.5 has
 * no null. A row is in the builds numbered from `born` to before `gone`; `key` is `id` for the row that is valid now.
 */
export const FIELDS: readonly MilvusField[] = [
  { ...text("key", ID_BYTES + 32), is_primary_key: true },
  text("id", ID_BYTES),
  text("user_id", ID_BYTES),
  text("role", 16),
  text("timestamp", 32),
  text("content_hash", ID_BYTES + 32),
  { name: "born", data_type: "Int64" },
  { name: "gone", data_type: "Int64" },
];

/** The fields that tell whether a row changes. */
export const SCALARS = ["key", "user_id", "role", "timestamp", "content_hash", "born"] as const;
/** The fields of a whole row. */
export const WHOLE = [...SCALARS, "vector"] as const;

export function encodeRow(row: VectorRow, born: number): MilvusRow {
  return {
    key: row.id,
    id: row.id,
    user_id: row.user_id ?? "",
    role: row.role,
    timestamp: row.timestamp ?? "",
    content_hash: row.content_hash,
    born,
    gone: NEVER,
    vector: [...row.vector],
  };
}

export function decodeRow(row: MilvusRow): VectorRow {
  return {
    id: String(row.key),
    user_id: row.user_id === "" ? null : String(row.user_id),
    role: row.role as Role,
    timestamp: row.timestamp === "" ? null : String(row.timestamp),
    content_hash: String(row.content_hash),
    vector: vectorOf(row),
  };
}

export function vectorOf({ vector }: MilvusRow): Float32Array {
  return Float32Array.from(vector as number[]);
}

/** A row that is no longer valid, with a key of its own: ids have no line break. */
export function retired(row: MilvusRow, gone: number): MilvusRow {
  const { key, born } = row;
  return { ...row, id: key!, key: `${key}\n${born}`, born: Number(born), gone };
}

/** What an upsert does: rows to write, and keys of stored rows that built versions still need. */
interface Plan {
  readonly counts: WriteCounts;
  readonly rows: readonly VectorRow[];
  readonly retire: readonly string[];
}

/** Compares rows, in their order, with stored ones by key. `built` is the number of the newest build, or -1. */
export function planUpsert(
  options: { rows: readonly VectorRow[]; held: ReadonlyMap<string, MilvusRow>; built: number },
): Plan {
  const stored = new Map([...options.held].map(([id, row]) => [id, decodeRow({ ...row, vector: [] })]));
  const { counts, written } = compareRows(options.rows, stored);
  const retire = [...written.keys()].filter((id) =>
    Number(options.held.get(id)?.born ?? Infinity) <= options.built
  );
  return { counts, rows: [...written.values()], retire };
}

/** The bytes of a vector, for the digest. */
export function hexOf(vector: Float32Array): string {
  return bytesOf(vector).toHex();
}
