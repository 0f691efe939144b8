import type { OpenAnomaly } from "../../lib/monitoring/acknowledge.ts";
import type { Anomaly } from "../../lib/monitoring/anomaly.ts";
import { AnomalyCard } from "../../routes/pages/anomalies/anomaly_card.tsx";
import { AnomalyTable } from "../../routes/components/anomaly_table.tsx";
import { type ChartPoint, LineChart } from "../../routes/components/chart.tsx";
import type { FormSession } from "../../routes/components/form.tsx";
import { Pages, Table } from "../../routes/components/table.tsx";

const ROWS = [{ name: "b", size: 9 }, { name: "a", size: null }, { name: "c", size: 10 }];

/** A table of three rows at a path. */
export function rows(path: string): string {
  return (
    <Table
      id="t"
      caption="Rows"
      url={new URL(path, "http://x")}
      columns={[
        { key: "name", head: "Name", cell: ({ name }) => name, by: ({ name }) => name },
        { key: "size", head: "Size", cell: ({ size }) => size, by: ({ size }) => size },
        { key: "secret", head: "Secret", cell: () => "" },
      ]}
      rows={ROWS}
      empty={null}
    />
  ).toString();
}

/** The links of a page of a list at `/x?dag=d`. */
export function pages(of: { page: number; more: boolean; max: number }): string {
  return (<Pages url={new URL(`http://x/x?dag=d&page=${of.page}`)} {...of} />)?.toString() ?? "";
}

/** A chart of one series. */
export function lines(points: readonly ChartPoint[]): string {
  return (<LineChart title="Chart" series={[{ name: "one", points }]} />).toString();
}

/** An anomaly as its card and as a row of a table, at the time that it began. */
export function anomaly(subject: Anomaly["subject"]): string[] {
  const since = "2026-05-01T00:00:00.000Z";
  const now = Date.parse(since) + 1;
  const session: FormSession = { scopes: ["admin"], csrf: "" };
  const one: OpenAnomaly = {
    code: "c",
    severity: "info",
    subject,
    figure: 1,
    expected: 2,
    unit: "rows",
    since,
    run_id: null,
    text: "so it is",
    id: "c:x",
    acknowledged: null,
  };
  return [
    (<AnomalyCard anomaly={one} session={session} now={now} number={0} />).toString(),
    (<AnomalyTable id="t" caption="" url={new URL("http://x")} now={now} anomalies={[one]} empty="" />)
      .toString(),
  ];
}
