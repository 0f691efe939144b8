import { modelKey, type Published } from "../../../lib/core/types.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import type { StepContext } from "../../step.ts";
import { publishVersion, recordPublish } from "../publish.ts";

/** The switch: one row then names the new version and the new model, and every later answer is made of both. */
export async function publishNewModel(
  context: StepContext,
  store: VectorStore,
  version: number,
): Promise<Published> {
  const { services, run: { run_id }, log, signal } = context;
  const { model } = store;
  const published = await publishVersion(services, { version, model, run_id, sources: [], log, signal });
  context.log(`data version ${version} is published: answers are made by ${modelKey(model)} from now on`);
  recordPublish(context, store, version);
  return published;
}
