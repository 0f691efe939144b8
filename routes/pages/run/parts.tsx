import { definitionOf } from "../../../lib/dag/define.ts";
import { countsText, type MappedSummary } from "../../../lib/dag/mapped_summary.ts";
import { instancesOf } from "../../../lib/dag/state.ts";
import {
  type AttemptRecord,
  type RunRecord,
  statusOf,
  taskInstance,
  type TaskRecord,
} from "../../../lib/stores/runs/port.ts";
import type { PageRequest } from "../../http/page.ts";
import { Action, NeedsAdmin } from "../../components/form.tsx";
import { Gantt, type Span } from "../../components/gantt.tsx";
import { Empty, Fact, Section } from "../../components/layout.tsx";
import { formatNumber } from "../../components/format_number.ts";
import { State } from "../../components/state.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago, duration, lasted, Time } from "../../components/time.tsx";
import type { RunPageData } from "./data.ts";
import { runPath } from "../../components/run_link.tsx";

/** The run's status in a few words, to be read out: it changes with the state alone. */
export function RunStatus({ run, now }: { run: RunRecord; now: number }) {
  return <p id="run-status">{STATUS_TEXTS[statusOf(run, now)]}</p>;
}

const STATUS_TEXTS: Readonly<Record<ReturnType<typeof statusOf>, string>> = {
  queued: "The run is queued",
  running: "The run is in progress",
  interrupted: "The process of the run died: `deno task pipeline work` continues the run",
  success: "The run succeeded",
  skipped: "The run had nothing to do and was skipped",
  failed: "The run failed",
  cancelled: "The run was cancelled",
};

/** The run's facts, and what can be done with it. */
export function RunSummary(
  { request, data: { run, dag, attempts } }: { request: PageRequest; data: RunPageData },
) {
  const took = lasted(run, request.now);
  const versions = [
    ...new Set(
      attempts.flatMap(({ versions }) => Object.entries(versions).map(([what, v]) => `${what} ${v}`)),
    ),
  ];
  const path = runPath(run.run_id);
  return (
    <Section
      id="summary"
      title="This run"
      aside={<State state={statusOf(run, request.now)} />}
    >
      {run.error !== null && (
        <pre class={run.state === "failed" ? "error problem" : "error is-reason"}>{run.error}</pre>
      )}
      <dl class="facts">
        <Fact name="Pipeline">
          <a href={`/pipelines/${run.dag_id}`}>{run.dag_id}</a>, version <code>{run.dag_version}</code>
          {dag !== undefined && dag.version !== run.dag_version && " (its tasks have changed since)"}
        </Fact>
        <Fact name="Created">
          {TRIGGERS[run.trigger]} <Ago at={run.created_at} now={request.now} />
        </Fact>
        <Fact name="Logical date">
          <Time at={run.logical_date} />
        </Fact>
        {run.started_at !== null && (
          <Fact name="Started">
            <Time at={run.started_at} />
          </Fact>
        )}
        {took !== null && <Fact name={run.ended_at === null ? "Running for" : "Took"}>{duration(took)}</Fact>}
        {versions.length > 0 && (
          <Fact name="Versions">
            {versions.map((each) => (
              <>
                <code>{each}</code>
                {" "}
              </>
            ))}
          </Fact>
        )}
        {Object.keys(run.params).length > 0 && (
          <Fact name="Params">
            <code>{JSON.stringify(run.params)}</code>
          </Fact>
        )}
      </dl>
      <div class="actions spaced">
        {run.ended_at === null && !run.cancel_requested &&
          <Action session={request.session} to={`${path}/cancel`} label="Cancel the run" tone="danger" />}
        {run.ended_at === null && run.cancel_requested && <p class="empty">The run is being cancelled.</p>}
        {run.ended_at !== null && (run.state === "failed" || run.state === "cancelled") &&
          dag !== undefined &&
          <Action session={request.session} to={`${path}/retry`} label="Retry what failed" tone="main" />}
      </div>
    </Section>
  );
}

const TRIGGERS = {
  manual: "by hand",
  schedule: "by the schedule",
  dataset: "by datasets that were written",
  backfill: "by a backfill",
  external: "by an external engine",
} as const;

/** When each attempt ran. A mapped task has one bar, from its first instance's start to the last one's end. */
export function Timeline({ data, now }: { data: RunPageData; now: number }) {
  const { run, order, tasks, attempts, mapped } = data;
  const span = (row: string, name: string, state: string, times: Timed): Span => ({
    ...{ row, name, state, from: Date.parse(times.started_at) },
    to: Math.max(Date.parse(times.started_at), times.ended_at === null ? now : Date.parse(times.ended_at)),
  });
  const spans = [
    ...attempts.filter(({ task_id }) => taskInstance(task_id).map_index === null)
      .map((each) => span(each.task_id, `${each.task_id}, attempt ${each.attempt}`, each.state, each)),
    ...tasks.flatMap(({ task_id, state }) => {
      const summary = mapped.get(task_id);
      if (summary === undefined || summary.started_at === null) return [];
      return [span(task_id, `${task_id}, ${countsText(summary)}`, state, summary as Timed)];
    }),
  ];
  return (
    <Section id="timeline" title="Timeline" aside="of each attempt, from the first one's start">
      {spans.length === 0
        ? <Empty>{run.ended_at === null ? "Nothing has started yet." : "Nothing was started."}</Empty>
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

type Timed = Pick<AttemptRecord, "started_at" | "ended_at">;

interface TaskRow {
  readonly task: TaskRecord;
  /** Its attempts, oldest first. */
  readonly own: readonly AttemptRecord[];
  /** Its newest attempt, or a mapped task as a whole. */
  readonly last: AttemptRecord | MappedSummary | undefined;
  readonly mapped: MappedSummary | undefined;
}

/** Every task with its attempts, its error, and a way to run it again. */
export function TaskTable({ request, data }: { request: PageRequest; data: RunPageData }) {
  const rows = rowsOf(data, data.order);
  return (
    <Section id="tasks" title="Tasks">
      <Table
        id="task-table"
        stacks
        caption="Tasks in the pipeline's order, with the numbers of the last attempt."
        url={request.url}
        columns={columns(request, data)}
        rows={rows}
        empty={<Empty>This run has no tasks.</Empty>}
      />
      {canRetry(data) && <NeedsAdmin session={request.session} />}
    </Section>
  );
}

/** Instances that the page shows at most. */
const MAX_INSTANCES = 100;

/** The instances of the mapped task that the address names, those first that failed, are running, or have not ended. */
export function Instances(
  { request, data, task }: { request: PageRequest; data: RunPageData; task: string },
) {
  const instances = instancesOf(data.tasks).get(task) ?? [];
  const rank = ({ state }: TaskRecord) => {
    const at = (["failed", "running", "ready"] as TaskRecord["state"][]).indexOf(state);
    return at === -1 ? 3 : at;
  };
  const shown = instances.toSorted((a, b) => rank(a) - rank(b)).slice(0, MAX_INSTANCES);
  const caption = shown.length === instances.length
    ? `All ${formatNumber(instances.length)} instances.`
    : `${shown.length} of ${
      formatNumber(instances.length)
    } instances, those that failed or are running first.`;
  return (
    <Section id="instances" title={`Instances of ${task}`} aside="one for each item of its list">
      <Table
        id="instance-table"
        stacks
        caption={caption}
        url={request.url}
        columns={columns(request, data)}
        rows={rowsOf(data, shown.map(({ task_id }) => task_id))}
        empty={<Empty>It has no instances.</Empty>}
      />
    </Section>
  );
}

function rowsOf({ tasks, attempts, mapped }: RunPageData, ids: readonly string[]): TaskRow[] {
  const byId = new Map(tasks.map((task) => [task.task_id, task]));
  const byTask = Map.groupBy(attempts, ({ task_id }) => task_id);
  return ids.flatMap((id): TaskRow[] => {
    const task = byId.get(id);
    const own = byTask.get(id) ?? [];
    const summary = mapped.get(id);
    return task === undefined ? [] : [{ task, own, last: summary ?? own.at(-1), mapped: summary }];
  });
}

function columns(request: PageRequest, data: RunPageData): Column<TaskRow>[] {
  const rows = (key: "rows_in" | "rows_out" | "quarantined", head: string): Column<TaskRow> => ({
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
        <a
          id={`task-${task_id}`}
          href={`?task=${encodeURIComponent(task_id)}#${data.mapped.has(task_id) ? "instances" : "log-part"}`}
        >
          {task_id}
        </a>
      ),
      by: ({ task }) => task.task_id,
    },
    { key: "state", head: "State", cell: (row) => <Outcome row={row} />, by: ({ task }) => task.state },
    {
      key: "took",
      head: "Took",
      numeric: true,
      cell: ({ last }) => last === undefined ? "" : duration(lasted(last, request.now) ?? 0),
      by: ({ last }) => last === undefined ? null : lasted(last, request.now),
    },
    rows("rows_in", "Rows in"),
    rows("rows_out", "Rows out"),
    rows("quarantined", "Quarantined"),
    {
      key: "attempts",
      head: "Attempts",
      cell: (row) => <Attempts row={row} request={request} />,
      by: ({ own, mapped }) => mapped?.attempts ?? own.length,
    },
    ...canRetry(data) ? [retryColumn(request, data)] : [],
  ];
}

function canRetry({ run, dag }: RunPageData): boolean {
  return run.ended_at !== null && dag !== undefined;
}

function retryColumn(request: PageRequest, { run, dag }: RunPageData): Column<TaskRow> {
  return {
    key: "again",
    head: "Again",
    cell: ({ task: { task_id }, own, mapped }) =>
      (own.length > 0 || mapped !== undefined) && dag !== undefined && definitionOf(dag, task_id) && (
        <Action
          session={request.session}
          to={`${runPath(run.run_id)}/retry`}
          label="Retry from here"
          tone="small"
        >
          <input type="hidden" name="task" value={task_id} />
        </Action>
      ),
  };
}

function Outcome({ row: { task, own, mapped } }: { row: TaskRow }) {
  const last = own.at(-1);
  const progress = last?.state === "running" && last.progress_done > 0;
  return (
    <>
      <State state={task.state} />
      {mapped !== undefined && <div class="muted">{countsText(mapped)}</div>}
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

function Attempts({ row: { own, mapped }, request }: { row: TaskRow; request: PageRequest }) {
  if (mapped !== undefined) return formatNumber(mapped.attempts);
  if (own.length === 0) return null;
  return (
    <ol class="attempts">
      {own.map(({ task_id, attempt, state, started_at, owner, error, ...rest }) => (
        <li value={attempt}>
          <State state={state} /> <Time at={started_at} as="clock" />,{" "}
          {duration(lasted({ started_at, ...rest }, request.now) ?? 0)}, <span class="muted">by {owner}</span>
          {" "}
          <a
            href={`?task=${encodeURIComponent(task_id)}&attempt=${attempt}#log-part`}
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
