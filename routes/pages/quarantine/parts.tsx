import { type Kind, KINDS } from "../../../lib/core/types.ts";
import { remedyOf } from "../../../lib/schema/remedies.ts";
import type { ReasonCount } from "../../../lib/stores/documents/port.ts";
import { agoColumn, linkColumn, numberColumn, runColumn, textColumn } from "../../components/columns.tsx";
import { Action, Field, Select } from "../../components/form.tsx";
import { InlineCode } from "../../components/inline_code.tsx";
import type { Column } from "../../components/table.tsx";
import type { PageRequest } from "../../http/page.ts";
import type { Filter, RefusedRow } from "./data.ts";

export function reasonColumns(url: URL): Column<ReasonCount>[] {
  return [
    numberColumn("rows", "Rows", ({ rows }) => rows),
    textColumn("kind", "Kind", ({ kind }) => kind),
    linkColumn("reason", "Reason", ({ reason }) => reason, ({ kind, reason }) => linkTo(url, kind, reason)),
    { key: "remedy", head: "What to do", cell: ({ reason }) => <InlineCode text={remedyOf(reason)} /> },
  ];
}

/** The same page with the rows of one reason. */
function linkTo({ pathname, searchParams }: URL, kind: Kind, reason: string): string {
  const query = new URLSearchParams(searchParams);
  query.delete("page");
  query.set("kind", kind);
  query.set("reason", reason);
  return `${pathname}?${query}`;
}

export function Filters(
  { filter: { run_id = "", kind, source = "", reason = "" } }: { filter: Filter },
) {
  return (
    <form method="get" action="/data/quarantine" class="filters">
      <Field id="run" label="Run">
        <input id="run" name="run" value={run_id} />
      </Field>
      <Select id="kind" label="Kind" all="any" values={KINDS} selected={kind} />
      <Field id="source" label="Source">
        <input id="source" name="source" value={source} />
      </Field>
      <Field id="reason" label="Reason">
        <input id="reason" name="reason" value={reason} />
      </Field>
      <button type="submit">Show</button>
    </form>
  );
}

export function columns({ session, now }: PageRequest): Column<RefusedRow>[] {
  return [
    textColumn("reason", "Reason", ({ reason }) => reason),
    textColumn("kind", "Kind", ({ kind }) => kind),
    {
      key: "source",
      head: "Source",
      cell: ({ source, position }) => <code title={source}>{source.split("/").at(-1)}:{position}</code>,
      by: ({ source, position }) => `${source}:${position}`,
    },
    runColumn(),
    agoColumn("at", "When", now, ({ at }) => at),
    {
      key: "text",
      head: "Text",
      cell: (row) => (
        <Action session={session} to="/data/quarantine" label="Show its text" tone="small">
          {(["run_id", "kind", "source", "position"] as const).map((name) => (
            <input type="hidden" name={name} value={String(row[name])} />
          ))}
        </Action>
      ),
    },
  ];
}
