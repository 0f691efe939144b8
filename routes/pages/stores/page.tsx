import { iso } from "../../../lib/core/clock.ts";
import { modelKey, type Published } from "../../../lib/core/types.ts";
import { countsOf, newestRowCounts, type RowCounts } from "../row_counts.ts";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import { formatBytes, formatNumber } from "../../components/format_number.ts";
import { StoreCharts } from "../../components/serving_now.tsx";
import { readStores, type StoreRow, TODO } from "./data.ts";
import { InlineCode } from "../../components/inline_code.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago, Time } from "../../components/time.tsx";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";
import { type ReadResult, tryRead } from "../../http/try_read.ts";
import type { PageRequest, View } from "../../http/page.ts";

/** `GET /stores`: each store's engine, whether it answers and how fast, its size, circuit and rows, and what to do. */
export async function stores({ site, url, now }: PageRequest): Promise<View> {
  const [rows, published, models, survey] = await Promise.all([
    readStores(site),
    tryRead(() => site.stores.analytics.published()),
    tryRead(() => site.stores.vectors.models()),
    newestRowCounts(site, now),
  ]);
  const down = rows.filter(({ health }) => health.value === null);
  return {
    title: "Stores",
    body: (
      <>
        <State rows={rows} down={down} />
        <Section title="All stores" aside="asked just now">
          <Table
            id="stores"
            stacks
            caption="Rows are those that the newest check counted: a page counts none."
            url={url}
            columns={columns(survey.value)}
            rows={rows}
            empty={null}
          />
          <RowCountsNote survey={survey} now={now} />
        </Section>
        <Section title="Models and data version">
          <Models published={published} models={models.value?.map(modelKey) ?? []} now={now} />
          {models.value === null && <StoreUnavailable what="The vectors store" error={models.error} />}
        </Section>
        <StoreCharts
          stores={rows.map(({ name }) => ({ name, minutes: site.metrics.stageMinutes(name) }))}
          now={now}
        />
      </>
    ),
  };
}

/** What is down, and what to do, before anything else. */
function State({ rows, down }: { rows: readonly StoreRow[]; down: readonly StoreRow[] }) {
  if (down.length === 0) {
    return (
      <div class="status-banner is-good" role="status">
        <span class="sign" aria-hidden="true">✓</span>
        <p class="lead">All {rows.length} stores answer.</p>
      </div>
    );
  }
  return (
    <div class="status-banner is-bad" role="status">
      <span class="sign" aria-hidden="true">✕</span>
      <div>
        <p class="lead">
          {down.map(({ name }) => name).join(", ")} {down.length === 1 ? "does" : "do"} not answer.
        </p>
        <ul>
          {down.map(({ name, health }) => (
            <li>
              <strong>{name}</strong> (<code>{health.error}</code>): <InlineCode text={TODO[name]} />
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function columns(survey: RowCounts | null): Column<StoreRow>[] {
  const newest = survey?.surveys.at(-1);
  return [
    { key: "store", head: "Store", cell: ({ name }) => name, by: ({ name }) => name },
    {
      key: "state",
      head: "State",
      cell: ({ health }) =>
        health.value === null
          ? <Mark look="bad" sign="✕" text="down" />
          : <Mark look="good" sign="✓" text="up" />,
      by: ({ health }) => health.value === null ? "down" : "up",
    },
    {
      key: "adapter",
      head: "Engine",
      cell: ({ health: { value } }) => value === null ? "–" : `${value.adapter} ${value.version}`,
      by: ({ health }) => health.value?.adapter ?? null,
    },
    {
      key: "latency",
      head: "Latency",
      numeric: true,
      cell: ({ health: { value } }) => value === null ? "–" : said(value.latency_ms),
      by: ({ health }) => health.value?.latency_ms ?? null,
    },
    {
      key: "size",
      head: "Size",
      numeric: true,
      cell: ({ health: { value } }) =>
        value === null
          ? "–"
          : value.bytes === null
          ? <span class="muted">not told</span>
          : formatBytes(value.bytes),
      by: ({ health }) => health.value?.bytes ?? null,
    },
    {
      key: "breaker",
      head: "Circuit",
      cell: ({ open }) =>
        open === null
          ? <span class="muted">not in answers</span>
          : open
          ? <Mark look="warn" sign="!" text="open: answers go without" />
          : <Mark look="good" sign="✓" text="closed" />,
      by: ({ open }) => open === null ? null : Number(open),
    },
    {
      key: "rows",
      head: "Rows",
      cell: ({ name }) => newest !== undefined && <Counted rows={countsOf(newest, name)} />,
    },
  ];
}

function Counted({ rows }: { rows: readonly (readonly [what: string, n: number])[] }) {
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

/** What answers within the process takes no time that is worth telling. */
function said(ms: number): string {
  return ms < 0.01 ? "< 0.01 ms" : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

function Mark({ look, sign, text }: { look: string; sign: string; text: string }) {
  return (
    <span class={`state is-${look}`}>
      <span aria-hidden="true">{sign}</span>
      {text}
    </span>
  );
}

function RowCountsNote(
  { survey: { value, error }, now }: { survey: ReadResult<RowCounts | null>; now: number },
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
      Counted by <a href={`/runs/${encodeURIComponent(value.run_id)}`}>{value.run_id}</a>,{" "}
      <Ago at={value.at} now={now} />. <code>deno task doctor</code> counts anew.
    </p>
  );
}

function Models(
  { published, models, now }: {
    published: ReadResult<Published | null>;
    models: readonly string[];
    now: number;
  },
) {
  if (published.error !== null) {
    return <StoreUnavailable what="The analytics store" error={published.error} />;
  }
  if (published.value === null) {
    return (
      <Empty>
        Nothing is published: <code>deno task pipeline</code> makes and publishes the first data version.
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
        <dt>Model</dt>
        <dd>
          <code>{model}</code>
        </dd>
        <dt>Published</dt>
        <dd>
          <Time at={iso(Date.parse(at))} /> (<Ago at={at} now={now} />) by{" "}
          <a href={`/runs/${encodeURIComponent(run_id)}`}>{run_id}</a>
        </dd>
        {others.length > 0 && (
          <>
            <dt>Stored beside it</dt>
            <dd>
              {others.map((each) => (
                <div>
                  <code>{each}</code>
                </div>
              ))}
            </dd>
          </>
        )}
      </dl>
    </>
  );
}
