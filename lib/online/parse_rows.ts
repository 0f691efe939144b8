import { canonicalJson } from "../core/json.ts";
import type { Json, Kind, Rows, WriteCounts } from "../core/types.ts";
import { parseRow, rowId } from "../schema/row.ts";
import type { TimeWindow } from "../schema/time.ts";

/** What became of one row of a request. */
export type RowResult =
  | { readonly status: keyof WriteCounts; readonly id: string }
  /** `pointer` is a JSON pointer (RFC 6901) from the list of rows to what is wrong; `reason` never quotes the row. */
  | { readonly status: "rejected"; readonly reason: string; readonly pointer: string };

/** The rows of a request that can be stored, each id once, and what became of the others, by their place. */
export interface ParsedRows<Row> {
  readonly rows: ReadonlyMap<string, Row>;
  /** By place, the id of a row, or why it is rejected. */
  readonly results: readonly ({ readonly id: string } | Extract<RowResult, { status: "rejected" }>)[];
}

/** Parses the rows of a request as a run parses those of a source. Identical rows are one. */
export function parseRows<K extends Kind>(
  { kind, values, window }: { kind: K; values: readonly unknown[]; window: TimeWindow },
): ParsedRows<Rows[K]> {
  const rows = new Map<string, Rows[K]>();
  const results = values.map((value, at) => {
    const parsed = parseRow({ kind, value, window });
    if (!parsed.ok) return rejected(parsed.reason, [at, ...parsed.path]);
    const { row } = parsed;
    const id = rowId(kind, row);
    const first = rows.get(id);
    if (first === undefined) rows.set(id, row);
    else if (textOf(first) !== textOf(row)) {
      return rejected("another row of this request has the same id with other content", [at]);
    }
    return { id };
  });
  return { rows, results };
}

export function rejected(reason: string, path: readonly PropertyKey[]) {
  const pointer = path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  return { status: "rejected", reason, pointer } as const;
}

function textOf(row: object): string {
  return canonicalJson(row as Json);
}
