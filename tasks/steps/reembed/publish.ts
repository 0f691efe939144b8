import { modelKey, type Published } from "../../../lib/core/types.ts";
import type { TaskContext } from "../../../lib/dag/types.ts";
import type { Services } from "../../services.ts";
import type { DeriveOutput } from "../derive.ts";
import { publishVersion, recordPublish } from "../publish.ts";
import type { EstimateOutput } from "./estimate.ts";

/** The switch: one row then names the new version and the new model, and every later answer is made of both. */
export async function publishNewModel(context: TaskContext<Services>): Promise<Published> {
  const { services, run: { run_id }, log, signal } = context;
  const { model } = context.output<EstimateOutput>("estimate");
  const { version } = context.output<DeriveOutput>("derive");
  const published = await publishVersion(services, { version, model, run_id, sources: [], log, signal });
  context.log(`data version ${version} is published: answers are made by ${modelKey(model)} from now on`);
  recordPublish(context, await services.vectors.forModel({ model, signal }), version);
  return published;
}
