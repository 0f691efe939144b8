import { linkColumn } from "../../components/columns.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { SchedulerWarning } from "../../components/scheduler_warning.tsx";
import { RecentRuns, State } from "../../components/state.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago } from "../../components/time.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { readScheduler } from "../scheduler.ts";
import { type PipelineRow, readPipelines } from "./data.ts";
import { RunLink } from "../../components/run_link.tsx";

/** `GET /pipelines`: every dag, the states of its last runs, and when it is due next. */
export async function pipelines({ context, url, now }: PageRequest): Promise<View> {
  const [rows, scheduler] = await Promise.all([readPipelines(context, now), readScheduler(context, now)]);
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

function columns(now: number): Column<PipelineRow>[] {
  return [
    linkColumn("dag", "Pipeline", ({ dag }) => dag.id, ({ dag }) => `/pipelines/${dag.id}`),
    { key: "doc", head: "What it does", cell: ({ dag }) => dag.doc ?? "" },
    {
      key: "last",
      head: "Last run",
      cell: ({ recent: [last] }) =>
        last === undefined ? "none yet" : (
          <RunLink run_id={last.run_id}>
            <State state={last.state} />
          </RunLink>
        ),
      by: ({ recent: [last] }) => last === undefined ? null : last.state,
    },
    {
      key: "recent",
      head: "Before it",
      cell: ({ recent }) => <RecentRuns runs={recent.slice(1)} />,
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
