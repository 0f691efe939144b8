import { ParleyError } from "../../../lib/core/errors.ts";
import { iso } from "../../../lib/core/clock.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { topological } from "../../../lib/dag/graph.ts";
import { nextOccurrences } from "../../../lib/dag/schedule.ts";
import { type RunSnapshot, statusOf } from "../../../lib/stores/runs/port.ts";
import { DagGraph } from "./dag_graph.tsx";
import { Action, Field } from "../../components/form.tsx";
import { RunGrid } from "./run_grid.tsx";
import { Section } from "../../components/layout.tsx";
import { type ParamField, ParamFields, paramFields } from "./params.tsx";
import { schedulerOf, SchedulerWarning } from "../../components/scheduler_warning.tsx";
import { State } from "../../components/state.tsx";
import { pageOf, Pages } from "../../components/table.tsx";
import { Ago, Time } from "../../components/time.tsx";
import { type Fragment, live } from "../../http/live.ts";
import type { PageContext, PageRequest, View } from "../../http/page.ts";

const PER_PAGE = 25;
const MAX_PAGES = 400;

/** The dag that the address names. */
export function dagOf({ context, site }: Pick<PageRequest, "context" | "site">): Dag<never> {
  const dag = site.dags.get(context.req.param("dag_id") ?? "");
  if (dag === undefined) {
    throw new ParleyError("not_found", "there is no such pipeline; /pipelines lists them");
  }
  return dag;
}

/** `GET /pipelines/:dag_id?page=`: its graph as the newest run has it, runs × tasks, its schedule, and what can be done. */
export async function pipeline(visit: PageRequest): Promise<View> {
  const { site, url, now } = visit;
  const dag = dagOf(visit);
  const page = pageOf(url, MAX_PAGES);
  const [{ snapshots, more }, paused, scheduler, fields] = await Promise.all([
    snapshotsOf(site, dag, page),
    site.runs.paused(),
    schedulerOf(site, now),
    paramFields(dag),
  ]);
  return {
    title: dag.id,
    ...page === 1 ? { live: `/pipelines/${dag.id}/events` } : {},
    body: (
      <>
        {dag.doc !== undefined && <p class="lead">{dag.doc}</p>}
        <SchedulerWarning scheduler={scheduler} now={now} />
        {page === 1 && <Now dag={dag} newest={snapshots[0]} now={now} />}
        <Grid dag={dag} snapshots={snapshots} now={now} />
        <Pages url={url} page={page} most={MAX_PAGES} more={more} />
        <div class="columns">
          <Actions visit={visit} dag={dag} fields={fields} />
          <Schedule visit={visit} dag={dag} paused={paused.includes(dag.id)} fields={fields} />
        </div>
      </>
    ),
  };
}

/** `GET /pipelines/:dag_id/events`: the graph and the grid as they change. */
export async function pipelineEvents(visit: PageRequest): Promise<Response> {
  const dag = dagOf(visit);
  const known: Known = new Map();
  const takeSnapshot = async () => {
    const { snapshots } = await snapshotsOf(visit.site, dag, 1, known);
    const key = JSON.stringify(
      snapshots.map(({ run, tasks }) => [run.run_id, run.state, ...tasks.map(({ state }) => state)]),
    );
    const now = visit.site.clock.now();
    const fragments: Fragment[] = [
      { id: "now", key, html: () => (<Now dag={dag} newest={snapshots[0]} now={now} />).toString() },
      { id: "grid", key, html: () => (<Grid dag={dag} snapshots={snapshots} now={visit.now} />).toString() },
    ];
    return { fragments, over: false };
  };
  return await live(visit, { every_ms: 2_000, takeSnapshot });
}

/** A page of a dag's runs, newest first. What is `known` of a run that has ended since is not read again. */
async function snapshotsOf({ runs }: PageContext, dag: Dag<never>, page: number, known: Known = new Map()) {
  const found = await runs.runs({ dag_id: dag.id, limit: page * PER_PAGE + 1 });
  const shown = found.slice((page - 1) * PER_PAGE, page * PER_PAGE);
  const read = await Promise.all(shown.map(({ run_id, ended_at }) => {
    const last = known.get(run_id) ?? null;
    return ended_at !== null && last?.run.ended_at === ended_at ? last : runs.snapshot({ run_id });
  }));
  const snapshots = read.filter((each) => each !== null);
  for (const snapshot of snapshots) known.set(snapshot.run.run_id, snapshot);
  return { snapshots, more: found.length > page * PER_PAGE };
}

type Known = Map<string, RunSnapshot>;

function Now({ dag, newest, now }: { dag: Dag<never>; newest: RunSnapshot | undefined; now: number }) {
  const aside = newest === undefined ? "no run yet" : (
    <span>
      as <a href={`/runs/${encodeURIComponent(newest.run.run_id)}`}>{newest.run.run_id}</a> has it:{" "}
      <State state={statusOf(newest.run, now)} />{" "}
      <Ago at={newest.run.started_at ?? newest.run.created_at} now={now} />
    </span>
  );
  return (
    <Section id="now" title="Tasks" aside={aside}>
      <DagGraph dag={dag} snapshot={newest} />
    </Section>
  );
}

function Grid(
  { dag, snapshots, now }: { dag: Dag<never>; snapshots: readonly RunSnapshot[]; now: number },
) {
  return (
    <Section id="grid" title="Runs and tasks">
      <RunGrid tasks={topological(dag.tasks)} snapshots={snapshots} now={now} />
    </Section>
  );
}

interface OfDag {
  readonly visit: PageRequest;
  readonly dag: Dag<never>;
  readonly fields: readonly ParamField[];
}

function Actions({ visit, dag, fields }: OfDag) {
  return (
    <Section title="Run it now">
      <Action visit={visit} to={`/pipelines/${dag.id}/run`} label="Queue a run" tone="main">
        <ParamFields fields={fields} of="param" />
      </Action>
    </Section>
  );
}

function Schedule({ visit, dag, paused, fields }: OfDag & { paused: boolean }) {
  if (dag.schedule === undefined) {
    return (
      <Section title="Schedule">
        <p class="empty">
          It runs by hand only. A dag has a schedule by <code>schedule</code>, the nightly one by{" "}
          <code>PARLEY_SCHEDULE</code>.
        </p>
      </Section>
    );
  }
  const { cron, timezone, catch_up } = dag.schedule;
  return (
    <Section title="Schedule">
      <dl class="facts">
        <dt>Due</dt>
        <dd>
          <code>{cron}</code> in {timezone}
        </dd>
        <dt>What was missed</dt>
        <dd>{CATCH_UP[catch_up]}</dd>
        <dt>Next</dt>
        <dd>
          {paused ? "paused" : nextOccurrences(dag.schedule, visit.now, 3).map(({ due }) => (
            <div>
              <Time at={iso(due)} /> (<Ago at={iso(due)} now={visit.now} />)
            </div>
          ))}
        </dd>
      </dl>
      <div class="actions spaced">
        <Action
          visit={visit}
          to={`/pipelines/${dag.id}/pause`}
          label={paused ? "Let the schedule go on" : "Pause the schedule"}
        >
          <input type="hidden" name="paused" value={String(!paused)} />
        </Action>
      </div>
      <details class="form">
        <summary>Backfill: make the runs of past occurrences</summary>
        <Action visit={visit} to={`/pipelines/${dag.id}/backfill`} label="Queue them">
          <div class="pair">
            <Field id="from" label="From">
              <input id="from" name="from" type="date" required />
            </Field>
            <Field id="to" label="To, inclusive">
              <input id="to" name="to" type="date" required />
            </Field>
          </div>
          <ParamFields fields={fields} of="backfill" />
          <p class="hint">
            Days in{" "}
            {timezone}. Each occurrence gets one run with these params; those that have theirs are left as
            they are. {paused && "While the schedule is paused they wait."}
          </p>
        </Action>
      </details>
    </Section>
  );
}

const CATCH_UP = {
  none: "is left out",
  latest: "the latest is made up for",
  all: "all of it is made up for",
} as const;
