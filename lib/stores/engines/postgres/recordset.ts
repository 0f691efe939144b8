import type { Columns } from "../sql.ts";

/** A JSON array of objects as the table `input`, with text in the order of code points. */
export function recordset(json: string, columns: Columns): string {
  const types = Object.entries(columns).map(([name, type]) =>
    `${name} ${type}${type === "text" ? ' COLLATE "C"' : ""}`
  );
  return `json_to_recordset(${json}::json) AS input (${types.join(", ")})`;
}

/** Whether a column is one of the texts of a JSON array. As an array, since the server would scan the table for `IN (SELECT …)`. */
export function isIn(column: string, json: string): string {
  return `${column} = ANY(ARRAY(SELECT json_array_elements_text(${json}::json)))`;
}
