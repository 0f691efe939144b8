import { LineChart, type Point } from "../../routes/ui/chart.tsx";
import { Table } from "../../routes/ui/table.tsx";

const ROWS = [{ name: "b", size: 9 }, { name: "a", size: null }, { name: "c", size: 10 }];

/** A table of three rows as it stands at a path. */
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

/** A chart of one series. */
export function lines(points: readonly Point[]): string {
  return (<LineChart title="Chart" series={[{ name: "one", points }]} />).toString();
}
