import { byDataset, type DatasetUse, pathOf, shortName } from "./data.ts";
import { Empty, Section } from "../../components/layout.tsx";
import { formatBytes, formatNumber } from "../../components/format_number.ts";
import { type Column, Table, withQuery } from "../../components/table.tsx";
import { Ago, whenColumn } from "../../components/time.tsx";

/** Uses of one dataset that are shown. */
const MAX_USES = 100;
/** Datasets that are listed, those used last. */
const MAX_DATASETS = 200;

/** The dataset that the address chooses, by namespace and name. */
export function datasetOf(url: URL): string | null {
  return url.searchParams.get("dataset");
}

/** Every dataset with when it was last written and read. */
export function DatasetTable({ url, now, uses }: { url: URL; now: number; uses: readonly DatasetUse[] }) {
  return (
    <Section id="all-datasets" title="Datasets">
      <Table
        id="datasets"
        stacks
        caption="What the newest runs read and wrote. Choose one for its uses."
        url={url}
        columns={datasetColumns(now)}
        rows={[...byDataset(uses.filter(({ passing }) => !passing)).values()].slice(0, MAX_DATASETS)}
        empty={null}
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
          <a href={`/runs/${encodeURIComponent(use.run_id)}`}>{use.task_id}</a> <Ago at={use.at} now={now} />
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
    { key: "rows", head: "Rows, last use", numeric: true, cell: (uses) => said(rows(uses)), by: rows },
    { key: "written", head: "Written by", ...when("output") },
    { key: "read", head: "Read by", ...when("input") },
  ];
}

function said(n: number | null): string {
  return n === null ? "–" : formatNumber(n);
}

/** The newest readings and writings of one dataset. */
export function DatasetUses(
  { url, now, dataset, uses }: { url: URL; now: number; dataset: string; uses: readonly DatasetUse[] },
) {
  const mine = uses.filter((use) => use.dataset === dataset);
  const fields = mine.find((use) => use.fields.length > 0)?.fields ?? [];
  return (
    <Section
      id="dataset"
      title="Uses of one dataset"
      aside={<a href={withQuery(url, { dataset: null })}>all datasets</a>}
    >
      {mine.length === 0
        ? (
          <Empty>
            The newest runs neither read nor wrote such a dataset; the list below has those that they did.
          </Empty>
        )
        : (
          <>
            <p>
              <code>{mine[0]!.name}</code> in <code>{mine[0]!.namespace}</code>
            </p>
            {fields.length > 0 && <p class="muted">Columns: {fields.join(", ")}</p>}
            <Table
              id="uses"
              caption="Newest first."
              url={url}
              columns={useColumns(now)}
              rows={mine.slice(0, MAX_USES)}
              empty={null}
            />
          </>
        )}
    </Section>
  );
}

function useColumns(now: number): Column<DatasetUse>[] {
  return [
    {
      key: "run",
      head: "Run",
      cell: ({ run_id }) => <a href={`/runs/${encodeURIComponent(run_id)}`}>{run_id}</a>,
      by: ({ run_id }) => run_id,
    },
    { key: "task", head: "Task", cell: ({ task_id }) => task_id, by: ({ task_id }) => task_id },
    {
      key: "direction",
      head: "Use",
      cell: ({ direction }) => direction === "input" ? "reads" : "writes",
      by: ({ direction }) => direction,
    },
    { key: "rows", head: "Rows", numeric: true, cell: ({ rows }) => said(rows), by: ({ rows }) => rows },
    {
      key: "bytes",
      head: "Size",
      numeric: true,
      cell: (use) => use.bytes === null ? "–" : formatBytes(use.bytes),
      by: (use) => use.bytes,
    },
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
    whenColumn(now),
  ];
}

/** The dataset's own, where it has one, and those of what made it. */
function versions({ version, versions }: DatasetUse) {
  const all = { ...version === null ? {} : { data: version }, ...versions };
  return Object.entries(all).map(([name, value]) => (
    <div class="nowrap">
      {name} <code title={value}>{value.slice(0, 12)}</code>
    </div>
  ));
}
