import type { Dag } from "../../../lib/dag/define.ts";
import { nextOccurrences } from "../../../lib/dag/schedule.ts";
import { iso } from "../../../lib/core/clock.ts";
import { type RunRecord, statusOf } from "../../../lib/stores/runs/port.ts";
import { Empty, Section } from "../../components/layout.tsx";
import { RecentRuns } from "../../components/recent_runs.tsx";
import { schedulerOf, SchedulerWarning } from "../../components/scheduler_warning.tsx";
import { State } from "../../components/state.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago } from "../../components/time.tsx";
import type { PageRequest, View } from "../../http/page.ts";

/** How many of a dag's last runs its line shows. */
const RECENT = 14;

interface Row {
  readonly dag: Dag<never>;
  readonly recent: readonly RunRecord[];
  readonly paused: boolean;
  readonly next: string | null;
}

/** `GET /pipelines`: every dag, how its last runs came out, and when it is due next. */
export async function pipelines({ site, url, now }: PageRequest): Promise<View> {
  const [paused, scheduler] = await Promise.all([
    site.runs.paused(),
    schedulerOf(site, now),
  ]);
  const rows = await Promise.all([...site.dags.values()].map(async (dag): Promise<Row> => ({
    dag,
    recent: await site.runs.runs({ dag_id: dag.id, limit: RECENT }),
    paused: paused.includes(dag.id),
    next: nextDue(dag, now),
  })));
  return {
    title: "Pipelines",
    body: (
      <>
        <SchedulerWarning scheduler={scheduler} />
        <Section title="All pipelines">
          <Table
            id="dags"
            stacks
            caption="Each pipeline with its last runs, newest first."
            url={url}
            columns={columns(now)}
            rows={rows}
            empty={<Empty>No dag is defined.</Empty>}
          />
        </Section>
      </>
    ),
  };
}

function nextDue({ schedule }: Dag<never>, now: number): string | null {
  const next = schedule === undefined ? undefined : nextOccurrences(schedule, now, 1)[0];
  return next === undefined ? null : iso(next.due);
}

function columns(now: number): Column<Row>[] {
  return [
    {
      key: "dag",
      head: "Pipeline",
      cell: ({ dag }) => <a href={`/pipelines/${dag.id}`}>{dag.id}</a>,
      by: ({ dag }) => dag.id,
    },
    { key: "doc", head: "What it does", cell: ({ dag }) => dag.doc ?? "" },
    {
      key: "last",
      head: "Last run",
      cell: ({ recent: [last] }) =>
        last === undefined ? "none yet" : (
          <a href={`/runs/${encodeURIComponent(last.run_id)}`}>
            <State state={statusOf(last, now)} />
          </a>
        ),
      by: ({ recent: [last] }) => last === undefined ? null : statusOf(last, now),
    },
    {
      key: "recent",
      head: "Before it",
      cell: ({ recent }) => <RecentRuns runs={recent.slice(1)} now={now} />,
    },
    {
      key: "next",
      head: "Next",
      cell: ({ paused, next }) =>
        paused ? "paused" : next === null ? "by hand only" : (
          <span class="nowrap">
            <Ago at={next} now={now} />
          </span>
        ),
      by: ({ paused, next }) => paused ? null : next,
    },
  ];
}
