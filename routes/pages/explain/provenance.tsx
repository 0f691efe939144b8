import type { UserAnswer } from "../../../lib/recommend/answer.ts";
import { intentShares } from "../../../lib/recommend/candidates/intents.ts";
import type { Neighbour } from "../../../lib/recommend/candidates/similar_conversations.ts";
import type { Provenance } from "../../../lib/recommend/recommend.ts";
import type { Engagement } from "../../../lib/stores/analytics/port.ts";
import type { IntentCount } from "../../../lib/stores/documents/port.ts";
import type { PageRequest } from "../../http/page.ts";
import { explainGraph } from "./graph.ts";
import { agoColumn, linkColumn, numberColumn, textColumn } from "../../components/columns.tsx";
import { Graph } from "../../components/graph.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { formatPercent } from "../../components/format_number.ts";
import type { SuppressedCampaigns } from "./data.ts";
import { Suppressed } from "./suppressed.tsx";
import { type Column, Table } from "../../components/table.tsx";

/** What the answer was computed from: similar conversations, own engagement and intents, and omitted campaigns. */
export function HowComputed(
  { request, answer, provenance, suppressed }: {
    request: PageRequest;
    answer: UserAnswer;
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
              from the messages, intents and events that <code>deno task pipeline</code> reads.
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
              url={request.url}
              rows={provenance.neighbours}
              empty="This user has no profile yet, or no conversation of others led to engagement. A run computes profiles from the messages that it reads."
            />
          </Section>
          <Section title="Similar words" aside="cosine of words; rare words count most">
            <Neighbours
              id="alike"
              caption="Most similar first: conversations of others that led to engagement."
              url={request.url}
              rows={provenance.wording_neighbours}
              empty="No conversation of others that led to engagement has words that this user said."
            />
          </Section>
        </div>
        <div>
          <Section id="of-own" title="Own engagement">
            <div class="bounded">
              <Table
                id="own"
                caption="What the user engaged with, as the graph store has it."
                url={request.url}
                columns={ownColumns(provenance, request.now)}
                rows={provenance.own}
                empty={<Empty>No event of this user was read.</Empty>}
              />
            </div>
          </Section>
          <Section id="of-intents" title="Intents">
            <Table
              id="intents"
              caption="What the user asked for, most expressed first."
              url={request.url}
              columns={intentColumns(provenance, request.now)}
              rows={provenance.intents}
              empty={<Empty>No message of this user has an intent.</Empty>}
            />
          </Section>
          <Suppressed {...suppressed} now={request.now} />
        </div>
      </div>
    </>
  );
}

function Neighbours(
  { empty, ...table }: {
    url: URL;
    id: string;
    caption: string;
    rows: readonly Neighbour[];
    empty: string;
  },
) {
  return (
    <div class="bounded">
      <Table {...table} columns={NEIGHBOUR_COLUMNS} empty={<Empty>{empty}</Empty>} />
    </div>
  );
}

const total = ({ engagement }: Neighbour, key: "clicks" | "conversions") =>
  engagement.reduce((sum, row) => sum + row[key], 0);

const NEIGHBOUR_COLUMNS: readonly Column<Neighbour>[] = [
  linkColumn(
    "user",
    "User",
    ({ user_id }) => user_id,
    ({ user_id }) => `/explain?${new URLSearchParams({ user_id })}`,
  ),
  numberColumn("score", "Alike", ({ cosine }) => cosine, (cosine) => cosine.toFixed(3)),
  numberColumn("weight", "Counts", ({ weight }) => weight, (weight) => weight.toFixed(2)),
  numberColumn("clicks", "Clicks", (neighbour) => total(neighbour, "clicks")),
  numberColumn("conversions", "Conversions", (neighbour) => total(neighbour, "conversions")),
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
    textColumn("furthest", "Furthest", furthest),
    numberColumn("shown", "Shown", ({ impressions }) => impressions),
    numberColumn("led", "Led to", ({ campaign_id }) => led(campaign_id)),
    agoColumn("when", "Last", now, ({ last }) => last),
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
    textColumn("intent", "Intent", ({ intent }) => intent),
    numberColumn("count", "Times", ({ count }) => count),
    numberColumn("share", "Counts for", ({ intent }) => shares.get(intent) ?? null, formatPercent),
    numberColumn("campaigns", "Campaigns", ({ intent }) => answering(intent)),
    agoColumn("last", "Last", now, ({ last }) => last),
  ];
}
