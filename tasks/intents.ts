import { z } from "../deps.ts";
import { defineDag } from "../lib/dag/define.ts";
import type { Services } from "./services.ts";
import { step, type StepContext } from "./step.ts";
import { check } from "./steps/check.ts";
import { classify, train, type TrainOutput } from "./steps/classify.ts";
import { conversations } from "./steps/conversations.ts";
import { derive, type DeriveOutput } from "./steps/derive.ts";
import { graph, type GraphOutput } from "./steps/graph.ts";
import { publish } from "./steps/publish.ts";
import { openStore } from "./steps/vector_store.ts";

const store = (context: StepContext) => openStore(context, context.output<TrainOutput>("train").model);
const users = (context: StepContext) => context.output<GraphOutput>("graph").touched;
const version = (context: StepContext) => context.output<DeriveOutput>("derive").version;

/** Learns intents again: learns the catalogue and the given labels, classifies everything again, and publishes what follows. */
export function intents() {
  return defineDag<Services>({
    id: "intents",
    doc: "Fits the classifier of intents, classifies every message by it, and publishes the outcome.",
    group: "versions",
    params: z.object({}),
    tasks: [
      { id: "train", doc: "fits the classifier", ...step(train) },
      {
        id: "classify",
        role: "classify",
        doc: "intents of messages",
        needs: ["train"],
        ...step(classify, store, () => []),
      },
      {
        id: "graph",
        doc: "targets of campaigns",
        needs: ["classify"],
        ...step(graph, () => ({ campaigns: null })),
      },
      {
        id: "conversations",
        doc: "edges, conversations, profiles",
        needs: ["graph"],
        ...step(conversations, store, users),
      },
      {
        id: "derive",
        doc: "a data version",
        needs: ["conversations"],
        ...step(derive, store, () => ({ readsSources: false })),
      },
      { id: "check", role: "check", doc: "gates the version", needs: ["derive"], ...step(check, store) },
      {
        id: "publish",
        doc: "flips the version",
        needs: ["check"],
        ...step(publish, store, version, () => []),
      },
    ],
  });
}
