import { Action, NeedsAdmin } from "../../components/form.tsx";
import { Empty, Fact, Section, StoreUnavailable } from "../../components/layout.tsx";
import { pageOf, Pages, Table } from "../../components/table.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { PER_PAGE, quarantineFilter, readQuarantine, readRefusedRow } from "./data.ts";
import { columns, Filters, reasonColumns } from "./parts.tsx";
import { RunLink } from "../../components/run_link.tsx";

/** Each page reads past those before it, so they are bounded. */
const MAX_PAGES = 200;

/** `GET /data/quarantine?run=&kind=&source=&reason=&page=`: refused rows with their reasons, without their text. */
export async function quarantine(request: PageRequest): Promise<View> {
  const { context, url, session } = request;
  const page = pageOf(url, MAX_PAGES);
  const query = url.searchParams;
  const filter = quarantineFilter({
    run_id: query.get("run"),
    kind: query.get("kind"),
    source: query.get("source"),
    reason: query.get("reason"),
  });
  const { rows: { value, error }, reasons } = await readQuarantine(context, filter, page);
  const rows = value ?? [];
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
              caption="How many rows were refused for each reason, and what to do. Then run again: a changed source is read as a whole."
              url={url}
              columns={reasonColumns(url)}
              rows={reasons.value}
              named={false}
            />
            <Action session={session} to="/data/quarantine/download" label="Download these rows (NDJSON)">
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
            columns={columns(request)}
            rows={rows.slice(0, PER_PAGE)}
            named={false}
            empty={
              <Empty>
                No such rows. What a run refuses is kept here for PARLEY_RETENTION_DAYS, so that you can
                correct its source and run again.
              </Empty>
            }
          />
        )}
        {rows.length > 0 && <NeedsAdmin session={session} />}
        <Pages url={url} page={page} max={MAX_PAGES} more={rows.length > PER_PAGE} />
      </Section>
    ),
  };
}

/** `POST /data/quarantine`, for `admin`: a refused row with its text, which no address leads to. */
export async function quarantinedText(request: PageRequest): Promise<View> {
  const row = await readRefusedRow(request);
  return {
    title: "A refused row",
    body: (
      <Section title={row.reason} id="row" aside={<a href="/data/quarantine">all refused rows</a>}>
        <p class="warning" role="note">
          This text may be personal. It has no address, so it is in no history.
        </p>
        <dl class="facts">
          <Fact name="Kind">{row.kind}</Fact>
          <Fact name="Source">
            <code>{row.source}:{row.position}</code>
          </Fact>
          <Fact name="Run">
            <RunLink run_id={row.run_id} />
          </Fact>
        </dl>
        <pre class="json" tabindex={0} aria-label="The row's text">{row.raw}</pre>
      </Section>
    ),
  };
}
