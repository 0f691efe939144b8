/** Rows under a head, in columns as wide as their widest cell; the first `left` columns are flush left, the others right. */
export function table(
  head: readonly string[],
  body: readonly (readonly string[])[],
  leftColumns: number,
): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...body.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => i < leftColumns ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)).join(
      "  ",
    );
  return [head, ...body].map(line);
}

/** A count with its thousands apart; nothing for none. */
export function count(n: number): string {
  return n === 0 ? "" : n.toLocaleString("en");
}
