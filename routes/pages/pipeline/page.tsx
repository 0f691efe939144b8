import { SchedulerWarning } from "../../components/scheduler_warning.tsx";
import { pageOf, Pages } from "../../components/table.tsx";
import { type Fragment, live } from "../../http/live.ts";
import type { PageRequest, View } from "../../http/page.ts";
import { isFiltered, RunFilterForm, shownRuns, toFilter } from "../run_filter.tsx";
import { readScheduler } from "../scheduler.ts";
import { ClearRuns } from "./clear_runs.tsx";
import { dagOf, readSnapshots, type Snapshots } from "./data.ts";
import { paramFields } from "./params.tsx";
import { Actions, Backfills, Grid, Now, Schedule } from "./parts.tsx";

const MAX_PAGES = 400;
const MAX_BACKFILLS = 5;

/** `GET /pipelines/:dag_id?state=&from=&to=&page=`: its graph in the newest run, runs × tasks, its schedule, and what can be done. */
export async function pipeline(request: PageRequest): Promise<View> {
  const { context, url, now } = request;
  const dag = dagOf(request);
  const page = pageOf(url, MAX_PAGES);
  const shown = shownRuns(url);
  const isNewest = page === 1 && !isFiltered(shown);
  const [{ snapshots, more }, paused, scheduler, fields, backfills] = await Promise.all([
    readSnapshots(context, dag, { page, filter: toFilter(shown) }),
    context.runs.paused(),
    readScheduler(context, now),
    paramFields(dag),
    context.runs.backfills({ dag_id: dag.id, limit: MAX_BACKFILLS }),
  ]);
  return {
    title: dag.id,
    ...isNewest ? { live: `/pipelines/${dag.id}/events` } : {},
    body: (
      <>
        {dag.doc !== undefined && <p class="lead">{dag.doc}</p>}
        <SchedulerWarning scheduler={scheduler} now={now} />
        {isNewest && <Now dag={dag} newest={snapshots[0]} now={now} />}
        <RunFilterForm shown={shown} action={`/pipelines/${dag.id}`} />
        <Grid dag={dag} snapshots={snapshots} now={now} />
        <Pages url={url} page={page} max={MAX_PAGES} more={more} />
        <ClearRuns session={request.session} dag={dag} shown={shown} />
        <Backfills request={request} dag={dag} backfills={backfills} />
        <div class="columns">
          <Actions request={request} dag={dag} fields={fields} />
          <Schedule request={request} dag={dag} paused={paused.includes(dag.id)} fields={fields} />
        </div>
      </>
    ),
  };
}

/** `GET /pipelines/:dag_id/events`: the graph and the grid when they change. */
export async function pipelineEvents(request: PageRequest): Promise<Response> {
  const { context } = request;
  const dag = dagOf(request);
  const known: Snapshots = new Map();
  const takeSnapshot = async () => {
    const { snapshots } = await readSnapshots(context, dag, { page: 1 }, known);
    const key = JSON.stringify(
      snapshots.map(({ run, tasks }) => [run.run_id, run.state, ...tasks.map(({ state }) => state)]),
    );
    const now = context.clock.now();
    const fragments: Fragment[] = [
      { id: "now", key, html: () => (<Now dag={dag} newest={snapshots[0]} now={now} />).toString() },
      {
        id: "grid",
        key,
        html: () => (<Grid dag={dag} snapshots={snapshots} now={request.now} />).toString(),
      },
    ];
    return { fragments, over: false };
  };
  return await live(request, { every_ms: 2_000, takeSnapshot });
}
