import { formatNumber } from "./format_number.ts";
import type { Column } from "./table.tsx";
import { runPath } from "./run_link.tsx";
import { Ago } from "./time.tsx";

/** A column of texts; a dash stands for null. */
export function textColumn<Row>(
  key: string,
  head: string,
  text: (row: Row) => string | null,
): Column<Row> {
  return { key, head, cell: (row) => text(row) ?? "–", by: text };
}

/** A column of numbers; a dash stands for null. */
export function numberColumn<Row>(
  key: string,
  head: string,
  number: (row: Row) => number | null,
  format: (value: number) => string = formatNumber,
): Column<Row> {
  const cell = (row: Row) => {
    const value = number(row);
    return value === null ? "–" : format(value);
  };
  return { key, head, numeric: true, cell, by: number };
}

/** A column of times, as how long ago they are; `none` stands for null. */
export function agoColumn<Row>(
  key: string,
  head: string,
  now: number,
  time: (row: Row) => string | null,
  none = "–",
): Column<Row> {
  const cell = (row: Row) => {
    const at = time(row);
    return at === null ? none : (
      <span class="nowrap">
        <Ago at={at} now={now} />
      </span>
    );
  };
  return { key, head, cell, by: time };
}

/** A column of texts, each a link. */
export function linkColumn<Row>(
  key: string,
  head: string,
  text: (row: Row) => string,
  href: (row: Row) => string,
): Column<Row> {
  return { key, head, cell: (row) => <a href={href(row)}>{text(row)}</a>, by: text };
}

/** The column of the run that a row comes from. */
export function runColumn<Row extends { readonly run_id: string }>(): Column<Row> {
  return linkColumn("run", "Run", ({ run_id }) => run_id, ({ run_id }) => runPath(run_id));
}

/** A column of intervals; a dash stands for null. */
export function intervalColumn<Row>(
  key: string,
  interval: (row: Row) => { readonly low: number; readonly high: number } | null,
  format: (value: number) => string,
): Column<Row> {
  const cell = (row: Row) => {
    const found = interval(row);
    return found === null ? "–" : <span class="nowrap">{format(found.low)} – {format(found.high)}</span>;
  };
  return { key, head: "95 % interval", numeric: true, cell, by: (row) => interval(row)?.low ?? null };
}
