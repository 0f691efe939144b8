import { Sparkline } from "../../components/chart.tsx";
import { datasetOf, DatasetTable, DatasetUses } from "./parts.tsx";
import { datasetGraph, type DatasetUse, newestUses } from "./data.ts";
import { Graph } from "../../components/graph.tsx";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import { formatNumber } from "../../components/format_number.ts";
import { countsOf, newestRowCounts, type RowCounts } from "../row_counts.ts";
import { span } from "../../components/time.tsx";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";
import { cachedRead, type ReadResult, tryRead } from "../../http/try_read.ts";
import type { PageRequest, View } from "../../http/page.ts";

/** `GET /data?dataset=`: what is stored, which task reads and writes it, and of one dataset its newest uses. */
export async function data({ site, url, now }: PageRequest): Promise<View> {
  const [uses, survey, refused] = await Promise.all([
    cachedRead(site, "uses", () => newestUses(site.runs, [...site.dags.keys()])),
    newestRowCounts(site, now),
    tryRead(() => site.stores.documents.quarantined({ limit: 1, offset: 0 })),
  ]);
  const chosen = datasetOf(url);
  return {
    title: "Data",
    body: (
      <>
        <Rows survey={survey} now={now} />
        {chosen !== null && uses.value !== null && (
          <DatasetUses url={url} now={now} dataset={chosen} uses={uses.value} />
        )}
        <Lineage url={url} now={now} uses={uses} chosen={chosen} />
        <Section title="Quarantine">
          {refused.value === null
            ? <StoreUnavailable what="The documents store" error={refused.error} />
            : <Refused any={refused.value.length > 0} />}
        </Section>
      </>
    ),
  };
}

function Rows({ survey: { value, error }, now }: { survey: ReadResult<RowCounts | null>; now: number }) {
  const newest = value?.surveys.at(-1);
  return (
    <Section title="Rows in the stores" aside={value && `counted ${span(now - Date.parse(value.at))} ago`}>
      {error !== null && <StoreUnavailable what="The run store" error={error} />}
      {error === null && newest === undefined && (
        <Empty>
          Nothing is counted yet: each run of <code>deno task pipeline</code> counts before it publishes.
        </Empty>
      )}
      {newest !== undefined && (
        <>
          {COUNTED.map((store) => <Counts store={store} surveys={value!.surveys} />)}
          <p class="muted spaced">
            By the check of <a href={`/runs/${encodeURIComponent(value!.run_id)}`}>{value!.run_id}</a>.{" "}
            <a href="/stores">Stores</a> says which engine holds what.
          </p>
        </>
      )}
    </Section>
  );
}

/** The stores whose rows the check counts. */
const COUNTED = ["documents", "analytics", "vectors", "graph"] as const;

function Counts({ store, surveys }: { store: string } & Pick<RowCounts, "surveys">) {
  const rows = countsOf(surveys.at(-1)!, store);
  if (rows.length === 0) return null;
  return (
    <div class="spaced">
      <h3>{store}</h3>
      <Figures>
        {rows.map(([what, n]) => (
          <Figure
            name={what}
            value={formatNumber(n)}
            note={<Past what={what} store={store} surveys={surveys} />}
          />
        ))}
      </Figures>
    </div>
  );
}

/** How a count came to be; surveys of a Parley that did not count it are passed over. */
function Past({ what, store, surveys }: { what: string; store: string } & Pick<RowCounts, "surveys">) {
  const values = surveys.flatMap((survey) => new Map(countsOf(survey, store)).get(what) ?? []);
  if (values.length < 2) return "the first count";
  return (
    <Sparkline
      values={values}
      label={`${what} in the last ${values.length} counts: ${values.map(formatNumber).join(", ")}`}
    />
  );
}

function Lineage(
  { url, now, uses: { value, error }, chosen }: {
    url: URL;
    now: number;
    uses: ReadResult<readonly DatasetUse[]>;
    chosen: string | null;
  },
) {
  if (value === null) {
    return (
      <Section title="Lineage">
        <StoreUnavailable what="The run store" error={error} />
      </Section>
    );
  }
  if (value.length === 0) {
    return (
      <Section title="Lineage">
        <Empty>
          No run has read or written anything yet: <code>deno task pipeline</code>{" "}
          makes one, or the button of a <a href="/pipelines">pipeline</a>.
        </Empty>
      </Section>
    );
  }
  const { nodes, edges } = datasetGraph(value, chosen);
  return (
    <>
      <Section title="Lineage" aside="of the newest runs; datasets are round, tasks square">
        <Graph label="Which task reads and writes which dataset" nodes={nodes} edges={edges} />
      </Section>
      <DatasetTable url={url} now={now} uses={value} />
    </>
  );
}

function Refused({ any }: { any: boolean }) {
  if (!any) {
    return <Empty>No row was refused, or those that were are older than PARLEY_RETENTION_DAYS.</Empty>;
  }
  return (
    <p>
      Some rows were refused. <a href="/data/quarantine">See them, each with its reason</a>.
    </p>
  );
}
