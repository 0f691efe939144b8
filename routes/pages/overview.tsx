import type { Child } from "../../deps.ts";
import type { RunRecord } from "../../lib/stores/runs/port.ts";
import { Empty, Section } from "../ui/layout.tsx";
import { schedulerOf, SchedulerWarning } from "../ui/scheduler.tsx";
import { Table } from "../ui/table.tsx";
import type { View, Visit } from "../web/page.ts";
import { columns } from "./runs.tsx";

const RECENT = 8;

/** `GET /` for a browser: whether everything is fine, and what to do where it is not. */
export async function overview({ site, url, now }: Visit): Promise<View> {
  const [recent, scheduler] = await Promise.all([site.runs.runs({ limit: RECENT }), schedulerOf(site, now)]);
  return {
    title: "Overview",
    body: (
      <>
        <Verdict last={recent[0]} />
        <SchedulerWarning scheduler={scheduler} now={now} />
        <Section title="Last runs" aside={<a href="/runs">all runs</a>}>
          <Table
            id="recent"
            caption="The newest runs of all pipelines."
            url={url}
            columns={columns(now)}
            rows={recent}
            empty={
              <Empty>
                Nothing has run yet: <code>deno task pipeline</code> makes the first run.
              </Empty>
            }
          />
        </Section>
      </>
    ),
  };
}

function Verdict({ last }: { last: RunRecord | undefined }) {
  if (last === undefined) return <Say look="off" sign="·" what="Nothing has run yet." />;
  if (last.state === "failed") {
    return (
      <Say look="bad" sign="✕" what="The last run failed.">
        <a href={`/runs/${last.run_id}`}>See why, and retry it</a>
      </Say>
    );
  }
  return <Say look="good" sign="✓" what="Everything is fine." />;
}

function Say({ look, sign, what, children }: { look: string; sign: string; what: string; children?: Child }) {
  return (
    <div class={`verdict is-${look}`} role="status">
      <span class="sign" aria-hidden="true">{sign}</span>
      <div>
        <p class="lead">{what}</p>
        {children}
      </div>
    </div>
  );
}
