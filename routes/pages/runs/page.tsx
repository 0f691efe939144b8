import { RUN_STATES, type RunRecord, type RunState, statusOf } from "../../../lib/stores/runs/port.ts";
import { agoColumn, numberColumn, runColumn, textColumn } from "../../components/columns.tsx";
import { Select } from "../../components/form.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { State } from "../../components/state.tsx";
import { type Column, pageOf, Pages, Table } from "../../components/table.tsx";
import { duration, lasted, Time } from "../../components/time.tsx";
import type { PageRequest, View } from "../../http/page.ts";

const PER_PAGE = 50;
const MAX_PAGES = 200;

/** `GET /runs?dag=&state=&page=`: runs, newest first. */
export async function runs(request: PageRequest): Promise<View> {
  const { url, context } = request;
  const page = pageOf(url, MAX_PAGES);
  const dag_id = url.searchParams.get("dag") ?? "";
  const state = RUN_STATES.find((each) => each === url.searchParams.get("state"));
  const records = await context.runs.runs({
    ...dag_id === "" ? {} : { dag_id },
    ...state === undefined ? {} : { states: [state] },
    limit: page * PER_PAGE + 1,
  });
  const rows = records.slice((page - 1) * PER_PAGE, page * PER_PAGE);
  return {
    title: "Runs",
    body: (
      <Section title="All runs">
        <Filters dags={[...context.dags.keys()]} dag_id={dag_id} state={state} />
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

/** Submits by GET, so that the result can be shared. */
function Filters(
  { dags, dag_id, state }: { dags: readonly string[]; dag_id: string; state: RunState | undefined },
) {
  return (
    <form method="get" action="/runs" class="filters">
      <Select id="dag" label="Pipeline" all="all" values={dags} selected={dag_id} />
      <Select id="state" label="State" all="any" values={RUN_STATES} selected={state} />
      <button type="submit">Show</button>
    </form>
  );
}

function columns(now: number): Column<RunRecord>[] {
  return [
    runColumn(),
    {
      key: "pipeline",
      head: "Pipeline",
      cell: ({ dag_id }) => <a href={`/pipelines/${encodeURIComponent(dag_id)}`}>{dag_id}</a>,
      by: ({ dag_id }) => dag_id,
    },
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
