import type { Anomalies } from "../../../lib/monitoring/anomalies.ts";
import { causeOf } from "../../../lib/monitoring/anomaly.ts";
import type { Health, HealthStatus } from "../../../lib/monitoring/health.ts";
import type { ReadResult } from "../../http/try_read.ts";
import { InlineCode } from "../../components/inline_code.tsx";
import { counted } from "../../../lib/core/text.ts";
import { RunLink } from "../../components/run_link.tsx";

/** Other problems that the banner names; the table below has all of them. */
const MAX_OTHERS = 2;

const LABELS: Readonly<Record<HealthStatus, readonly [look: string, sign: string]>> = {
  critical: ["bad", "✕"],
  empty: ["off", "·"],
  warning: ["warn", "!"],
  acknowledged: ["off", "‖"],
  nothing_new: ["off", "»"],
  ok: ["good", "✓"],
};

/** The overall status: the cause in one line, then what to do. */
export function StatusBanner({ anomalies: { value } }: { anomalies: ReadResult<Anomalies> }) {
  if (value === null) return <Unknown />;
  const { health } = value;
  const [look, sign] = LABELS[health.status];
  return (
    <div class={`status-banner is-${look}`}>
      <span class="sign" aria-hidden="true">{sign}</span>
      <div>
        <p class="lead">
          <InlineCode text={health.cause} />
        </p>
        {health.next_step !== "" && (
          <p>
            <InlineCode text={health.next_step} />{" "}
            {health.run_id !== null && <RunLink run_id={health.run_id}>Open the run</RunLink>}
          </p>
        )}
        <Others anomalies={value} />
        <Acknowledged health={health} />
      </div>
    </div>
  );
}

function Unknown() {
  return (
    <div class="status-banner is-bad">
      <span class="sign" aria-hidden="true">?</span>
      <div>
        <p class="lead">Status unknown: the run store is not responding.</p>
        <p>
          <code>deno task doctor</code> says what is down.
        </p>
      </div>
    </div>
  );
}

/** Other problems of the same severity. */
function Others({ anomalies: { health, open } }: { anomalies: Anomalies }) {
  const { status } = health;
  if (status !== "critical" && status !== "warning") return null;
  const others = open.filter((each) =>
    each.acknowledged === null && each.severity === status && each.id !== health.anomaly_id
  );
  if (others.length === 0) return null;
  const more = others.length - MAX_OTHERS;
  return (
    <>
      <p>{counted(others.length, "more problem")}:</p>
      <ul>
        {others.slice(0, MAX_OTHERS).map((each) => (
          <li>
            <InlineCode text={causeOf(each)} />
          </li>
        ))}
        {more > 0 && (
          <li>
            <a href="/anomalies">{more} more</a>
          </li>
        )}
      </ul>
    </>
  );
}

function Acknowledged({ health: { acknowledged, status } }: { health: Health }) {
  if (acknowledged === 0 || status === "acknowledged") return null;
  return (
    <p>
      <a href="/anomalies">{counted(acknowledged, "known problem")}</a> {acknowledged === 1 ? "is" : "are"}
      {" "}
      acknowledged and not counted.
    </p>
  );
}
