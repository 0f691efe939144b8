import { z } from "../deps.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { defineDag, type RetryDecision } from "../lib/dag/define.ts";
import type { Services } from "./services.ts";
import { step, type StepContext, STORE_RETRIES } from "./step.ts";
import { derive, type DeriveOutput } from "./steps/derive.ts";
import { checkNewModel } from "./steps/reembed/check.ts";
import { deriveConversations } from "./steps/reembed/conversations.ts";
import { dropOldModel } from "./steps/reembed/drop.ts";
import { reembed as embed } from "./steps/reembed/embed.ts";
import { estimate, type EstimateOutput, type ReembedParams } from "./steps/reembed/estimate.ts";
import { publishNewModel } from "./steps/reembed/publish.ts";

export interface ReembedSettings {
  /** Checks the URL of an embedding model, as PARLEY_EMBEDDINGS has it, and makes it independent of the working directory. */
  readonly resolve: (model: string) => string;
  /** The names of the models that a run may be given over HTTP, the configured one first: it is the default. */
  readonly models: readonly string[];
}

const NO_MODEL = "name the new model as PARLEY_EMBEDDINGS would, such as onnx:./models/NAME";

const model = (context: StepContext) => context.output<EstimateOutput>("estimate").model;
const store = (context: StepContext) =>
  context.services.vectors.forModel({ model: model(context), signal: context.signal });
const options = ({ run }: StepContext) => ({
  readsSources: false,
  name: (run.params as ReembedParams).model,
});
const version = (context: StepContext) => context.output<DeriveOutput>("derive").version;
/** A store or an endpoint may come back; a missing or invalid model will not. */
const decide = (error: unknown): RetryDecision =>
  error instanceof ParleyError && error.code !== "unavailable" ? "fail" : "default";

/**
 * Another model: builds its vectors next to those that serve, checks them, and switches. Going back is the same, and
 * takes seconds where the old vectors were kept. By the model that serves it embeds what is missing or damaged.
 */
export function reembed({ resolve, models }: ReembedSettings) {
  return defineDag<Services>({
    id: "reembed",
    doc: "Embeds everything by another model next to the one that serves, then switches to it.",
    group: "versions",
    params: z.object({
      model: z.string(NO_MODEL).overwrite(resolve).default(models[0]!).describe(
        "the model, as PARLEY_EMBEDDINGS names it",
      ),
      drop_old: z.boolean().default(false).describe("remove the vectors of other models after the switch"),
    }),
    remote: {
      model: { values: () => Promise.resolve(models), settings: "PARLEY_EMBEDDINGS and PARLEY_MODELS" },
      drop_old: "any",
    },
    tasks: [
      { id: "estimate", doc: "how much, how long", run: estimate, retries: { ...STORE_RETRIES, decide } },
      { id: "embed", doc: "text to vectors", needs: ["estimate"], ...step(embed, store) },
      {
        id: "conversations",
        doc: "conversations, profiles",
        needs: ["embed"],
        ...step(deriveConversations, store),
      },
      { id: "derive", doc: "weights, indexes", needs: ["conversations"], ...step(derive, store, options) },
      {
        id: "check",
        role: "check",
        doc: "gates the switch",
        needs: ["derive"],
        ...step(checkNewModel, store, version),
      },
      { id: "publish", doc: "the switch", needs: ["check"], ...step(publishNewModel, store, version) },
      { id: "drop", doc: "old vectors, if asked to", needs: ["publish"], ...step(dropOldModel, model) },
    ],
  });
}
