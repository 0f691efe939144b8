import { agoColumn, numberColumn, runColumn, textColumn } from "../../components/columns.tsx";
import { Sparkline } from "../../components/chart.tsx";
import { formatBytes, formatNumber } from "../../components/format_number.ts";
import { Graph } from "../../components/graph.tsx";
import {
  Empty,
  Figure,
  Figures,
  Section,
  StoreUnavailable,
  UnavailableSection,
} from "../../components/layout.tsx";
import { type Column, Table, withQuery } from "../../components/table.tsx";
import { Ago, span } from "../../components/time.tsx";
import { countsOf, type RowCounts } from "../row_counts.ts";
import type { DataPageData, DatasetUse } from "./data.ts";
import { byDataset, datasetGraph, pathOf, shortName } from "./dataset_graph.ts";
import { RunLink } from "../../components/run_link.tsx";

const MAX_USES = 100;
const MAX_DATASETS = 200;

export function Rows({ counts: { value, error }, now }: Pick<DataPageData, "counts"> & { now: number }) {
  const newest = value?.snapshots.at(-1);
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
          {COUNTED.map((store) => <Counts store={store} snapshots={value!.snapshots} />)}
          <p class="muted spaced">
            By the check of <RunLink run_id={value!.run_id} />. <a href="/stores">Stores</a>{" "}
            says which engine holds what.
          </p>
        </>
      )}
    </Section>
  );
}

/** The stores whose rows the check counts. */
const COUNTED = ["documents", "analytics", "vectors", "graph"] as const;

function Counts({ store, snapshots }: { store: string } & Pick<RowCounts, "snapshots">) {
  const rows = countsOf(snapshots.at(-1)!, store);
  if (rows.length === 0) return null;
  return (
    <div class="spaced">
      <h3>{store}</h3>
      <Figures>
        {rows.map(([what, n]) => (
          <Figure
            name={what}
            value={formatNumber(n)}
            note={<Past what={what} store={store} snapshots={snapshots} />}
          />
        ))}
      </Figures>
    </div>
  );
}

/** Past counts. An older Parley may not have counted it. */
function Past({ what, store, snapshots }: { what: string; store: string } & Pick<RowCounts, "snapshots">) {
  const values = snapshots.flatMap((snapshot) => new Map(countsOf(snapshot, store)).get(what) ?? []);
  if (values.length < 2) return "the first count";
  return (
    <Sparkline
      values={values}
      label={`${what} in the last ${values.length} counts: ${values.map(formatNumber).join(", ")}`}
    />
  );
}

export function Lineage(
  { url, now, uses: { value, error }, chosen }: {
    url: URL;
    now: number;
    chosen: string | null;
  } & Pick<DataPageData, "uses">,
) {
  if (value === null) return <UnavailableSection title="Lineage" what="The run store" error={error} />;
  if (value.length === 0) {
    return (
      <Section title="Lineage">
        <Empty>
          No run has read or written anything yet. <code>deno task pipeline</code>{" "}
          starts a run, or the button of a <a href="/pipelines">pipeline</a>.
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

export function Quarantine({ quarantined: { value, error } }: Pick<DataPageData, "quarantined">) {
  return (
    <Section title="Quarantine">
      {value === null && <StoreUnavailable what="The documents store" error={error} />}
      {value === true && (
        <p>
          Some rows were refused. <a href="/data/quarantine">See them, each with its reason</a>.
        </p>
      )}
      {value === false && (
        <Empty>No row is in quarantine. Refused rows are kept for PARLEY_RETENTION_DAYS.</Empty>
      )}
    </Section>
  );
}

/** Every dataset with when it was last written and read. */
function DatasetTable({ url, now, uses }: { url: URL; now: number; uses: readonly DatasetUse[] }) {
  return (
    <Section id="all-datasets" title="Datasets">
      <Table
        id="datasets"
        stacks
        caption="What the newest runs read and wrote. Choose one for its uses."
        url={url}
        columns={datasetColumns(now)}
        rows={[...byDataset(uses.filter(({ passing }) => !passing)).values()].slice(0, MAX_DATASETS)}
      />
    </Section>
  );
}

type Uses = readonly DatasetUse[];
const last = (uses: Uses, direction: "input" | "output") => uses.find((use) => use.direction === direction);

function datasetColumns(now: number): Column<Uses>[] {
  const when = (direction: "input" | "output"): Pick<Column<Uses>, "cell" | "by"> => ({
    cell: (uses) => {
      const use = last(uses, direction);
      if (use === undefined) return "";
      return (
        <span class="nowrap">
          <RunLink run_id={use.run_id}>{use.task_id}</RunLink> <Ago at={use.at} now={now} />
        </span>
      );
    },
    by: (uses) => last(uses, direction)?.at ?? null,
  });
  const rows = (uses: Uses) => uses.find((use) => use.rows !== null)?.rows ?? null;
  return [
    {
      key: "name",
      head: "Dataset",
      cell: ([use]) => <a href={pathOf(use!.dataset)} title={use!.name}>{shortName(use!.name)}</a>,
      by: ([use]) => use!.name,
    },
    {
      key: "where",
      head: "Where",
      cell: ([use]) => <code>{use!.namespace}</code>,
      by: ([use]) => use!.namespace,
    },
    numberColumn("rows", "Rows, last use", rows),
    { key: "written", head: "Written by", ...when("output") },
    { key: "read", head: "Read by", ...when("input") },
  ];
}

/** The newest uses of one dataset. */
export function DatasetUses(
  { url, now, dataset, uses }: { url: URL; now: number; dataset: string; uses: readonly DatasetUse[] },
) {
  const own = uses.filter((use) => use.dataset === dataset);
  const fields = own.find((use) => use.fields.length > 0)?.fields ?? [];
  return (
    <Section
      id="dataset"
      title="Uses of one dataset"
      aside={<a href={withQuery(url, { dataset: null })}>all datasets</a>}
    >
      {own.length === 0
        ? (
          <Empty>
            The newest runs neither read nor wrote such a dataset. The list below has those that they used.
          </Empty>
        )
        : (
          <>
            <p>
              <code>{own[0]!.name}</code> in <code>{own[0]!.namespace}</code>
            </p>
            {fields.length > 0 && <p class="muted">Columns: {fields.join(", ")}</p>}
            <Table
              id="uses"
              caption="Newest first."
              url={url}
              columns={useColumns(now)}
              rows={own.slice(0, MAX_USES)}
            />
          </>
        )}
    </Section>
  );
}

function useColumns(now: number): Column<DatasetUse>[] {
  return [
    runColumn(),
    textColumn("task", "Task", ({ task_id }) => task_id),
    textColumn("direction", "Use", ({ direction }) => direction === "input" ? "reads" : "writes"),
    numberColumn("rows", "Rows", ({ rows }) => rows),
    numberColumn("bytes", "Size", ({ bytes }) => bytes, formatBytes),
    {
      key: "version",
      head: "Versions",
      cell: versions,
      by: (use) => use.version ?? use.versions.code ?? null,
    },
    {
      key: "quality",
      head: "Checks",
      cell: ({ quality }) =>
        Object.entries(quality).map(([name, n]) => `${name} ${formatNumber(n)}`).join(", "),
    },
    agoColumn("at", "When", now, ({ at }) => at),
  ];
}

/** The dataset's own version, if it has one, and those of what it was computed with. */
function versions({ version, versions }: DatasetUse) {
  const all = { ...version === null ? {} : { data: version }, ...versions };
  return Object.entries(all).map(([name, value]) => (
    <div class="nowrap">
      {name} <code title={value}>{value.slice(0, 12)}</code>
    </div>
  ));
}
