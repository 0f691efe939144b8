import type { Abortable } from "../../core/types.ts";
import { SetDigest } from "../engines/set_digest.ts";
import { EDGE_TYPES, type GraphStore } from "./port.ts";

/** Hash of all edges with their properties, for {@link GraphStore.digest}: equal on every adapter. */
export async function graphDigest(graph: Pick<GraphStore, "edges">, options: Abortable): Promise<string> {
  const digest = new SetDigest();
  for (const type of EDGE_TYPES) {
    for await (const edge of graph.edges({ type, ...options })) {
      if ("intents" in edge) {
        const { campaign_id, intents } = edge;
        for (const intent of intents) digest.add([type, { campaign_id, intent }]);
      } else digest.add([type, { ...edge }]);
    }
  }
  return digest.hex();
}
