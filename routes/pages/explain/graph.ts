import type { UserAnswer } from "../../../lib/recommend/answer.ts";
import { engagementWeight } from "../../../lib/recommend/candidates/similar_conversations.ts";
import type { Provenance } from "../../../lib/recommend/recommend.ts";
import type { GraphEdge, GraphNode } from "../../components/graph.tsx";

/** What a reader can take in: the first items, the nearest conversations of each, and the strongest intents. */
const MAX = Object.freeze({ items: 8, conversations: 8, per_item: 3, intents: 6 });

const CAUSE_NOTES = Object.freeze({
  conversion: "chosen before",
  click: "looked at before",
  mention: "named before",
});

/** How similar conversations, own engagement and intents lead from the user to the campaigns that are shown. */
export function explainGraph(
  answer: UserAnswer,
  provenance: Provenance,
): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const items = answer.items.slice(0, MAX.items);
  const nodes = new Map<string, GraphNode>();
  const edges: GraphEdge[] = [];
  const conversations = nearestTo(items.map(({ campaign_id }) => campaign_id), provenance);
  const intents = provenance.intents.slice(0, MAX.intents).map(({ intent }) => intent);
  nodes.set("asking", {
    id: "asking",
    label: answer.user_id,
    note: "this user",
    round: true,
    look: "here",
  });
  for (const { campaign_id, title } of items) {
    const target = { id: `campaign ${campaign_id}`, label: title, note: campaign_id, look: "good" };
    const link = (node: GraphNode) => {
      nodes.set(node.id, node);
      edges.push({ from: "asking", to: node.id }, { from: node.id, to: target.id });
    };
    for (
      const { id, user_id, note } of conversations.filter((one) => one.campaign_ids.includes(campaign_id))
    ) {
      const href = `/explain?${new URLSearchParams({ user_id })}`;
      link({ id: `conversation ${id}`, label: user_id, note, round: true, look: "busy", href });
    }
    const cause = provenance.causes.get(campaign_id);
    if (cause !== undefined) {
      const note = CAUSE_NOTES[cause.engagement];
      link({ id: `own ${cause.campaign_id}`, label: cause.title ?? cause.campaign_id, note });
    }
    for (const { intent } of provenance.targets.filter((each) => each.campaign_id === campaign_id)) {
      if (!intents.includes(intent)) continue;
      link({ id: `intent ${intent}`, label: intent, note: "intent", round: true, look: "warn" });
    }
    if (edges.some(({ to }) => to === target.id)) nodes.set(target.id, target);
  }
  return { nodes: [...nodes.values()], edges: unique(edges) };
}

/** The nearest conversations that led to these campaigns, by meaning and then by words, each with its campaigns. */
function nearestTo(campaign_ids: readonly string[], { neighbours, wording_neighbours }: Provenance) {
  const left = new Map(campaign_ids.map((id): [string, number] => [id, MAX.per_item]));
  const near = [
    ...neighbours.map((one) => ({ ...one, note: `alike ${one.cosine.toFixed(2)}` })),
    ...wording_neighbours.map((one) => ({ ...one, note: `words ${one.cosine.toFixed(2)}` })),
  ];
  const links = near.flatMap(({ conversation_id, user_id, note, engagement }) => {
    // A dismissal does not count.
    const led = engagement
      .filter((row) => engagementWeight(row) > 0 && (left.get(row.campaign_id) ?? 0) > 0)
      .map((row) => row.campaign_id);
    for (const id of led) left.set(id, left.get(id)! - 1);
    return led.length === 0 ? [] : [{ id: conversation_id, user_id, note, campaign_ids: led }];
  });
  return links.slice(0, MAX.conversations);
}

function unique(edges: readonly GraphEdge[]): GraphEdge[] {
  return [...new Map(edges.map((edge) => [`${edge.from}\n${edge.to}`, edge])).values()];
}
