import type { Abortable } from "../core/types.ts";
import type { EngagedConversation, GraphEdges, GraphStore } from "../stores/graph/port.ts";
import type { Copied, Part } from "./part.ts";
import { tombstonePart } from "./tombstones.ts";

/** Edges that are set at once, about. */
const BATCH = 1_000;

/** The edges by type. The edges of a user are set as a whole, so a part that was interrupted begins again. */
export function graphParts(from: GraphStore, to: GraphStore): Part[] {
  const part = <Type extends keyof GraphEdges>(
    type: Type,
    owner: (edge: GraphEdges[Type]) => string,
    set: (edges: readonly GraphEdges[Type][], options: Abortable) => Promise<unknown>,
  ): Part => ({
    role: "graph",
    name: type,
    async *copy({ signal }): AsyncGenerator<Copied> {
      for await (const edges of byOwner(from.edges({ type, signal }), owner)) {
        await set(edges, { signal });
        yield { rows: edges.length, after: null };
      }
    },
  });
  return [
    part(
      "targets",
      (edge) => edge.campaign_id,
      (campaigns, options) => to.setTargets({ campaigns, ...options }),
    ),
    part(
      "expressed",
      (edge) => edge.user_id,
      (edges, options) => to.setExpressed({ user_ids: usersOf(edges), edges, ...options }),
    ),
    part(
      "engaged",
      (edge) => edge.user_id,
      (edges, options) => to.setEngaged({ user_ids: usersOf(edges), edges, ...options }),
    ),
    part("led_to", (edge) => edge.user_id, (edges, options) =>
      to.setConversations({
        user_ids: usersOf(edges),
        conversations: conversationsOf(edges),
        ...options,
      })),
    tombstonePart({
      role: "graph",
      name: "tombstones",
      open: () => Promise.resolve({ from: from.tombstones, to: to.tombstones }),
    }),
  ];
}

/** Batches of {@link BATCH} edges or more that have all edges of each owner, which come one after the other. */
async function* byOwner<Edge>(
  edges: AsyncIterable<Edge>,
  owner: (edge: Edge) => string,
): AsyncGenerator<Edge[]> {
  let batch: Edge[] = [];
  for await (const edge of edges) {
    if (batch.length >= BATCH && owner(edge) !== owner(batch.at(-1)!)) {
      yield batch;
      batch = [];
    }
    batch.push(edge);
  }
  if (batch.length > 0) yield batch;
}

function usersOf(edges: readonly { readonly user_id: string }[]): string[] {
  return [...new Set(edges.map(({ user_id }) => user_id))];
}

function conversationsOf(edges: readonly GraphEdges["led_to"][]): EngagedConversation[] {
  return [...Map.groupBy(edges, (edge) => edge.conversation_id)].map(([conversation_id, own]) => ({
    conversation_id,
    user_id: own[0]!.user_id,
    engagement: own.map(({ conversation_id: _conversation, user_id: _user, ...edge }) => edge),
  }));
}
