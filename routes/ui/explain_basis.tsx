import type { Answer } from "../../lib/recommend/answer.ts";
import type { Basis as Found } from "../../lib/recommend/recommend.ts";
import { intentShares } from "../../lib/recommend/evidence.ts";
import type { Engagement } from "../../lib/stores/analytics/port.ts";
import type { IntentCount } from "../../lib/stores/documents/port.ts";
import type { Hit } from "../../lib/stores/vectors/port.ts";
import type { Visit } from "../web/page.ts";
import { explainGraph } from "./explain_graph.ts";
import { Graph } from "./graph.tsx";
import { Empty, Section } from "./layout.tsx";
import { percent } from "./numbers.ts";
import { Settled, type SettledOnes } from "./settled.tsx";
import { type Column, Table } from "./table.tsx";
import { Ago } from "./time.tsx";

/** What led to the answer: the small graph, who is alike, what is wanted, and what is left out. */
export function Basis(
  { visit, answer, basis, settled }: { visit: Visit; answer: Answer; basis: Found; settled: SettledOnes },
) {
  const { nodes, edges } = explainGraph(answer, basis);
  return (
    <>
      <Section title="The way there" aside="users and intents are round; the first items only">
        {edges.length === 0
          ? (
            <Empty>
              Nothing is known that links this user to a campaign, so the popular ones are shown. Links come
              of messages, intents and events that <code>deno task pipeline</code> has read.
            </Empty>
          )
          : <Graph label="How the user is linked to what is shown" nodes={nodes} edges={edges} />}
      </Section>
      <div class="columns">
        <Section title="Similar users" aside="cosine of profiles">
          <div class="bounded">
            <Table
              id="similar"
              caption="Nearest first, with what they did that the graph told of."
              url={visit.url}
              columns={userColumns(basis.engaged)}
              rows={basis.users}
              empty={
                <Empty>
                  None: this user has no profile yet. One is made of the messages that a run reads.
                </Empty>
              }
            />
          </div>
        </Section>
        <div>
          <Section id="of-intents" title="Intents">
            <Table
              id="intents"
              caption="What the user asked for, most expressed first."
              url={visit.url}
              columns={intentColumns(basis, visit.now)}
              rows={basis.intents}
              empty={<Empty>None: no message of this user has an intent.</Empty>}
            />
          </Section>
          <Settled {...settled} />
        </div>
      </div>
    </>
  );
}

function userColumns(engaged: readonly Engagement[]): Column<Hit>[] {
  const of = (user_id: string) => engaged.filter((each) => each.user_id === user_id);
  const sum = (id: string, key: "clicks" | "conversions") =>
    of(id).reduce((total, each) => total + each[key], 0);
  return [
    {
      key: "user",
      head: "User",
      cell: ({ id }) => <a href={`/explain?${new URLSearchParams({ user_id: id })}`}>{id}</a>,
      by: ({ id }) => id,
    },
    {
      key: "score",
      head: "Alike",
      numeric: true,
      cell: ({ score }) => score.toFixed(3),
      by: ({ score }) => score,
    },
    {
      key: "clicks",
      head: "Clicks",
      numeric: true,
      cell: ({ id }) => String(sum(id, "clicks")),
      by: ({ id }) => sum(id, "clicks"),
    },
    {
      key: "conversions",
      head: "Conversions",
      numeric: true,
      cell: ({ id }) => String(sum(id, "conversions")),
      by: ({ id }) => sum(id, "conversions"),
    },
  ];
}

function intentColumns({ intents, targets }: Found, now: number): Column<IntentCount>[] {
  const shares = intentShares(intents, now);
  const answering = (intent: string) => targets.filter((target) => target.intent === intent).length;
  return [
    { key: "intent", head: "Intent", cell: ({ intent }) => intent, by: ({ intent }) => intent },
    {
      key: "count",
      head: "Times",
      numeric: true,
      cell: ({ count }) => String(count),
      by: ({ count }) => count,
    },
    {
      key: "share",
      head: "Counts for",
      numeric: true,
      cell: ({ intent }) => percent(shares.get(intent) ?? null),
      by: ({ intent }) => shares.get(intent) ?? null,
    },
    {
      key: "campaigns",
      head: "Campaigns",
      numeric: true,
      cell: ({ intent }) => String(answering(intent)),
      by: ({ intent }) => answering(intent),
    },
    {
      key: "last",
      head: "Last",
      cell: ({ last }) => (
        <span class="nowrap">
          <Ago at={last} now={now} />
        </span>
      ),
      by: ({ last }) => last,
    },
  ];
}
