import { z } from "../deps.ts";
import { defineDag } from "../lib/dag/define.ts";
import type { Services } from "./services.ts";
import { check } from "./steps/check.ts";
import { classify, train } from "./steps/classify.ts";
import { conversations } from "./steps/conversations.ts";
import { derive } from "./steps/derive.ts";
import { graph } from "./steps/graph.ts";
import { publish } from "./steps/publish.ts";

const store = { count: 3, base_ms: 500, cap_ms: 30_000 };

/** Intents anew: learns the catalogue and the given labels, classifies everything again, and publishes what follows. */
export function intents() {
  return defineDag<Services>({
    id: "intents",
    doc: "Fits the classifier of intents, classifies every message by it, and publishes the outcome.",
    group: "versions",
    params: z.object({}),
    tasks: [
      { id: "train", doc: "fits the classifier", run: train, retries: store },
      {
        id: "classify",
        role: "classify",
        doc: "intents of messages",
        needs: ["train"],
        run: classify,
        retries: store,
      },
      { id: "graph", doc: "edges, by recount", needs: ["classify"], run: graph, retries: store },
      {
        id: "conversations",
        doc: "conversations, profiles",
        needs: ["graph"],
        run: conversations,
        retries: store,
      },
      { id: "derive", doc: "a data version", needs: ["conversations"], run: derive, retries: store },
      { id: "check", role: "check", doc: "gates the version", needs: ["derive"], run: check, retries: store },
      { id: "publish", doc: "flips the version", needs: ["check"], run: publish, retries: store },
    ],
  });
}
