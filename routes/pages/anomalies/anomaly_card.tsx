import { acknowledgedHow, type OpenAnomaly } from "../../../lib/monitoring/acknowledge.ts";
import { type Anomaly, subjectName } from "../../../lib/monitoring/anomaly.ts";
import { Action, Field, type FormSession } from "../../components/form.tsx";
import { AcknowledgedBy, inUnit, isDaily, SeverityMark } from "../../components/anomaly_table.tsx";
import { HistoryChart } from "./history_chart.tsx";
import { Fact } from "../../components/layout.tsx";
import { InlineCode } from "../../components/inline_code.tsx";
import { Ago, Day, Time } from "../../components/time.tsx";
import { RunLink } from "../../components/run_link.tsx";

/** An open anomaly: its severity, what to do, its value and what was expected, and the history that shows it. */
export function AnomalyCard(
  { anomaly, session, now, number }: {
    anomaly: OpenAnomaly;
    session: FormSession;
    now: number;
    number: number;
  },
) {
  const { severity, subject, run_id, text, figure, expected, unit, usual, since, code, history = [] } =
    anomaly;
  return (
    <article class={`anomaly is-${anomaly.acknowledged === null ? severity : "acknowledged"}`}>
      <h3>
        <SeverityMark severity={severity} /> {subjectName(subject)} <code>{code}</code>
      </h3>
      <p>
        <InlineCode text={text} />
      </p>
      <div class="evidence">
        <dl class="facts">
          <Fact name="Is">
            <strong>{inUnit(figure, unit)}</strong>
          </Fact>
          <Fact name="Should be">
            {inUnit(expected, unit)}
            {usual !== undefined && (
              <span class="muted">
                {` (${inUnit(rounded(usual[0], unit), unit)} – ${
                  inUnit(rounded(usual[1], unit), unit)
                } is usual)`}
              </span>
            )}
          </Fact>
          <Fact name="Since">
            {isDaily(anomaly) ? <Day at={since} /> : (
              <>
                <Time at={since} /> (<Ago at={since} now={now} />)
              </>
            )}
          </Fact>
          {run_id !== null && (
            <Fact name="Run">
              <RunLink run_id={run_id} />
            </Fact>
          )}
        </dl>
        <HistoryChart history={history} expected={expected} usual={usual} unit={unit} />
      </div>
      <Acknowledge anomaly={anomaly} session={session} number={number} />
    </article>
  );
}

/** Who acknowledged it, or a form to acknowledge it. */
function Acknowledge(
  { anomaly, session, number }: { anomaly: OpenAnomaly; session: FormSession; number: number },
) {
  const id = <input type="hidden" name="id" value={anomaly.id} />;
  if (anomaly.acknowledged !== null) {
    return (
      <>
        <AcknowledgedBy {...anomaly.acknowledged} />
        <Action session={session} to="/anomalies/unacknowledge" label="Count it again" tone="small">
          {id}
        </Action>
      </>
    );
  }
  return (
    <details>
      <summary>Acknowledge</summary>
      <Action session={session} to="/anomalies/acknowledge" label="Acknowledge">
        {id}
        <Field
          id={`until-${number}`}
          label="For"
          hint={`It is still shown, and does not count for that long, ${acknowledgedHow(anomaly)}.`}
        >
          <select id={`until-${number}`} name="until" aria-describedby={`until-${number}-hint`}>
            {PERIODS.map(([until, name]) => <option value={until} selected={until === "8h"}>{name}</option>)}
          </select>
        </Field>
        <Field id={`by-${number}`} label="Your name (optional)">
          <input type="text" id={`by-${number}`} name="by" maxlength={60} autocomplete="name" />
        </Field>
      </Action>
    </details>
  );
}

const PERIODS = [["1h", "1 hour"], ["8h", "8 hours"], ["1d", "1 day"], ["7d", "7 days"], ["30d", "30 days"]];

/** Rounds a computed bound of what is counted in whole numbers. */
function rounded(value: number, unit: Anomaly["unit"]): number {
  return unit === "share" || unit === "score" ? value : Math.round(value);
}
