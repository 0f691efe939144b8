import { ParleyError } from "../../lib/core/errors.ts";
import { type Abortable, type ModelIdentity, modelKey, parseModelKey } from "../../lib/core/types.ts";
import { Fail, type TaskContext } from "../../lib/dag/types.ts";
import { modelMismatch } from "../../lib/monitoring/model_mismatch.ts";
import type { VectorStore, VectorStores } from "../../lib/stores/vectors/port.ts";
import type { Services } from "../services.ts";
import type { TrainOutput } from "./classify.ts";
import type { EmbedOutput } from "./embed.ts";

/** The vectors of a run that goes on with what is published. Throws {@link Fail} where that is of another model. */
export async function openStore(
  { services, signal }: TaskContext<Services>,
  model: ModelIdentity,
): Promise<VectorStore> {
  const { analytics, vectors, settings } = services;
  const published = await analytics.published({ signal });
  const fault = modelMismatch({ published, model, name: settings.model });
  if (fault !== null) throw new Fail(fault);
  return await vectors.forModel({ model, signal });
}

/** Whether the run brings rows; the dag `intents`, which shares its steps with the nightly one, brings none. */
export function hasInput({ run }: TaskContext<Services>): boolean {
  return run.dag_id !== "intents";
}

/** The same for the model that this run has embedded with: messages, or the examples of a catalogue. */
export function embeddedStore(context: TaskContext<Services>): Promise<VectorStore> {
  const { model } = hasInput(context)
    ? context.output<EmbedOutput>("embed")
    : context.output<TrainOutput>("train");
  return openStore(context, model);
}

/** What is embedded must be of the model of the vectors that it is written to. Throws {@link Fail} if it is of another. */
export function refuseOtherModel(embedder: ModelIdentity, vectors: ModelIdentity): void {
  const [now, before] = [modelKey(embedder), modelKey(vectors)];
  if (now === before) return;
  throw new Fail(`the model was ${before} when this run began and is ${now} now: begin a new run`);
}

/** A table of one model's vectors, as lineage names it. */
export function vectorSet({ services }: TaskContext<Services>, { model }: VectorStore, table: string) {
  return services.dataset("vectors", `${modelKey(model)}/${table}`);
}

/**
 * Does something to the vectors of each model. Those of a model other than the published one (a {@link modelKey}) may be
 * unavailable, as by a damaged file: that is logged and costs nothing else.
 */
export async function forEachModel(
  { vectors, published, log, signal }:
    & { vectors: VectorStores; published: string | undefined; log: (line: string) => void }
    & Abortable,
  body: (store: VectorStore) => Promise<unknown>,
): Promise<void> {
  if (published !== undefined) await vectors.forModel({ model: parseModelKey(published), signal });
  for (const model of await vectors.models({ log, signal })) {
    try {
      await body(await vectors.forModel({ model, signal }));
    } catch (error) {
      const isUnavailable = error instanceof ParleyError && error.code === "unavailable";
      if (modelKey(model) === published || !isUnavailable) throw error;
      log(error.message);
    }
  }
}
