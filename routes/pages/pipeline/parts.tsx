import { datasetsOf } from "../../../lib/dag/dataset_schedule.ts";
import { countsText, summarizeMapped } from "../../../lib/dag/mapped_summary.ts";
import { iso } from "../../../lib/core/clock.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { topological } from "../../../lib/dag/graph.ts";
import { nextOccurrences } from "../../../lib/dag/schedule.ts";
import {
  type BackfillProgress,
  type Reprocess,
  RUN_STATES,
  type RunSnapshot,
  type RunState,
  statusOf,
} from "../../../lib/stores/runs/port.ts";
import { Action, Field } from "../../components/form.tsx";
import { Graph, type GraphNode } from "../../components/graph.tsx";
import { Fact, Section } from "../../components/layout.tsx";
import { State, stateLabel } from "../../components/state.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago, Time } from "../../components/time.tsx";
import type { PageRequest } from "../../http/page.ts";
import { type ParamField, ParamFields } from "./params.tsx";
import { RunGrid } from "./run_grid.tsx";
import { RunLink, runPath } from "../../components/run_link.tsx";

export function Now({ dag, newest, now }: { dag: Dag<never>; newest: RunSnapshot | undefined; now: number }) {
  const aside = newest === undefined ? "no run yet" : (
    <span>
      in <RunLink run_id={newest.run.run_id} />: <State state={statusOf(newest.run, now)} />{" "}
      <Ago at={newest.run.started_at ?? newest.run.created_at} now={now} />
    </span>
  );
  return (
    <Section id="now" title="Tasks" aside={aside}>
      <DagGraph dag={dag} snapshot={newest} />
    </Section>
  );
}

/** A dag's tasks and what each needs, coloured by their states in a run. */
function DagGraph({ dag, snapshot }: { dag: Dag<never>; snapshot: RunSnapshot | undefined }) {
  const nodes = dag.tasks.map(({ id, doc }): GraphNode => {
    const state = snapshot?.tasks.find(({ task_id }) => task_id === id)?.state;
    if (snapshot === undefined || state === undefined) {
      return { id, label: id, ...doc === undefined ? {} : { note: doc } };
    }
    const { look, sign, name } = stateLabel(state);
    const href = `${runPath(snapshot.run.run_id)}?task=${encodeURIComponent(id)}#task-${id}`;
    return { id, label: id, note: progressOf(snapshot, id) ?? name, look, sign, href };
  });
  const edges = dag.tasks.flatMap(({ id, needs = [] }) =>
    [...new Set(needs)].map((from) => ({ from, to: id }))
  );
  return <Graph label={`The tasks of ${dag.id}`} nodes={nodes} edges={edges} />;
}

function progressOf(snapshot: RunSnapshot, task_id: string): string | null {
  const { attempts } = snapshot;
  const mapped = summarizeMapped(snapshot).get(task_id);
  if (mapped !== undefined) return countsText(mapped);
  const last = attempts.findLast((each) => each.task_id === task_id);
  if (last?.state !== "running" || last.progress_done === 0) return null;
  return `${last.progress_done} of ${last.progress_total ?? "?"}`;
}

export function Grid(
  { dag, snapshots, now }: { dag: Dag<never>; snapshots: readonly RunSnapshot[]; now: number },
) {
  return (
    <Section id="grid" title="Runs and tasks">
      <RunGrid tasks={topological(dag.tasks)} snapshots={snapshots} now={now} />
    </Section>
  );
}

interface PartProps {
  readonly request: PageRequest;
  readonly dag: Dag<never>;
  readonly fields: readonly ParamField[];
}

export function Actions({ request, dag, fields }: PartProps) {
  return (
    <Section title="Run it now">
      <Action session={request.session} to={`/pipelines/${dag.id}/run`} label="Queue a run" tone="main">
        <ParamFields fields={fields} of="param" />
      </Action>
    </Section>
  );
}

function DatasetFacts({ on }: { on: NonNullable<Dag<never>["on_datasets"]> }) {
  return (
    <dl class="facts">
      <dt>Runs when {on.all_of === undefined ? "one" : "each"} of these was written</dt>
      {datasetsOf(on).map(({ namespace, name }) => (
        <dd>
          <code>{namespace} {name}</code>
        </dd>
      ))}
    </dl>
  );
}

function PauseAction({ request, dag, paused }: Pick<PartProps, "request" | "dag"> & { paused: boolean }) {
  return (
    <div class="actions spaced">
      <Action
        session={request.session}
        to={`/pipelines/${dag.id}/pause`}
        label={paused ? "Resume the schedule" : "Pause the schedule"}
      >
        <input type="hidden" name="paused" value={String(!paused)} />
      </Action>
    </div>
  );
}

export function Schedule({ request, dag, paused, fields }: PartProps & { paused: boolean }) {
  if (dag.schedule === undefined && dag.on_datasets !== undefined) {
    return (
      <Section title="Schedule">
        <DatasetFacts on={dag.on_datasets} />
        <PauseAction request={request} dag={dag} paused={paused} />
      </Section>
    );
  }
  if (dag.schedule === undefined) {
    return (
      <Section title="Schedule">
        <p class="empty">
          It runs by hand only. The field <code>schedule</code> gives a dag a schedule,{" "}
          <code>PARLEY_SCHEDULE</code> the nightly one.
        </p>
      </Section>
    );
  }
  const { cron, timezone, catch_up } = dag.schedule;
  return (
    <Section title="Schedule">
      <dl class="facts">
        <Fact name="Due">
          <code>{cron}</code> in {timezone}
        </Fact>
        <Fact name="Missed occurrences">{CATCH_UP[catch_up]}</Fact>
        <Fact name="Next">
          {paused ? "paused" : nextOccurrences(dag.schedule, request.now, 3).map(({ due }) => (
            <div>
              <Time at={iso(due)} /> (<Ago at={iso(due)} now={request.now} />)
            </div>
          ))}
        </Fact>
      </dl>
      {dag.on_datasets !== undefined && <DatasetFacts on={dag.on_datasets} />}
      <PauseAction request={request} dag={dag} paused={paused} />
      <details class="form">
        <summary>Backfill: create the runs of past occurrences</summary>
        <Action session={request.session} to={`/pipelines/${dag.id}/backfill`} label="Queue them">
          <div class="pair">
            <Field id="from" label="From">
              <input id="from" name="from" type="date" required />
            </Field>
            <Field id="to" label="To, inclusive">
              <input id="to" name="to" type="date" required />
            </Field>
          </div>
          <div class="pair">
            <Field id="reprocess" label="Occurrences that have a run">
              <select id="reprocess" name="reprocess">
                {Object.entries(REPROCESS_LABELS).map(([value, label]) => (
                  <option value={value}>{label}</option>
                ))}
              </select>
            </Field>
            <Field id="max_active" label="Runs at one time">
              <input id="max_active" name="max_active" type="number" min="1" max="100" value="1" required />
            </Field>
          </div>
          <Field id="backwards" label="Order">
            <select id="backwards" name="backwards">
              <option value="false">oldest first</option>
              <option value="true">newest first</option>
            </select>
          </Field>
          <ParamFields fields={fields} of="backfill" />
          <p class="hint">
            Days in{" "}
            {timezone}. New runs get these params. Other runs that are queued start before those of a
            backfill.
          </p>
        </Action>
      </details>
    </Section>
  );
}

const REPROCESS_LABELS: Readonly<Record<Reprocess, string>> = {
  none: "leave them",
  failed: "run those that failed again",
  completed: "run all again",
};

/** The newest backfills of the dag with their progress, and a button to cancel one; nothing without one. */
export function Backfills(
  { request, dag, backfills }: Omit<PartProps, "fields"> & { backfills: readonly BackfillProgress[] },
) {
  if (backfills.length === 0) return null;
  return (
    <Section title="Backfills">
      <Table
        id="backfills"
        stacks
        caption="Runs of past days, the newest backfill first."
        url={request.url}
        columns={backfillColumns(request, dag)}
        rows={backfills}
      />
    </Section>
  );
}

function backfillColumns(
  { session, now }: PageRequest,
  { id }: Dag<never>,
): Column<BackfillProgress>[] {
  const count = (key: RunState): Column<BackfillProgress> => ({
    key,
    head: key,
    numeric: true,
    cell: ({ runs }) => runs[key],
    by: ({ runs }) => runs[key],
  });
  return [
    {
      key: "days",
      head: "Days",
      cell: (one) => `${one.from_day} – ${one.to_day}`,
      by: (one) => one.from_day,
    },
    {
      key: "created",
      head: "Created",
      cell: (one) => <Ago at={one.created_at} now={now} />,
      by: (one) => one.created_at,
    },
    ...RUN_STATES.map(count),
    {
      key: "cancel",
      head: "",
      cell: ({ backfill_id, runs }) =>
        runs.queued + runs.running === 0
          ? ""
          : (
            <Action session={session} to={`/pipelines/${id}/backfills/cancel`} label="Cancel" tone="small">
              <input type="hidden" name="backfill_id" value={backfill_id} />
            </Action>
          ),
    },
  ];
}

const CATCH_UP = {
  none: "skipped",
  latest: "the latest one runs",
  all: "all of them run",
} as const;
