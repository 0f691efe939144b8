import {
  type AttemptRecord,
  type RunRecord,
  statusOf,
  type TaskRecord,
} from "../../../lib/stores/runs/port.ts";
import type { RunPageData } from "./page.tsx";
import type { PageRequest } from "../../http/page.ts";
import { Action, NeedsAdmin } from "../../components/form.tsx";
import { Gantt, type Span } from "../../components/gantt.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { formatNumber } from "../../components/format_number.ts";
import { State } from "../../components/state.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago, duration, lasted, Time } from "../../components/time.tsx";

/** How the run stands, in a few words to be read out: it changes with the state and with nothing else. */
export function RunStatus({ run, now }: { run: RunRecord; now: number }) {
  return <p id="standing">{STANDS[statusOf(run, now)]}</p>;
}

const STANDS: Readonly<Record<ReturnType<typeof statusOf>, string>> = {
  queued: "The run is queued",
  running: "The run is in progress",
  interrupted: "The process of the run died: `deno task pipeline work` continues it",
  success: "The run succeeded",
  skipped: "The run had nothing to do and was skipped",
  failed: "The run failed",
  cancelled: "The run was cancelled",
};

/** The run in facts, and what can be done with it. */
export function RunSummary(
  { visit, seen: { run, dag, attempts } }: { visit: PageRequest; seen: RunPageData },
) {
  const took = lasted(run, visit.now);
  const versions = [
    ...new Set(
      attempts.flatMap(({ versions }) => Object.entries(versions).map(([what, v]) => `${what} ${v}`)),
    ),
  ];
  const path = `/runs/${encodeURIComponent(run.run_id)}`;
  return (
    <Section
      id="summary"
      title="This run"
      aside={<State state={statusOf(run, visit.now)} />}
    >
      {run.error !== null && (
        <pre class={run.state === "failed" ? "error problem" : "error is-reason"}>{run.error}</pre>
      )}
      <dl class="facts">
        <dt>Pipeline</dt>
        <dd>
          <a href={`/pipelines/${run.dag_id}`}>{run.dag_id}</a>, version <code>{run.dag_version}</code>
          {dag !== undefined && dag.version !== run.dag_version && " (its tasks have changed since)"}
        </dd>
        <dt>Made</dt>
        <dd>
          {MADE[run.trigger]} <Ago at={run.created_at} now={visit.now} />
        </dd>
        <dt>Logical date</dt>
        <dd>
          <Time at={run.logical_date} />
        </dd>
        {run.started_at !== null && (
          <>
            <dt>Started</dt>
            <dd>
              <Time at={run.started_at} />
            </dd>
          </>
        )}
        {took !== null && (
          <>
            <dt>{run.ended_at === null ? "Running for" : "Took"}</dt>
            <dd>{duration(took)}</dd>
          </>
        )}
        {versions.length > 0 && (
          <>
            <dt>Versions</dt>
            <dd>
              {versions.map((each) => (
                <>
                  <code>{each}</code>
                  {" "}
                </>
              ))}
            </dd>
          </>
        )}
        {Object.keys(run.params).length > 0 && (
          <>
            <dt>Params</dt>
            <dd>
              <code>{JSON.stringify(run.params)}</code>
            </dd>
          </>
        )}
      </dl>
      <div class="actions spaced">
        {run.ended_at === null && !run.cancel_requested &&
          <Action visit={visit} to={`${path}/cancel`} label="Cancel the run" tone="danger" />}
        {run.ended_at === null && run.cancel_requested && <p class="empty">It was asked to stop.</p>}
        {run.ended_at !== null && (run.state === "failed" || run.state === "cancelled") &&
          dag !== undefined &&
          <Action visit={visit} to={`${path}/retry`} label="Retry what failed" tone="main" />}
      </div>
    </Section>
  );
}

const MADE = { manual: "by hand", schedule: "by the schedule", external: "by an engine outside" } as const;

/** When each attempt ran. */
export function Timeline({ seen: { run, order, attempts }, now }: { seen: RunPageData; now: number }) {
  const spans = attempts.map((each): Span => ({
    row: each.task_id,
    name: `${each.task_id}, attempt ${each.attempt}`,
    state: each.state,
    from: Date.parse(each.started_at),
    to: Math.max(Date.parse(each.started_at), each.ended_at === null ? now : Date.parse(each.ended_at)),
  }));
  return (
    <Section id="timeline" title="Timeline" aside="of each attempt, from the first one's start">
      {spans.length === 0
        ? <Empty>{run.ended_at === null ? "Nothing has started yet." : "Nothing was ever started."}</Empty>
        : (
          <Gantt
            label="Timeline"
            rows={order.filter((task) => spans.some(({ row }) => row === task))}
            spans={spans}
          />
        )}
    </Section>
  );
}

interface Row {
  readonly task: TaskRecord;
  /** Its attempts, oldest first. */
  readonly own: readonly AttemptRecord[];
  readonly last: AttemptRecord | undefined;
}

/** Every task with its attempts, its error, and a way to run it again. */
export function TaskTable({ visit, seen }: { visit: PageRequest; seen: RunPageData }) {
  const rows = seen.order.flatMap((id): Row[] => {
    const task = seen.tasks.find(({ task_id }) => task_id === id);
    const own = seen.attempts.filter(({ task_id }) => task_id === id);
    return task === undefined ? [] : [{ task, own, last: own.at(-1) }];
  });
  return (
    <Section id="tasks" title="Tasks">
      <Table
        id="task-table"
        stacks
        caption="Tasks in the pipeline's order. Figures are of the last attempt."
        url={visit.url}
        columns={columns(visit, seen)}
        rows={rows}
        empty={<Empty>This run has no tasks.</Empty>}
      />
      {canRetry(seen) && <NeedsAdmin visit={visit} />}
    </Section>
  );
}

function columns(visit: PageRequest, seen: RunPageData): Column<Row>[] {
  const rows = (key: "rows_in" | "rows_out" | "quarantined", head: string): Column<Row> => ({
    key,
    head,
    numeric: true,
    cell: ({ last }) => last === undefined || last[key] === 0 ? "" : formatNumber(last[key]),
    by: ({ last }) => last?.[key] ?? null,
  });
  return [
    {
      key: "task",
      head: "Task",
      cell: ({ task: { task_id } }) => (
        <a id={`task-${task_id}`} href={`?task=${task_id}#log-part`}>{task_id}</a>
      ),
      by: ({ task }) => task.task_id,
    },
    { key: "state", head: "State", cell: (row) => <Outcome row={row} />, by: ({ task }) => task.state },
    {
      key: "took",
      head: "Took",
      numeric: true,
      cell: ({ last }) => last === undefined ? "" : duration(lasted(last, visit.now) ?? 0),
      by: ({ last }) => last === undefined ? null : lasted(last, visit.now),
    },
    rows("rows_in", "Rows in"),
    rows("rows_out", "Rows out"),
    rows("quarantined", "Quarantined"),
    {
      key: "attempts",
      head: "Attempts",
      cell: (row) => <Attempts row={row} visit={visit} />,
      by: ({ own }) => own.length,
    },
    ...canRetry(seen) ? [again(visit, seen)] : [],
  ];
}

function canRetry({ run, dag }: RunPageData): boolean {
  return run.ended_at !== null && dag !== undefined;
}

function again(visit: PageRequest, { run, dag }: RunPageData): Column<Row> {
  return {
    key: "again",
    head: "Again",
    cell: ({ task: { task_id }, own }) =>
      own.length > 0 && dag?.tasksById.has(task_id) && (
        <Action
          visit={visit}
          to={`/runs/${encodeURIComponent(run.run_id)}/retry`}
          label="Retry from here"
          tone="small"
        >
          <input type="hidden" name="task" value={task_id} />
        </Action>
      ),
  };
}

function Outcome({ row: { task, last } }: { row: Row }) {
  const progress = last?.state === "running" && last.progress_done > 0;
  return (
    <>
      <State state={task.state} />
      {progress && (
        <div class="muted">
          {formatNumber(last.progress_done)} of{" "}
          {last.progress_total === null ? "?" : formatNumber(last.progress_total)}
        </div>
      )}
      {task.error !== null && (
        <pre class={task.state === "skipped" ? "error is-reason" : "error"}>{task.error}</pre>
      )}
    </>
  );
}

function Attempts({ row: { own }, visit }: { row: Row; visit: PageRequest }) {
  if (own.length === 0) return null;
  return (
    <ol class="attempts">
      {own.map(({ task_id, attempt, state, started_at, owner, error, ...rest }) => (
        <li value={attempt}>
          <State state={state} /> <Time at={started_at} as="clock" />,{" "}
          {duration(lasted({ started_at, ...rest }, visit.now) ?? 0)}, <span class="muted">by {owner}</span>
          {" "}
          <a
            href={`?task=${task_id}&attempt=${attempt}#log-part`}
            aria-label={`Log of ${task_id}, attempt ${attempt}`}
          >
            log
          </a>
          {error !== null && own.length > 1 && <pre class="error">{error}</pre>}
        </li>
      ))}
    </ol>
  );
}
