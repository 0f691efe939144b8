import type { Answer } from "../../../lib/recommend/answer.ts";
import { intentShares } from "../../../lib/recommend/candidates/intents.ts";
import type { Neighbour } from "../../../lib/recommend/candidates/similar_conversations.ts";
import type { Provenance } from "../../../lib/recommend/recommend.ts";
import type { Engagement } from "../../../lib/stores/analytics/port.ts";
import type { IntentCount } from "../../../lib/stores/documents/port.ts";
import type { PageRequest } from "../../http/page.ts";
import { explainGraph } from "./graph.ts";
import { Graph } from "../../components/graph.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { formatPercent } from "../../components/format_number.ts";
import { Suppressed, type SuppressedCampaigns } from "./suppressed.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago } from "../../components/time.tsx";

/** What the answer was computed from: a small graph, similar conversations, the user's engagement and intents, and what is left out. */
export function HowComputed(
  { visit, answer, provenance, suppressed }: {
    visit: PageRequest;
    answer: Answer;
    provenance: Provenance;
    suppressed: SuppressedCampaigns;
  },
) {
  const { nodes, edges } = explainGraph(answer, provenance);
  return (
    <>
      <Section title="How this answer was made" aside="people and intents are round; the first items only">
        {edges.length === 0
          ? (
            <Empty>
              Nothing is known that links this user to a campaign, so the popular ones are shown. Links come
              from messages, intents and events that <code>deno task pipeline</code> has read.
            </Empty>
          )
          : <Graph label="How the user is linked to what is shown" nodes={nodes} edges={edges} />}
      </Section>
      <div class="columns">
        <div>
          <Section title="Similar conversations" aside="cosine to the user's profile">
            <Neighbours
              id="similar"
              caption="Nearest first: conversations of others that led to engagement."
              visit={visit}
              rows={provenance.neighbours}
              empty="None: this user has no profile yet, or no conversation of others led to engagement. A profile is made from the messages that a run reads."
            />
          </Section>
          <Section title="Similar words" aside="cosine of words, rare ones counting most">
            <Neighbours
              id="alike"
              caption="Most alike first: conversations of others that led to engagement."
              visit={visit}
              rows={provenance.alike}
              empty="None: no conversation of others that led to engagement has words that this user said."
            />
          </Section>
        </div>
        <div>
          <Section id="of-own" title="Own engagement">
            <div class="bounded">
              <Table
                id="own"
                caption="What the user engaged with, as the graph knows it."
                url={visit.url}
                columns={ownColumns(provenance, visit.now)}
                rows={provenance.own}
                empty={<Empty>None: no event of this user was read.</Empty>}
              />
            </div>
          </Section>
          <Section id="of-intents" title="Intents">
            <Table
              id="intents"
              caption="What the user asked for, most expressed first."
              url={visit.url}
              columns={intentColumns(provenance, visit.now)}
              rows={provenance.intents}
              empty={<Empty>None: no message of this user has an intent.</Empty>}
            />
          </Section>
          <Suppressed {...suppressed} now={visit.now} />
        </div>
      </div>
    </>
  );
}

function Neighbours(
  { visit, empty, ...table }: {
    visit: PageRequest;
    id: string;
    caption: string;
    rows: readonly Neighbour[];
    empty: string;
  },
) {
  return (
    <div class="bounded">
      <Table {...table} url={visit.url} columns={NEIGHBOUR_COLUMNS} empty={<Empty>{empty}</Empty>} />
    </div>
  );
}

const total = ({ engagement }: Neighbour, key: "clicks" | "conversions") =>
  engagement.reduce((sum, row) => sum + row[key], 0);

const NEIGHBOUR_COLUMNS: readonly Column<Neighbour>[] = [
  {
    key: "user",
    head: "User",
    cell: ({ user_id }) => <a href={`/explain?${new URLSearchParams({ user_id })}`}>{user_id}</a>,
    by: ({ user_id }) => user_id,
  },
  {
    key: "score",
    head: "Alike",
    numeric: true,
    cell: ({ cosine }) => cosine.toFixed(3),
    by: ({ cosine }) => cosine,
  },
  {
    key: "weight",
    head: "Counts",
    numeric: true,
    cell: ({ weight }) => weight.toFixed(2),
    by: ({ weight }) => weight,
  },
  countColumn("clicks", "Clicks", (neighbour) => total(neighbour, "clicks")),
  countColumn("conversions", "Conversions", (neighbour) => total(neighbour, "conversions")),
];

function ownColumns({ causes }: Provenance, now: number): Column<Engagement>[] {
  const led = (id: string) => [...causes.values()].filter(({ campaign_id }) => campaign_id === id).length;
  return [
    {
      key: "campaign",
      head: "Campaign",
      cell: ({ campaign_id }) => <code>{campaign_id}</code>,
      by: ({ campaign_id }) => campaign_id,
    },
    {
      key: "furthest",
      head: "Furthest",
      cell: furthest,
      by: furthest,
    },
    countColumn("shown", "Shown", ({ impressions }) => impressions),
    countColumn("led", "Led to", ({ campaign_id }) => led(campaign_id)),
    lastColumn("when", now),
  ];
}

function furthest({ dismissals, conversions, clicks }: Engagement): string {
  if (dismissals > 0) return "dismissed";
  return conversions > 0 ? "converted" : clicks > 0 ? "clicked" : "shown";
}

function intentColumns({ intents, targets }: Provenance, now: number): Column<IntentCount>[] {
  const shares = intentShares(intents, now);
  const answering = (intent: string) => targets.filter((target) => target.intent === intent).length;
  return [
    { key: "intent", head: "Intent", cell: ({ intent }) => intent, by: ({ intent }) => intent },
    countColumn("count", "Times", ({ count }) => count),
    {
      key: "share",
      head: "Counts for",
      numeric: true,
      cell: ({ intent }) => formatPercent(shares.get(intent) ?? null),
      by: ({ intent }) => shares.get(intent) ?? null,
    },
    countColumn("campaigns", "Campaigns", ({ intent }) => answering(intent)),
    lastColumn("last", now),
  ];
}

function countColumn<Row>(key: string, head: string, count: (row: Row) => number): Column<Row> {
  return { key, head, numeric: true, cell: (row) => String(count(row)), by: count };
}

function lastColumn<Row extends { readonly last: string }>(key: string, now: number): Column<Row> {
  const cell = ({ last }: Row) => (
    <span class="nowrap">
      <Ago at={last} now={now} />
    </span>
  );
  return { key, head: "Last", cell, by: ({ last }) => last };
}
