import type { Child } from "../../deps.ts";
import type { Anomalies } from "../../lib/quality/anomalies.ts";
import type { Anomaly } from "../../lib/quality/anomaly.ts";
import type { PipelineSummary } from "../../lib/quality/summary.ts";
import type { Asked } from "../web/ask.ts";
import { Prose } from "./prose.tsx";
import { count } from "./text.ts";
import { Time } from "./time.tsx";

/** As many as somebody on call can take in at once; the table below has the rest. */
const NAMED = 3;

/** Whether everything is fine, in one sentence, and what to do where it is not. */
export function Verdict(
  { anomalies, summary }: { anomalies: Asked<Anomalies>; summary: Asked<PipelineSummary> },
) {
  if (anomalies.value === null) {
    return <Say look="bad" sign="✕" what="Nobody can tell: the run store does not answer." />;
  }
  const { open } = anomalies.value;
  const critical = open.filter(({ severity }) => severity === "critical");
  const warnings = open.filter(({ severity }) => severity === "warning");
  if (critical.length > 0) {
    const what = `${count(critical.length, "thing")} ${
      critical.length === 1 ? "needs" : "need"
    } somebody now.`;
    return (
      <Say look="bad" sign="✕" what={what}>
        <Todo anomalies={critical} />
      </Say>
    );
  }
  const ran = summary.value?.dags.some(({ last_run }) => last_run !== null) ?? true;
  if (summary.value?.published === null && summary.value.degraded.length === 0) {
    return <Unpublished ran={ran} />;
  }
  if (warnings.length > 0) {
    const what = `Nothing is broken; ${count(warnings.length, "thing")} to look at today.`;
    return (
      <Say look="warn" sign="!" what={what}>
        <Todo anomalies={warnings} />
      </Say>
    );
  }
  return (
    <Say look="good" sign="✓" what="Everything is fine.">
      <Last summary={summary.value} />
    </Say>
  );
}

function Unpublished({ ran }: { ran: boolean }) {
  return (
    <Say look="off" sign="·" what={ran ? "Nothing is published yet." : "Nothing has run yet."}>
      <p>
        <code>deno task pipeline</code> loads your sources, and <code>deno task start</code>{" "}
        a sample where there are none; answers come as soon as a run has published them.
      </p>
    </Say>
  );
}

function Last({ summary }: { summary: PipelineSummary | null }) {
  const last = summary?.dags.filter(({ freshness_s }) => freshness_s !== null)
    .sort((a, b) => a.freshness_s! - b.freshness_s!)[0];
  if (last === undefined) return null;
  return (
    <p>
      The last run of <a href={`/pipelines/${last.dag_id}`}>{last.dag_id}</a> succeeded on{" "}
      <Time at={last.last_success!} />.
    </p>
  );
}

function Todo({ anomalies }: { anomalies: readonly Anomaly[] }) {
  const left = anomalies.length - NAMED;
  return (
    <ul>
      {anomalies.slice(0, NAMED).map(({ text, run_id }) => (
        <li>
          <Prose text={text} />{" "}
          {run_id !== null && <a href={`/runs/${encodeURIComponent(run_id)}`}>Open the run</a>}
        </li>
      ))}
      {left > 0 && <li>and {left} more, below</li>}
    </ul>
  );
}

function Say({ look, sign, what, children }: { look: string; sign: string; what: string; children?: Child }) {
  return (
    <div class={`verdict is-${look}`}>
      <span class="sign" aria-hidden="true">{sign}</span>
      <div>
        <p class="lead">{what}</p>
        {children}
      </div>
    </div>
  );
}
