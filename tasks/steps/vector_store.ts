import { ParleyError } from "../../lib/core/errors.ts";
import { type Abortable, type ModelIdentity, modelKey, parseModelKey } from "../../lib/core/types.ts";
import { Fail } from "../../lib/dag/types.ts";
import { modelMismatch } from "../../lib/monitoring/model_mismatch.ts";
import type { VectorStore, VectorStores } from "../../lib/stores/vectors/port.ts";
import type { StepContext } from "../step.ts";

/** The vectors of a run that uses the published version. Throws {@link Fail} if that is of another model. */
export async function openStore(
  { services, signal }: StepContext,
  model: ModelIdentity,
): Promise<VectorStore> {
  const { analytics, vectors, settings } = services;
  const published = await analytics.published({ signal });
  const fault = modelMismatch({ published, model, name: settings.model });
  if (fault !== null) throw new Fail(fault);
  return await vectors.forModel({ model, signal });
}

/** What is embedded must be of the model of the vectors that it is written to. Throws {@link Fail} if it is of another. */
export function refuseOtherModel(embedder: ModelIdentity, vectors: ModelIdentity): void {
  const [now, before] = [modelKey(embedder), modelKey(vectors)];
  if (now === before) return;
  throw new Fail(`the model was ${before} when this run began and is ${now} now: begin a new run`);
}

/** A table of one model's vectors, as lineage names it. */
export function vectorSet({ services }: StepContext, { model }: VectorStore, table: string) {
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
