import type { OpenAnomaly } from "../../lib/monitoring/acknowledge.ts";
import { type Anomaly, SEVERITIES, type Severity, subjectName } from "../../lib/monitoring/anomaly.ts";
import type { Child } from "../../deps.ts";
import { Sparkline } from "./chart.tsx";
import { agoColumn } from "./columns.tsx";
import { formatNumber, formatPercent } from "./format_number.ts";
import { InlineCode } from "./inline_code.tsx";
import { Mark } from "./state.tsx";
import { type Column, Table } from "./table.tsx";
import { Ago, Day, duration, Time } from "./time.tsx";
import { RunLink } from "./run_link.tsx";

const MARKS: Readonly<Record<Severity, readonly [look: string, sign: string]>> = {
  critical: ["bad", "✕"],
  warning: ["warn", "!"],
  info: ["off", "i"],
};

export function SeverityMark({ severity }: { severity: Severity }) {
  const [look, sign] = MARKS[severity];
  return <Mark look={look} sign={sign} name={severity} />;
}

/** A value of an anomaly in its unit. */
export function inUnit(value: number, unit: Anomaly["unit"]): string {
  if (unit === "ms") return duration(value);
  if (unit === "share") return formatPercent(value);
  if (unit === "score") return value.toFixed(3);
  return `${formatNumber(value)} ${value === 1 ? unit.replace(/s$/, "") : unit}`;
}

/** Whether it began on a day and not at an instant: engagement is counted by day. */
export function isDaily({ subject }: Anomaly): boolean {
  return subject.kind === "engagement";
}

/** Anomalies, each with its value, what was expected, and what to do. */
export function AnomalyTable(
  { id, caption, url, now, anomalies, empty }: {
    id: string;
    caption: string;
    url: URL;
    now: number;
    anomalies: readonly ListedAnomaly[];
    empty: Child;
  },
) {
  return (
    <Table
      id={id}
      stacks
      caption={caption}
      url={url}
      columns={columns(now, anomalies.some(({ until }) => until !== undefined))}
      rows={anomalies}
      empty={empty}
      named={false}
    />
  );
}

/** An open or a past anomaly. */
type ListedAnomaly = Anomaly & Partial<Pick<OpenAnomaly, "acknowledged">>;

function columns(now: number, over: boolean): Column<ListedAnomaly>[] {
  return [
    {
      key: "severity",
      head: "Severity",
      cell: ({ severity }) => <SeverityMark severity={severity} />,
      by: ({ severity }) => SEVERITIES.indexOf(severity),
    },
    { key: "subject", head: "About", cell: Subject, by: ({ subject }) => subjectName(subject) },
    { key: "text", head: "What, and what to do", cell: Text },
    {
      key: "figure",
      head: "Is",
      numeric: true,
      cell: ({ figure, unit }) => inUnit(figure, unit),
      by: (a) => a.figure,
    },
    {
      key: "expected",
      head: "Should be",
      numeric: true,
      cell: ({ expected, unit }) => inUnit(expected, unit),
      by: ({ expected }) => expected,
    },
    { key: "history", head: "History", cell: ({ history = [] }) => <History history={history} /> },
    {
      key: "since",
      head: "Since",
      cell: (one) => (
        <span class="nowrap">{isDaily(one) ? <Day at={one.since} /> : <Ago at={one.since} now={now} />}</span>
      ),
      by: ({ since }) => since,
    },
    ...over ? [agoColumn<ListedAnomaly>("until", "Until", now, ({ until }) => until ?? null, "")] : [],
  ];
}

function Text({ text, acknowledged }: ListedAnomaly) {
  return (
    <>
      <InlineCode text={text} />
      {acknowledged && <AcknowledgedBy {...acknowledged} />}
    </>
  );
}

/** Who acknowledged it, and until when it does not count. */
export function AcknowledgedBy({ by, at, until }: NonNullable<OpenAnomaly["acknowledged"]>) {
  return (
    <p class="acknowledged">
      <Mark look="off" sign="‖" name="acknowledged" /> by {by} on <Time at={at} />; not counted until{" "}
      <Time at={until} />
    </p>
  );
}

function Subject({ subject, run_id }: Anomaly) {
  const name = subjectName(subject);
  return run_id === null ? name : <RunLink run_id={run_id}>{name}</RunLink>;
}

function History({ history }: { history: readonly number[] }) {
  return (
    <Sparkline
      values={history}
      label={`The last ${history.length} values, newest last: ${history.map(formatNumber).join(", ")}`}
    />
  );
}
