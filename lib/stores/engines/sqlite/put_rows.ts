import type { WriteCounts } from "../../../core/types.ts";
import type { PutRows, Steps, TableByKey } from "../sql.ts";
import type { Sqlite } from "./sqlite.ts";

/** As `SqlDatabase.putRows`: a new row costs one statement, an equal one two, a changed one three. */
export function putRows<Row>(
  { sqlite, execute }: { sqlite: Sqlite; execute: (steps: Steps<void>) => void },
  table: TableByKey<Row>,
): PutRows<Row> {
  const sql = statements(table);
  const owner = table.owner === null ? -1 : table.columns.indexOf(table.owner);
  const key = table.columns.indexOf(table.key);
  return async (rows, { beforeCommit, onOutcome, signal }) => {
    const counts = { inserted: 0, changed: 0, same: 0 };
    let owners = new Set<string>();
    const put = (values: readonly (string | null)[]): [keyof WriteCounts, owner_before: string | null] => {
      const after = values[owner] ?? null;
      if (sqlite.run(sql.insert, ...values) === 1) {
        if (after !== null) owners.add(after);
        return ["inserted", null];
      }
      const before = sqlite.get<{ owner: string | null }>(sql.differing, ...values);
      if (before === null) return ["same", null];
      sqlite.run(sql.replace, ...values);
      for (const each of [before.owner, after]) if (each !== null) owners.add(each);
      return ["changed", before.owner];
    };
    const endTransaction = () => {
      if (beforeCommit !== undefined && owners.size > 0) execute(beforeCommit([...owners]));
      owners = new Set();
    };
    await sqlite.writeEach(rows, (row) => {
      const values = table.encode(row);
      const [outcome, owner_before] = put(values);
      counts[outcome]++;
      onOutcome?.(values[key]!, outcome, owner_before);
    }, { beforeCommit: endTransaction, signal });
    return counts;
  };
}

/** Statements that take all columns in order, so that `$n` is the n-th column. */
function statements({ table, key, owner, columns }: Omit<TableByKey<never>, "encode">) {
  const parameter = (name: string) => `$${columns.indexOf(name) + 1}`;
  const others = columns.filter((name) => name !== key);
  const isRow = `${key} = ${parameter(key)}`;
  const differs = `(${others.join(", ")}) IS NOT (${others.map(parameter).join(", ")})`;
  return {
    insert: `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(parameter).join(", ")})
      ON CONFLICT (${key}) DO NOTHING`,
    differing: `SELECT ${owner ?? "NULL"} AS owner FROM ${table} WHERE ${isRow} AND ${differs}`,
    replace: `UPDATE ${table} SET ${
      others.map((name) => `${name} = ${parameter(name)}`).join(", ")
    } WHERE ${isRow}`,
  };
}
