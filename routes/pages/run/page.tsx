import { statusOf, taskInstance } from "../../../lib/stores/runs/port.ts";
import { SchedulerWarning } from "../../components/scheduler_warning.tsx";
import { type Fragment, live, type LiveSnapshot } from "../../http/live.ts";
import type { PageRequest, View } from "../../http/page.ts";
import { readScheduler } from "../scheduler.ts";
import { type Line, type LogFilter, logFilter, readRunPage, readTail, type RunPageData } from "./data.ts";
import { Lineage, type Use } from "./lineage.tsx";
import { Log, LogLines } from "./log.tsx";
import { Notes } from "./notes.tsx";
import { Instances, RunStatus, RunSummary, TaskTable, Timeline } from "./parts.tsx";
import { runPath } from "../../components/run_link.tsx";

/** `GET /runs/:run_id?task=&attempt=`: a run, its timeline, its tasks, its log, and what it read and wrote. */
export async function run(request: PageRequest): Promise<View> {
  const { context, now } = request;
  const data = await readRunPage(request);
  const { run_id, ended_at } = data.run;
  const filter = logFilter(request);
  const mappedTask = mappedTaskOf(data, filter);
  const named = filter.task_id === undefined ? [] : [filter.task_id];
  const tasks = [...new Set([...data.order, ...named])];
  const [log, uses, notes, scheduler] = await Promise.all([
    readTail(context.runs, { run_id, ...filter }),
    context.runs.lineage({ run_id }),
    context.runs.runNotes({ run_id }),
    readScheduler(context, now),
  ]);
  return {
    title: run_id,
    after: log.lines.at(-1)?.seq ?? 0,
    ...ended_at === null ? { live: `${runPath(run_id)}/events${request.url.search}` } : {},
    body: (
      <>
        {data.run.state === "queued" && <SchedulerWarning scheduler={scheduler} now={now} />}
        <div role="status" class="unseen">
          <RunStatus run={data.run} now={now} />
        </div>
        <RunSummary request={request} data={data} />
        <Notes request={request} data={data} notes={notes} />
        <Timeline data={data} now={now} />
        <TaskTable request={request} data={data} />
        {mappedTask !== null && <Instances request={request} data={data} task={mappedTask} />}
        <Log run_id={run_id} tasks={tasks} filter={filter} log={log} over={ended_at !== null} />
        <Lineage url={request.url} uses={uses} />
      </>
    ),
  };
}

/** `GET /runs/:run_id/events?task=&attempt=`: what changes in a run, and what it logs, until it ends. */
export function runEvents(request: PageRequest): Promise<Response> {
  const { runs, clock } = request.context;
  const filter = logFilter(request);
  const page = new URL(request.url.href.replace(/\/events(?=\?|$)/, ""));
  const takeSnapshot = async (after: number) => {
    const data = await readRunPage(request);
    const { run_id, ended_at } = data.run;
    const lines = await runs.logs({ run_id, ...filter, after, limit: 1_000 });
    const over = ended_at !== null && lines.length === 0;
    const uses = await runs.lineage({ run_id });
    return {
      fragments: fragments({ ...request, url: page, now: clock.now() }, data, uses),
      lines: logLines(lines),
      over,
    };
  };
  return live(request, { every_ms: 700, takeSnapshot });
}

function logLines(lines: readonly Line[]): NonNullable<LiveSnapshot["lines"]> | null {
  const last = lines.at(-1);
  return last === undefined ? null : { html: (<LogLines lines={lines} />).toString(), last: last.seq };
}

/** The mapped task that the address names, itself or by one of its instances. */
function mappedTaskOf({ mapped }: RunPageData, { task_id }: LogFilter): string | null {
  const id = taskInstance(task_id ?? "").task_id;
  return mapped.has(id) ? id : null;
}

/** While something runs, its durations change each second. */
function fragments(request: PageRequest, data: RunPageData, uses: readonly Use[]): Fragment[] {
  const { run, tasks, attempts } = data;
  const second = run.ended_at === null && run.started_at !== null ? Math.floor(request.now / 1_000) : 0;
  const key = JSON.stringify([run, tasks, attempts, second]);
  const mappedTask = mappedTaskOf(data, logFilter(request));
  return [
    {
      id: "run-status",
      key: statusOf(run, request.now),
      html: () => (<RunStatus run={run} now={request.now} />).toString(),
    },
    { id: "summary", key, html: () => (<RunSummary request={request} data={data} />).toString() },
    { id: "timeline", key, html: () => (<Timeline data={data} now={request.now} />).toString() },
    { id: "tasks", key, html: () => (<TaskTable request={request} data={data} />).toString() },
    ...mappedTask === null ? [] : [{
      id: "instances",
      key,
      html: () => (<Instances request={request} data={data} task={mappedTask} />).toString(),
    }],
    {
      id: "lineage",
      key: String(uses.length),
      html: () => (<Lineage url={request.url} uses={uses} />).toString(),
    },
  ];
}
