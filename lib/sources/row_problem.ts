/** Problems of a row that are found before it is parsed as JSON. */
export type RowProblem = "too_long" | "not_utf8" | "too_many_cells" | "open_quote";

const PROBLEMS: readonly RowProblem[] = ["too_long", "not_utf8", "too_many_cells", "open_quote"];

/** Puts a problem at the end of a row, after a NUL: JSON text holds none, so no readable row looks like a marked one. */
export function markRow(row: string, problem: RowProblem): string {
  return `${row}\0${problem}`;
}

/** The problem that a row is marked with, and the row without the mark; null for a row without one. */
export function problemOf(row: string): { readonly problem: RowProblem; readonly row: string } | null {
  const problem = PROBLEMS.find((candidate) => row.endsWith(`\0${candidate}`));
  return problem === undefined ? null : { problem, row: row.slice(0, -problem.length - 1) };
}
