import { Section, StoreUnavailable } from "../../components/layout.tsx";
import { StoreCharts } from "../../components/serving_charts.tsx";
import { Table } from "../../components/table.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { readStores } from "./data.ts";
import { columns, Models, RowCountsNote, StoresStatus } from "./parts.tsx";

/** `GET /stores`: each store's engine, whether it answers and how fast, its size, circuit and rows, and what to do. */
export async function stores({ context, url, now }: PageRequest): Promise<View> {
  const { rows, published, models, counts } = await readStores(context, now);
  return {
    title: "Stores",
    body: (
      <>
        <StoresStatus rows={rows} />
        <Section title="All stores" aside="as they are now">
          <Table
            id="stores"
            stacks
            caption="The rows are those that the newest check counted: this page counts none."
            url={url}
            columns={columns(counts.value)}
            rows={rows}
          />
          <RowCountsNote counts={counts} now={now} />
        </Section>
        <Section title="Models and data version">
          <Models published={published} models={models} now={now} />
          {models.value === null && <StoreUnavailable what="The vectors store" error={models.error} />}
        </Section>
        <StoreCharts
          stores={rows.flatMap(({ names }) => names)
            .map((name) => ({ name, minutes: context.metrics.stageMinutes(name) }))}
          now={now}
        />
      </>
    ),
  };
}
