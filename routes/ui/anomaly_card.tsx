import { type Anomaly, subjectName } from "../../lib/quality/anomaly.ts";
import { inUnit, isDaily, SeverityMark } from "./anomaly_table.tsx";
import { HistoryChart } from "./history_chart.tsx";
import { Prose } from "./prose.tsx";
import { Ago, Day, Time } from "./time.tsx";

/** One open anomaly: how severe, what to do, the figure against what was expected, and the history that shows it. */
export function AnomalyCard({ anomaly, now }: { anomaly: Anomaly; now: number }) {
  const { severity, subject, run_id, text, figure, expected, unit, usual, since, code, history = [] } =
    anomaly;
  return (
    <article class={`anomaly is-${severity}`}>
      <h3>
        <SeverityMark severity={severity} /> {subjectName(subject)} <code>{code}</code>
      </h3>
      <p>
        <Prose text={text} />
      </p>
      <div class="evidence">
        <dl class="facts">
          <dt>Is</dt>
          <dd>
            <strong>{inUnit(figure, unit)}</strong>
          </dd>
          <dt>Should be</dt>
          <dd>
            {inUnit(expected, unit)}
            {usual !== undefined && (
              <span class="muted">
                {` (${inUnit(tidy(usual[0], unit), unit)} – ${inUnit(tidy(usual[1], unit), unit)} is usual)`}
              </span>
            )}
          </dd>
          <dt>Since</dt>
          <dd>
            {isDaily(anomaly) ? <Day at={since} /> : (
              <>
                <Time at={since} /> (<Ago at={since} now={now} />)
              </>
            )}
          </dd>
          {run_id !== null && (
            <>
              <dt>Run</dt>
              <dd>
                <a href={`/runs/${encodeURIComponent(run_id)}`}>{run_id}</a>
              </dd>
            </>
          )}
        </dl>
        <HistoryChart history={history} expected={expected} usual={usual} unit={unit} />
      </div>
    </article>
  );
}

/** Bounds are computed, so what is counted in whole numbers is rounded. */
function tidy(value: number, unit: Anomaly["unit"]): number {
  return unit === "share" || unit === "score" ? value : Math.round(value);
}
