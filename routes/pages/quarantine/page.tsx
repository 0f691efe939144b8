import { z } from "../../../deps.ts";
import { ParleyError } from "../../../lib/core/errors.ts";
import { type Kind, KINDS, type QuarantinedRow } from "../../../lib/core/types.ts";
import { remedyOf } from "../../../lib/schema/remedies.ts";
import type { QuarantineFilter, ReasonCount } from "../../../lib/stores/documents/port.ts";
import { Action, NeedsAdmin } from "../../components/form.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { type Column, pageOf, Pages, Table } from "../../components/table.tsx";
import { whenColumn } from "../../components/time.tsx";
import { InlineCode } from "../../components/inline_code.tsx";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";
import { quarantineFilter } from "./filter.ts";
import { tryRead } from "../../http/try_read.ts";
import { field, type PageRequest, type View } from "../../http/page.ts";

const PER_PAGE = 50;
/** Each page reads past those before it, so they are bounded. */
const MAX_PAGES = 200;

const MAX_REASONS = 20;

/** A refused row without its text, which this page does not show. */
type Row = Omit<QuarantinedRow, "raw">;

/** `GET /data/quarantine?run=&kind=&source=&reason=&page=`: refused rows with their reasons, and never with their text. */
export async function quarantine(visit: PageRequest): Promise<View> {
  const { site, url } = visit;
  const page = pageOf(url, MAX_PAGES);
  const filter = filterOf(url.searchParams);
  const offset = (page - 1) * PER_PAGE;
  const { documents } = site.stores;
  const [{ value, error }, reasons] = await Promise.all([
    tryRead(() => documents.quarantined({ ...filter, limit: PER_PAGE + 1, offset })),
    tryRead(() => documents.quarantineReasons({ ...filter, limit: MAX_REASONS })),
  ]);
  const rows = value?.map(({ raw: _, ...row }): Row => row) ?? [];
  return {
    title: "Quarantine",
    body: (
      <Section title="Refused rows" aside={<a href="/data">all data</a>}>
        <Filters filter={filter} />
        {reasons.value !== null && reasons.value.length > 0 && (
          <>
            <Table
              id="reasons"
              stacks
              caption="How many rows were refused for which reason, and what to do. Then run again: a source that has changed is read as a whole."
              url={url}
              columns={reasonColumns(url)}
              rows={reasons.value}
              named={false}
              empty={null}
            />
            <Action visit={visit} to="/data/quarantine/download" label="Download these rows (NDJSON)">
              {Object.entries(filter).map(([name, of]) => (
                <input type="hidden" name={name} value={String(of)} />
              ))}
              <p class="hint">With their text, which may be personal.</p>
            </Action>
          </>
        )}
        {error !== null ? <StoreUnavailable what="The documents store" error={error} /> : (
          <Table
            id="rows"
            stacks
            caption="Newest run first. Sorting holds within the page."
            url={url}
            columns={columns(visit)}
            rows={rows.slice(0, PER_PAGE)}
            named={false}
            empty={
              <Empty>
                No such rows. What a run refuses is kept here for PARLEY_RETENTION_DAYS, so that its source
                can be mended and read again.
              </Empty>
            }
          />
        )}
        {rows.length > 0 && <NeedsAdmin visit={visit} />}
        <Pages url={url} page={page} most={MAX_PAGES} more={rows.length > PER_PAGE} />
      </Section>
    ),
  };
}

function filterOf(query: URLSearchParams): Omit<QuarantineFilter, "position"> {
  return quarantineFilter({
    run_id: query.get("run"),
    kind: query.get("kind"),
    source: query.get("source"),
    reason: query.get("reason"),
  });
}

function reasonColumns(url: URL): Column<ReasonCount>[] {
  return [
    { key: "rows", head: "Rows", numeric: true, cell: ({ rows }) => String(rows), by: ({ rows }) => rows },
    { key: "kind", head: "Kind", cell: ({ kind }) => kind, by: ({ kind }) => kind },
    {
      key: "reason",
      head: "Reason",
      cell: ({ kind, reason }) => <a href={withReason(url, kind, reason)}>{reason}</a>,
      by: ({ reason }) => reason,
    },
    { key: "remedy", head: "What to do", cell: ({ reason }) => <InlineCode text={remedyOf(reason)} /> },
  ];
}

/** The same page with the rows of one reason alone. */
function withReason({ pathname, searchParams }: URL, kind: Kind, reason: string): string {
  const query = new URLSearchParams(searchParams);
  query.delete("page");
  query.set("kind", kind);
  query.set("reason", reason);
  return `${pathname}?${query}`;
}

function Filters(
  { filter: { run_id = "", kind, source = "", reason = "" } }: { filter: QuarantineFilter },
) {
  return (
    <form method="get" action="/data/quarantine" class="filters">
      <div class="field">
        <label for="run">Run</label>
        <input id="run" name="run" value={run_id} />
      </div>
      <div class="field">
        <label for="kind">Kind</label>
        <select id="kind" name="kind">
          <option value="">any</option>
          {KINDS.map((each) => <option value={each} selected={each === kind}>{each}</option>)}
        </select>
      </div>
      <div class="field">
        <label for="source">Source</label>
        <input id="source" name="source" value={source} />
      </div>
      <div class="field">
        <label for="reason">Reason</label>
        <input id="reason" name="reason" value={reason} />
      </div>
      <button type="submit">Show</button>
    </form>
  );
}

function columns(visit: PageRequest): Column<Row>[] {
  const { now } = visit;
  return [
    { key: "reason", head: "Reason", cell: ({ reason }) => reason, by: ({ reason }) => reason },
    { key: "kind", head: "Kind", cell: ({ kind }) => kind, by: ({ kind }) => kind },
    {
      key: "source",
      head: "Source",
      cell: ({ source, position }) => <code title={source}>{source.split("/").at(-1)}:{position}</code>,
      by: ({ source, position }) => `${source}:${position}`,
    },
    {
      key: "run",
      head: "Run",
      cell: ({ run_id }) => <a href={`/runs/${encodeURIComponent(run_id)}`}>{run_id}</a>,
      by: ({ run_id }) => run_id,
    },
    whenColumn(now),
    {
      key: "text",
      head: "Text",
      cell: (row) => (
        <Action visit={visit} to="/data/quarantine" label="Show its text" tone="small">
          {(["run_id", "kind", "source", "position"] as const).map((name) => (
            <input type="hidden" name={name} value={String(row[name])} />
          ))}
        </Action>
      ),
    },
  ];
}

const RowPosition = z.object({
  run_id: z.string().min(1),
  kind: z.enum(KINDS),
  source: z.string().min(1),
  position: z.coerce.number().int().min(0),
});

/** `POST /data/quarantine`, for `admin`: one refused row with its text, which no address leads to. */
export async function quarantinedText(visit: PageRequest): Promise<View> {
  const names = Object.keys(RowPosition.shape);
  const place =
    RowPosition.safeParse(Object.fromEntries(names.map((name) => [name, field(visit, name)]))).data;
  if (place === undefined) throw new ParleyError("invalid", "this form does not name a refused row");
  const [row] = await visit.site.stores.documents.quarantined({ ...place, limit: 1, offset: 0 });
  if (row === undefined) throw new ParleyError("not_found", "this row is in quarantine no more");
  return {
    title: "A refused row",
    body: (
      <Section title={row.reason} id="row" aside={<a href="/data/quarantine">all refused rows</a>}>
        <p class="warning" role="note">
          This text may be personal. It is shown this once and kept in no history.
        </p>
        <dl class="facts">
          <dt>Kind</dt>
          <dd>{row.kind}</dd>
          <dt>Source</dt>
          <dd>
            <code>{row.source}:{row.position}</code>
          </dd>
          <dt>Run</dt>
          <dd>
            <a href={`/runs/${encodeURIComponent(row.run_id)}`}>{row.run_id}</a>
          </dd>
        </dl>
        <pre class="json" tabindex={0} aria-label="The row's text">{row.raw}</pre>
      </Section>
    ),
  };
}
