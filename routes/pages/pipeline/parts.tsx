import { iso } from "../../../lib/core/clock.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { topological } from "../../../lib/dag/graph.ts";
import { nextOccurrences } from "../../../lib/dag/schedule.ts";
import { type RunSnapshot, statusOf } from "../../../lib/stores/runs/port.ts";
import { Action, Field } from "../../components/form.tsx";
import { Graph, type GraphNode } from "../../components/graph.tsx";
import { Section } from "../../components/layout.tsx";
import { State, stateLabel } from "../../components/state.tsx";
import { Ago, Time } from "../../components/time.tsx";
import type { PageRequest } from "../../http/page.ts";
import { type ParamField, ParamFields } from "./params.tsx";
import { RunGrid } from "./run_grid.tsx";

export function Now({ dag, newest, now }: { dag: Dag<never>; newest: RunSnapshot | undefined; now: number }) {
  const aside = newest === undefined ? "no run yet" : (
    <span>
      in <a href={`/runs/${encodeURIComponent(newest.run.run_id)}`}>{newest.run.run_id}</a>:{" "}
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

/** A dag's tasks and what each needs, coloured by their states in a run. */
function DagGraph({ dag, snapshot }: { dag: Dag<never>; snapshot: RunSnapshot | undefined }) {
  const nodes = dag.tasks.map(({ id, doc }): GraphNode => {
    const state = snapshot?.tasks.find(({ task_id }) => task_id === id)?.state;
    if (snapshot === undefined || state === undefined) {
      return { id, label: id, ...doc === undefined ? {} : { note: doc } };
    }
    const { look, sign, name } = stateLabel(state);
    const href = `/runs/${encodeURIComponent(snapshot.run.run_id)}?task=${encodeURIComponent(id)}#task-${id}`;
    return { id, label: id, note: progressOf(snapshot, id) ?? name, look, sign, href };
  });
  const edges = dag.tasks.flatMap(({ id, needs = [] }) =>
    [...new Set(needs)].map((from) => ({ from, to: id }))
  );
  return <Graph label={`The tasks of ${dag.id}`} nodes={nodes} edges={edges} />;
}

function progressOf({ attempts }: RunSnapshot, task_id: string): string | null {
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

export function Schedule({ request, dag, paused, fields }: PartProps & { paused: boolean }) {
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
        <dt>Due</dt>
        <dd>
          <code>{cron}</code> in {timezone}
        </dd>
        <dt>Missed occurrences</dt>
        <dd>{CATCH_UP[catch_up]}</dd>
        <dt>Next</dt>
        <dd>
          {paused ? "paused" : nextOccurrences(dag.schedule, request.now, 3).map(({ due }) => (
            <div>
              <Time at={iso(due)} /> (<Ago at={iso(due)} now={request.now} />)
            </div>
          ))}
        </dd>
      </dl>
      <div class="actions spaced">
        <Action
          session={request.session}
          to={`/pipelines/${dag.id}/pause`}
          label={paused ? "Resume the schedule" : "Pause the schedule"}
        >
          <input type="hidden" name="paused" value={String(!paused)} />
        </Action>
      </div>
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
          <ParamFields fields={fields} of="backfill" />
          <p class="hint">
            Days in{" "}
            {timezone}. Each occurrence gets one run with these params; those that have a run are left as they
            are. {paused && "They wait while the schedule is paused."}
          </p>
        </Action>
      </details>
    </Section>
  );
}

const CATCH_UP = {
  none: "skipped",
  latest: "the latest one runs",
  all: "all of them run",
} as const;
