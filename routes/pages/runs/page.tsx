import { RUN_STATES, type RunRecord, type RunState, statusOf } from "../../../lib/stores/runs/port.ts";
import { Empty, Section } from "../../components/layout.tsx";
import { State } from "../../components/state.tsx";
import { type Column, pageOf, Pages, Table } from "../../components/table.tsx";
import { Ago, duration, lasted, Time } from "../../components/time.tsx";
import type { PageRequest, View } from "../../http/page.ts";

const PER_PAGE = 50;
const MAX_PAGES = 200;

/** `GET /runs?dag=&state=&page=`: runs, newest first. */
export async function runs(visit: PageRequest): Promise<View> {
  const { url, site } = visit;
  const page = pageOf(url, MAX_PAGES);
  const dag_id = url.searchParams.get("dag") ?? "";
  const state = RUN_STATES.find((each) => each === url.searchParams.get("state"));
  const found = await site.runs.runs({
    ...dag_id === "" ? {} : { dag_id },
    ...state === undefined ? {} : { states: [state] },
    limit: page * PER_PAGE + 1,
  });
  const rows = found.slice((page - 1) * PER_PAGE, page * PER_PAGE);
  return {
    title: "Runs",
    body: (
      <Section title="All runs">
        <Filters dags={[...site.dags.keys()]} dag_id={dag_id} state={state} />
        <Table
          id="runs"
          stacks
          caption="Runs, newest first. Sorting holds within the page."
          url={url}
          columns={columns(visit.now)}
          rows={rows}
          empty={
            <Empty>
              There are no such runs. <code>deno task pipeline</code> makes one, and so does the button of a
              {" "}
              <a href="/pipelines">pipeline</a>.
            </Empty>
          }
        />
        <Pages url={url} page={page} most={MAX_PAGES} more={found.length > page * PER_PAGE} />
      </Section>
    ),
  };
}

/** Looks things up with GET, so that what is found can be shared. */
function Filters(
  { dags, dag_id, state }: { dags: readonly string[]; dag_id: string; state: RunState | undefined },
) {
  return (
    <form method="get" action="/runs" class="filters">
      <div class="field">
        <label for="dag">Pipeline</label>
        <select id="dag" name="dag">
          <option value="">all</option>
          {dags.map((id) => <option value={id} selected={id === dag_id}>{id}</option>)}
        </select>
      </div>
      <div class="field">
        <label for="state">State</label>
        <select id="state" name="state">
          <option value="">any</option>
          {RUN_STATES.map((each) => <option value={each} selected={each === state}>{each}</option>)}
        </select>
      </div>
      <button type="submit">Show</button>
    </form>
  );
}

/** The columns of every list of runs. */
function columns(now: number): Column<RunRecord>[] {
  return [
    {
      key: "run",
      head: "Run",
      cell: ({ run_id }) => <a href={`/runs/${encodeURIComponent(run_id)}`}>{run_id}</a>,
      by: ({ run_id }) => run_id,
    },
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
    { key: "trigger", head: "Made by", cell: ({ trigger }) => trigger, by: ({ trigger }) => trigger },
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
    {
      key: "started",
      head: "Started",
      cell: ({ started_at }) =>
        started_at === null ? "–" : (
          <span class="nowrap">
            <Ago at={started_at} now={now} />
          </span>
        ),
      by: ({ started_at }) => started_at,
    },
    {
      key: "lasted",
      head: "Took",
      numeric: true,
      cell: (run) => tookOf(run, now),
      by: (run) => lasted(run, now),
    },
    {
      key: "error",
      head: "Reason",
      cell: ({ error }) => error !== null && <span class="brief" title={error}>{error}</span>,
      by: ({ error }) => error,
    },
  ];
}

function tookOf(run: RunRecord, now: number): string {
  const ms = lasted(run, now);
  return ms === null ? "–" : duration(ms);
}
