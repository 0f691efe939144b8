import { iso } from "../../../lib/core/clock.ts";
import { numberColumn, textColumn } from "../../components/columns.tsx";
import { formatBytes, formatNumber } from "../../components/format_number.ts";
import { InlineCode } from "../../components/inline_code.tsx";
import { Empty, Fact, Figure, Figures, StoreUnavailable } from "../../components/layout.tsx";
import { Mark } from "../../components/state.tsx";
import type { Column } from "../../components/table.tsx";
import { Ago, Time } from "../../components/time.tsx";
import { countsOf, type RowCounts } from "../row_counts.ts";
import type { StoreName, StoreRow, StoresData } from "./data.ts";
import { RunLink } from "../../components/run_link.tsx";

/** What is missing while a store is down, and what to do. */
const NEXT_STEPS: Readonly<Record<StoreName, string>> = Object.freeze({
  vectors:
    "answers lack similar conversations and campaigns; check what PARLEY_VECTORS names, then `deno task doctor`",
  graph:
    "answers lack what similar conversations led to, the user's own engagement and intents; check what PARLEY_GRAPH names, then `deno task doctor`",
  analytics:
    "answers are empty until it is back; check what PARLEY_ANALYTICS names first, then `deno task doctor`",
  documents:
    "answers do not need it, the next run does; check what PARLEY_DOCUMENTS names, then `deno task doctor`",
  cache:
    "each answer is computed, which takes longer; check what PARLEY_CACHE names, then `deno task doctor`",
  runs:
    "nothing can be scheduled, run or shown of runs; check what PARLEY_RUNS names (by default PARLEY_ANALYTICS), then `deno task doctor`",
});

const SHARED_NEXT_STEP =
  "answers are empty and nothing can be run until it is back; check what PARLEY_STORES names, then `deno task doctor`";

/** Which stores are down, and what to do. */
export function StoresStatus({ rows }: Pick<StoresData, "rows">) {
  const down = rows.filter(({ health }) => health.value === null);
  if (down.length === 0) {
    return (
      <div class="status-banner is-good" role="status">
        <span class="sign" aria-hidden="true">✓</span>
        <p class="lead">All {rows.flatMap(({ names }) => names).length} stores answer.</p>
      </div>
    );
  }
  const names = down.flatMap(({ names }) => names);
  return (
    <div class="status-banner is-bad" role="status">
      <span class="sign" aria-hidden="true">✕</span>
      <div>
        <p class="lead">
          {names.join(", ")} {names.length === 1 ? "does" : "do"} not answer.
        </p>
        <ul>
          {down.map(({ names, health }) => (
            <li>
              <strong>{names.join(", ")}</strong> (<code>{health.error}</code>):{" "}
              <InlineCode text={names.length === 1 ? NEXT_STEPS[names[0]!] : SHARED_NEXT_STEP} />
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

export function columns(counts: RowCounts | null): Column<StoreRow>[] {
  const newest = counts?.snapshots.at(-1);
  return [
    textColumn("store", "Store", ({ names }) => names.join(", ")),
    {
      key: "state",
      head: "State",
      cell: ({ health }) =>
        health.value === null
          ? <Mark look="bad" sign="✕" name="down" />
          : <Mark look="good" sign="✓" name="up" />,
      by: ({ health }) => health.value === null ? "down" : "up",
    },
    textColumn("adapter", "Engine", ({ health: { value } }) => value && `${value.adapter} ${value.version}`),
    numberColumn("latency", "Latency", ({ health }) => health.value?.latency_ms ?? null, formatLatency),
    {
      key: "size",
      head: "Size",
      numeric: true,
      cell: ({ health: { value } }) =>
        value === null
          ? "–"
          : value.bytes === null
          ? <span class="muted">not reported</span>
          : formatBytes(value.bytes),
      by: ({ health }) => health.value?.bytes ?? null,
    },
    {
      key: "breaker",
      head: "Circuit",
      cell: ({ open }) =>
        open === null
          ? <span class="muted">not in answers</span>
          : open.length > 0
          ? <Mark look="warn" sign="!" name={`open: answers lack ${open.join(", ")}`} />
          : <Mark look="good" sign="✓" name="closed" />,
      by: ({ open }) => open === null ? null : open.length,
    },
    {
      key: "rows",
      head: "Rows",
      cell: ({ names }) =>
        newest !== undefined && <Counts rows={names.flatMap((name) => countsOf(newest, name))} />,
    },
  ];
}

function Counts({ rows }: { rows: readonly (readonly [what: string, n: number])[] }) {
  if (rows.length === 0) return <span class="muted">not counted</span>;
  return (
    <>
      {rows.map(([what, n]) => (
        <div class="nowrap">
          {formatNumber(n)} {what}
        </div>
      ))}
    </>
  );
}

/** A store in the same process answers in almost no time. */
function formatLatency(ms: number): string {
  return ms < 0.01 ? "< 0.01 ms" : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

export function RowCountsNote(
  { counts: { value, error }, now }: Pick<StoresData, "counts"> & { now: number },
) {
  if (error !== null) return <StoreUnavailable what="The run store" error={error} />;
  if (value === null) {
    return (
      <Empty>
        No check has counted rows yet: <code>deno task pipeline</code> does, before it publishes.
      </Empty>
    );
  }
  return (
    <p class="muted spaced">
      Counted by <RunLink run_id={value.run_id} />, <Ago at={value.at} now={now} />.{" "}
      <code>deno task doctor</code> counts them again.
    </p>
  );
}

export function Models(
  { published, models: { value }, now }: Omit<StoresData, "rows" | "counts"> & { now: number },
) {
  const models = value ?? [];
  if (published.error !== null) {
    return <StoreUnavailable what="The analytics store" error={published.error} />;
  }
  if (published.value === null) {
    return (
      <Empty>
        Nothing is published: <code>deno task pipeline</code> computes and publishes the first data version.
      </Empty>
    );
  }
  const { version, previous, model, run_id, at } = published.value;
  const others = models.filter((each) => each !== model);
  return (
    <>
      <Figures>
        <Figure
          name="Data version"
          value={String(version)}
          note={previous === null ? "the first" : `${previous} is kept`}
        />
        <Figure
          name="Dimensions"
          value={/\/(\d+)\/[^/]*$/.exec(model)?.[1] ?? "–"}
          note="of the published model"
        />
        <Figure
          name="Models stored"
          value={String(models.length)}
          note={others.length === 0 ? "no other" : "one is published"}
        />
      </Figures>
      <dl class="facts spaced">
        <Fact name="Model">
          <code>{model}</code>
        </Fact>
        <Fact name="Published">
          <Time at={iso(Date.parse(at))} /> (<Ago at={at} now={now} />) by <RunLink run_id={run_id} />
        </Fact>
        {others.length > 0 && (
          <Fact name="Stored as well">
            {others.map((each) => (
              <div>
                <code>{each}</code>
              </div>
            ))}
          </Fact>
        )}
      </dl>
    </>
  );
}
