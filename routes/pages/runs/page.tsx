import { type RunRecord, statusOf } from "../../../lib/stores/runs/port.ts";
import { agoColumn, linkColumn, numberColumn, runColumn, textColumn } from "../../components/columns.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { State } from "../../components/state.tsx";
import { type Column, pageOf, Pages, Table } from "../../components/table.tsx";
import { duration, lasted, Time } from "../../components/time.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { RunFilterForm, shownRuns, toFilter } from "../run_filter.tsx";

const PER_PAGE = 50;
const MAX_PAGES = 200;

/** `GET /runs?dag=&state=&from=&to=&page=`: runs, newest first. */
export async function runs(request: PageRequest): Promise<View> {
  const { url, context } = request;
  const page = pageOf(url, MAX_PAGES);
  const shown = shownRuns(url);
  const records = await context.runs.runs({ ...toFilter(shown), limit: page * PER_PAGE + 1 });
  const rows = records.slice((page - 1) * PER_PAGE, page * PER_PAGE);
  return {
    title: "Runs",
    body: (
      <Section title="All runs">
        <RunFilterForm shown={shown} action="/runs" dags={[...context.dags.keys()]} />
        <Table
          id="runs"
          stacks
          caption="Runs, newest first. Sorting holds within the page."
          url={url}
          columns={columns(request.now)}
          rows={rows}
          empty={
            <Empty>
              There are no such runs. <code>deno task pipeline</code> starts one, and so does the button of a
              {" "}
              <a href="/pipelines">pipeline</a>.
            </Empty>
          }
        />
        <Pages url={url} page={page} max={MAX_PAGES} more={records.length > page * PER_PAGE} />
      </Section>
    ),
  };
}

function columns(now: number): Column<RunRecord>[] {
  return [
    runColumn(),
    linkColumn("pipeline", "Pipeline", ({ dag_id }) => dag_id, ({ dag_id }) => `/pipelines/${dag_id}`),
    {
      key: "state",
      head: "State",
      cell: (run) => <State state={statusOf(run, now)} />,
      by: (run) => statusOf(run, now),
    },
    textColumn("trigger", "Created by", ({ trigger }) => trigger),
    {
      key: "date",
      head: "Logical date",
      cell: ({ logical_date }) => (
        <span class="nowrap">
          <Time at={logical_date} />
        </span>
      ),
      by: ({ logical_date }) => logical_date,
    },
    agoColumn("started", "Started", now, ({ started_at }) => started_at),
    numberColumn("lasted", "Took", (run) => lasted(run, now), duration),
    {
      key: "error",
      head: "Reason",
      cell: ({ error }) => error !== null && <span class="brief" title={error}>{error}</span>,
      by: ({ error }) => error,
    },
  ];
}
