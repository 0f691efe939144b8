import type { StoredTables } from "../stores/runs/port.ts";
import type { Part, Role } from "./part.ts";

/** Tables of SQL, row by row as they are. */
export function tableParts(role: Role, from: StoredTables, to: StoredTables): Part[] {
  return from.names.map((table): Part => ({
    role,
    name: table,
    async *copy({ after, signal }) {
      for await (const page of from.read({ table, after, signal })) {
        await to.restore({ table, rows: page.rows, signal });
        yield { rows: page.rows.length, after: page.after };
      }
    },
  }));
}
