import { ParleyError } from "../../../lib/core/errors.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { topological } from "../../../lib/dag/graph.ts";
import { type RunSnapshot, statusOf } from "../../../lib/stores/runs/port.ts";
import { Lineage, type Use } from "./lineage.tsx";
import { Log, LogLines, tail } from "./log.tsx";
import { RunStatus, RunSummary, TaskTable, Timeline } from "./parts.tsx";
import { schedulerOf, SchedulerWarning } from "../../components/scheduler_warning.tsx";
import { type Fragment, live } from "../../http/live.ts";
import type { PageRequest, View } from "../../http/page.ts";

/** A run as its page shows it. `order` are its tasks: the dag's order, then those that the dag no longer has. */
export interface RunPageData extends RunSnapshot {
  readonly dag: Dag<never> | undefined;
  readonly order: readonly string[];
}

async function readRunPage({ context, site }: PageRequest): Promise<RunPageData> {
  const snapshot = await site.runs.snapshot({ run_id: context.req.param("run_id") ?? "" });
  if (snapshot === null) throw new ParleyError("not_found", "there is no such run; /runs lists them");
  const dag = site.dags.get(snapshot.run.dag_id);
  const known = topological(dag?.tasks ?? []);
  const order = [
    ...known,
    ...snapshot.tasks.map(({ task_id }) => task_id).filter((id) => !known.includes(id)),
  ];
  return { ...snapshot, dag, order };
}

/** Which lines of the log are asked for. */
function filterOf({ url }: PageRequest): { task_id?: string; attempt?: number } {
  const task_id = url.searchParams.get("task") ?? "";
  const attempt = Number(url.searchParams.get("attempt") ?? "0");
  if (task_id === "") return {};
  return { task_id, ...Number.isSafeInteger(attempt) && attempt > 0 ? { attempt } : {} };
}

/** `GET /runs/:run_id?task=&attempt=`: a run, its timeline, its tasks, its log, and what it read and wrote. */
export async function run(visit: PageRequest): Promise<View> {
  const { site, now } = visit;
  const run = await readRunPage(visit);
  const { run_id, ended_at } = run.run;
  const filter = filterOf(visit);
  const [log, uses, scheduler] = await Promise.all([
    tail(site.runs, { run_id, ...filter }),
    site.runs.lineage({ run_id }),
    schedulerOf(site, now),
  ]);
  return {
    title: run_id,
    after: log.lines.at(-1)?.seq ?? 0,
    ...ended_at === null ? { live: `/runs/${encodeURIComponent(run_id)}/events${visit.url.search}` } : {},
    body: (
      <>
        {run.run.state === "queued" && <SchedulerWarning scheduler={scheduler} now={now} />}
        <div role="status" class="unseen">
          <RunStatus run={run.run} now={now} />
        </div>
        <RunSummary visit={visit} seen={run} />
        <Timeline seen={run} now={now} />
        <TaskTable visit={visit} seen={run} />
        <Log run_id={run_id} tasks={run.order} filter={filter} log={log} over={ended_at !== null} />
        <Lineage url={visit.url} uses={uses} />
      </>
    ),
  };
}

/** `GET /runs/:run_id/events?task=&attempt=`: what changes in a run, and what it says, until it has ended. */
export function runEvents(visit: PageRequest): Promise<Response> {
  const { runs, clock } = visit.site;
  const filter = filterOf(visit);
  const page = new URL(visit.url.href.replace(/\/events(?=\?|$)/, ""));
  const takeSnapshot = async (after: number) => {
    const run = await readRunPage(visit);
    const { run_id, ended_at } = run.run;
    const lines = await runs.logs({ run_id, ...filter, after, limit: 1_000 });
    const over = ended_at !== null && lines.length === 0;
    const uses = await runs.lineage({ run_id });
    const at = { ...visit, url: page, now: clock.now() };
    return { fragments: fragments(at, run, uses), lines: logLines(lines), over };
  };
  return live(visit, { every_ms: 700, takeSnapshot });
}

function logLines(lines: Parameters<typeof LogLines>[0]["lines"]): { html: string; last: number } | null {
  const last = lines.at(-1);
  return last === undefined ? null : { html: (<LogLines lines={lines} />).toString(), last: last.seq };
}

/** While something runs, its durations change each second. */
function fragments(visit: PageRequest, run: RunPageData, uses: readonly Use[]): Fragment[] {
  const second = run.run.ended_at === null && run.run.started_at !== null ? Math.floor(visit.now / 1_000) : 0;
  const key = JSON.stringify([run.run, run.tasks, run.attempts, second]);
  return [
    {
      id: "standing",
      key: statusOf(run.run, visit.now),
      html: () => (<RunStatus run={run.run} now={visit.now} />).toString(),
    },
    { id: "summary", key, html: () => (<RunSummary visit={visit} seen={run} />).toString() },
    { id: "timeline", key, html: () => (<Timeline seen={run} now={visit.now} />).toString() },
    { id: "tasks", key, html: () => (<TaskTable visit={visit} seen={run} />).toString() },
    {
      id: "lineage",
      key: String(uses.length),
      html: () => (<Lineage url={visit.url} uses={uses} />).toString(),
    },
  ];
}
