import type { Answer } from "../../lib/recommend/answer.ts";
import type { Basis } from "../../lib/recommend/recommend.ts";
import type { GraphEdge, GraphNode } from "./graph.tsx";

/** As much as one can take in: the first items, the most alike users of each, and the weightiest intents. */
const MOST = Object.freeze({ items: 8, users: 8, per_item: 3, intents: 6 });

/** User → similar users → campaigns, and user → intents → campaigns, as far as they lead to what is shown. */
export function explainGraph(answer: Answer, basis: Basis): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const items = answer.items.slice(0, MOST.items);
  const nodes = new Map<string, GraphNode>();
  const edges: GraphEdge[] = [];
  const users = usersOf(items.map(({ campaign_id }) => campaign_id), basis);
  const intents = basis.intents.slice(0, MOST.intents).map(({ intent }) => intent);
  nodes.set("asking", { id: "asking", label: answer.user_id, note: "asks", round: true, look: "here" });
  for (const { campaign_id, title } of items) {
    const node = { id: `campaign ${campaign_id}`, label: title, note: campaign_id, look: "good" };
    for (const user of users.filter((each) => each.campaign_ids.includes(campaign_id))) {
      const id = `user ${user.id}`;
      const href = `/explain?${new URLSearchParams({ user_id: user.id })}`;
      nodes.set(id, {
        id,
        label: user.id,
        note: `alike ${user.score.toFixed(2)}`,
        round: true,
        look: "busy",
        href,
      });
      edges.push({ from: "asking", to: id }, { from: id, to: node.id });
    }
    for (const { intent } of basis.targets.filter((each) => each.campaign_id === campaign_id)) {
      if (!intents.includes(intent)) continue;
      const id = `intent ${intent}`;
      nodes.set(id, { id, label: intent, note: "intent", round: true, look: "warn" });
      edges.push({ from: "asking", to: id }, { from: id, to: node.id });
    }
    if (edges.some(({ to }) => to === node.id)) nodes.set(node.id, node);
  }
  return { nodes: [...nodes.values()], edges: unique(edges) };
}

/** The most alike users that dealt with these campaigns, each with those of them. A dismissal leads nowhere. */
function usersOf(campaign_ids: readonly string[], { users, engaged }: Basis) {
  const room = new Map(campaign_ids.map((id): [string, number] => [id, MOST.per_item]));
  const found = users.flatMap((user) => {
    const mine = engaged.filter((each) =>
      each.user_id === user.id && each.impressions + each.clicks + each.conversions > 0 &&
      (room.get(each.campaign_id) ?? 0) > 0
    ).map((each) => each.campaign_id);
    for (const id of mine) room.set(id, room.get(id)! - 1);
    return mine.length === 0 ? [] : [{ ...user, campaign_ids: mine }];
  });
  return found.slice(0, MOST.users);
}

function unique(edges: readonly GraphEdge[]): GraphEdge[] {
  return [...new Map(edges.map((edge) => [`${edge.from}\n${edge.to}`, edge])).values()];
}
