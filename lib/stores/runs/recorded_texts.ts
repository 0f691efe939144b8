import type { Abortable } from "../../core/types.ts";
import { all, run, type SqlDatabase, type SqlValue } from "../engines/sql.ts";
import type { RecordedText } from "./port.ts";

/** The columns with texts, each with those that identify its row. */
const COLUMNS: readonly (readonly [table: string, column: string, json: boolean, ...key: string[]])[] = [
  ["pipeline_runs", "params", true, "run_id"],
  ["pipeline_runs", "error", false, "run_id"],
  ["pipeline_tasks", "output", true, "run_id", "task_id"],
  ["pipeline_tasks", "error", false, "run_id", "task_id"],
  ["pipeline_tasks", "checkpoint", true, "run_id", "task_id"],
  ["pipeline_tasks", "branch", true, "run_id", "task_id"],
  ["pipeline_attempts", "error", false, "run_id", "task_id", "attempt"],
  ["pipeline_attempts", "versions", true, "run_id", "task_id", "attempt"],
  ["pipeline_lineage", "name", false, "run_id", "task_id", "attempt"],
  ["pipeline_logs", "line", false, "run_id", "seq"],
  ["run_notes", "note", false, "run_id", "seq"],
  ["audit_log", "request_id", false, "seq"],
  ["audit_log", "facts", true, "seq"],
  ["notifications", "facts", true, "seq"],
];
/** For statements that read all records. */
const SCAN = { timeout_ms: 60_000 };

type Row = Readonly<Record<string, SqlValue>>;

/** A found text, with the values of its row's key. */
interface Found {
  readonly recorded: RecordedText;
  readonly key: readonly SqlValue[];
}

export class RecordedTexts {
  constructor(private readonly db: SqlDatabase) {}

  async *find({ contain, signal }: { contain: readonly string[] } & Abortable): AsyncGenerator<RecordedText> {
    for (const column of COLUMNS) {
      for (const { recorded } of await this.ofColumn(column, contain, { signal })) yield recorded;
    }
  }

  async replace(
    { contain, replace, signal }:
      & { contain: readonly string[]; replace: (found: RecordedText) => string }
      & Abortable,
  ): Promise<number> {
    let changed = 0;
    for (const column of COLUMNS) {
      const [table, name, , ...keys] = column;
      const where = keys.map((key, at) => `${key} = $${at + 3}`).join(" AND ");
      // A row may have changed since it was read.
      const update = `UPDATE ${table} SET ${name} = $1 WHERE ${name} = $2 AND ${where}`;
      for (const { recorded, key } of await this.ofColumn(column, contain, { signal })) {
        const text = replace(recorded);
        if (text === recorded.text) continue;
        changed += await this.db.write(() => run(update, text, recorded.text, ...key), { signal });
      }
    }
    await this.db.scrub();
    return changed;
  }

  /** Those of one column: few, as users are named by mistake only. */
  private async ofColumn(
    [table, column, json, ...keys]: typeof COLUMNS[number],
    contain: readonly string[],
    { signal }: Abortable,
  ): Promise<Found[]> {
    const sql = `SELECT DISTINCT ${keys.join(", ")}, ${column} AS text FROM ${table} WHERE ${
      this.db.dialect.contains(column, "$1")
    } ORDER BY ${keys.join(", ")}`;
    const found: Found[] = [];
    for (const text of contain) {
      for (const row of await this.db.read(() => all<Row>(sql, text), { ...SCAN, signal })) {
        const recorded = { run_id: String(row.run_id ?? ""), table, column, json, text: String(row.text) };
        found.push({ recorded, key: keys.map((key) => row[key]!) });
      }
    }
    return found;
  }
}
