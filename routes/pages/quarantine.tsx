import { z } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { KINDS, type QuarantinedRow } from "../../lib/core/types.ts";
import type { QuarantineFilter } from "../../lib/stores/documents/port.ts";
import { Action, NeedsAdmin } from "../ui/form.tsx";
import { Empty, Section } from "../ui/layout.tsx";
import { type Column, pageOf, Pages, Table } from "../ui/table.tsx";
import { whenColumn } from "../ui/time.tsx";
import { Unread } from "../ui/unread.tsx";
import { ask } from "../web/ask.ts";
import { field, type View, type Visit } from "../web/page.ts";

const PER_PAGE = 50;
/** Each page reads past those before it, so they are bounded. */
const MOST_PAGES = 200;

/** A refused row without its text, which this page does not show. */
type Row = Omit<QuarantinedRow, "raw">;

/** `GET /data/quarantine?run=&kind=&source=&page=`: refused rows with their reasons, and never with their text. */
export async function quarantine(visit: Visit): Promise<View> {
  const { site, url } = visit;
  const page = pageOf(url, MOST_PAGES);
  const filter = filterOf(url.searchParams);
  const offset = (page - 1) * PER_PAGE;
  const { value, error } = await ask(() =>
    site.stores.documents.quarantined({ ...filter, limit: PER_PAGE + 1, offset })
  );
  const rows = value?.map(({ raw: _, ...row }): Row => row) ?? [];
  return {
    title: "Quarantine",
    body: (
      <Section title="Refused rows" aside={<a href="/data">all data</a>}>
        <Filters filter={filter} />
        {error !== null ? <Unread what="The documents store" error={error} /> : (
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
        <Pages url={url} page={page} more={rows.length > PER_PAGE} />
      </Section>
    ),
  };
}

function filterOf(query: URLSearchParams): Omit<QuarantineFilter, "position"> {
  const kind = KINDS.find((each) => each === query.get("kind"));
  const [run_id, source] = [query.get("run") ?? "", query.get("source") ?? ""];
  return {
    ...kind === undefined ? {} : { kind },
    ...run_id === "" ? {} : { run_id },
    ...source === "" ? {} : { source },
  };
}

function Filters({ filter: { run_id = "", kind, source = "" } }: { filter: QuarantineFilter }) {
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
      <button type="submit">Show</button>
    </form>
  );
}

function columns(visit: Visit): Column<Row>[] {
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

const Place = z.object({
  run_id: z.string().min(1),
  kind: z.enum(KINDS),
  source: z.string().min(1),
  position: z.coerce.number().int().min(0),
});

/** `POST /data/quarantine`, for `admin`: one refused row with its text, which no address leads to. */
export async function quarantinedText(visit: Visit): Promise<View> {
  const names = Object.keys(Place.shape);
  const place = Place.safeParse(Object.fromEntries(names.map((name) => [name, field(visit, name)]))).data;
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
