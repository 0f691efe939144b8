import type { Child } from "../../deps.ts";

export interface Column<Row> {
  /** Names the column in the address: `?runs-sort=-started`. */
  readonly key: string;
  readonly head: string;
  readonly cell: (row: Row) => Child;
  /** What rows are sorted by, null last. Without it the column cannot be sorted by. */
  readonly by?: (row: Row) => string | number | null;
  /** Aligns to the right. */
  readonly numeric?: boolean;
}

interface TableProps<Row> {
  /** Unique in its page. */
  readonly id: string;
  readonly caption: string;
  /** The page's address: sorting is a link to it. */
  readonly url: URL;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** The first column names its row. Default true. */
  readonly named?: boolean;
  /** Shown if there are no rows: what to do. Default nothing. */
  readonly empty?: Child;
  /** On a phone each row becomes a list of its cells, for tables with text. Others scroll next to their first column. */
  readonly stacks?: boolean;
}

/** A table that sorts by links in its headings, so that a view can be shared and needs no script. */
export function Table<Row>({ named = true, stacks = false, ...t }: TableProps<Row>) {
  if (t.rows.length === 0) return t.empty ?? null;
  const order = orderOf(t);
  // The style of a stacked table takes its roles away.
  const role = (name: string) => stacks ? { role: name } : {};
  return (
    <div class="scroll" role="region" aria-labelledby={`${t.id}-caption`} tabindex={0}>
      <table id={t.id} class={stacks ? "stacks" : "beside"} {...role("table")}>
        <caption id={`${t.id}-caption`}>
          <span>{t.caption}</span>
        </caption>
        <thead {...role("rowgroup")}>
          <tr {...role("row")}>
            {t.columns.map((column) => <Heading table={t} column={column} order={order} role={role} />)}
          </tr>
        </thead>
        <tbody {...role("rowgroup")}>
          {sorted(t, order).map((row) => (
            <tr {...role("row")}>
              {t.columns.map(({ head, cell, numeric }, i) => {
                const attributes = {
                  ...numeric ? { class: "numeric" } : {},
                  ...stacks ? { "data-head": head } : {},
                };
                return named && i === 0
                  ? <th scope="row" {...attributes} {...role("rowheader")}>{cell(row)}</th>
                  : <td {...attributes} {...role("cell")}>{cell(row)}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface Order {
  readonly key: string;
  readonly down: boolean;
}

/** The order that the address selects; null for the order of the rows. */
function orderOf<Row>({ id, url, columns }: TableProps<Row>): Order | null {
  const text = url.searchParams.get(`${id}-sort`) ?? "";
  const key = text.replace(/^-/, "");
  const isSortable = columns.some((column) => column.key === key && column.by !== undefined);
  return isSortable ? { key, down: text.startsWith("-") } : null;
}

function sorted<Row>({ columns, rows }: TableProps<Row>, order: Order | null): readonly Row[] {
  const by = columns.find(({ key }) => key === order?.key)?.by;
  if (order === null || by === undefined) return rows;
  const sign = order.down ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [x, y] = [by(a), by(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : compare(String(x), String(y)));
  });
}

const { compare } = new Intl.Collator("en", { numeric: true });

function Heading<Row>(
  { table, column, order, role }: {
    table: TableProps<Row>;
    column: Column<Row>;
    order: Order | null;
    role: (name: string) => { role?: string };
  },
) {
  const { key, head, by, numeric } = column;
  const attributes = { ...numeric ? { class: "numeric" } : {}, ...role("columnheader") };
  if (by === undefined) return <th scope="col" {...attributes}>{head}</th>;
  const own = order?.key === key ? order : null;
  const sort = own === null ? {} : { "aria-sort": own.down ? "descending" : "ascending" } as const;
  const to = withQuery(table.url, { [`${table.id}-sort`]: own !== null && !own.down ? `-${key}` : key });
  return (
    <th scope="col" {...attributes} {...sort}>
      <a href={`${to}#${table.id}`}>
        {head}
        <span class="order" aria-hidden="true"></span>
      </a>
    </th>
  );
}

/** The page's address with some parameters changed, or removed by null; without a flash message and the position in a stream. */
export function withQuery(url: URL, changes: Readonly<Record<string, string | null>>): string {
  const query = new URLSearchParams(url.search);
  for (const name of ["notice", "n", "of", "after"]) query.delete(name);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) query.delete(name);
    else query.set(name, value);
  }
  return `${url.pathname}${query.size === 0 ? "" : `?${query}`}`;
}

/** Links to the pages before and after, 1 to `max`. */
export function Pages(
  { url, page, more, max }: { url: URL; page: number; more: boolean; max: number },
) {
  if (page === 1 && !more) return null;
  return (
    <nav class="pages" aria-label="Pages of this list">
      {page > 1 && (
        <a rel="prev" href={withQuery(url, { page: page === 2 ? null : String(page - 1) })}>← Newer</a>
      )}
      <span>Page {page}</span>
      {more && page < max && <a rel="next" href={withQuery(url, { page: String(page + 1) })}>Older →</a>}
    </nav>
  );
}

/** The page that the address selects, from 1 to `max`. */
export function pageOf(url: URL, max: number): number {
  const page = Number(url.searchParams.get("page") ?? "1");
  return Number.isInteger(page) ? Math.min(Math.max(1, page), max) : 1;
}
