import { modelKey, type Published } from "../../../lib/core/types.ts";
import type { TaskContext } from "../../../lib/dag/types.ts";
import { FIELDS } from "../../datasets.ts";
import type { Services } from "../../services.ts";
import type { DeriveOutput } from "../derive.ts";
import { publishVersion } from "../publish.ts";
import type { EstimateOutput } from "./estimate.ts";

/** The switch: one row then names the new version and the new model, and every later answer is made of both. */
export async function publishNew(context: TaskContext<Services>): Promise<Published> {
  const { services, run: { run_id } } = context;
  const { model } = context.output<EstimateOutput>("estimate");
  const { version } = context.output<DeriveOutput>("derive");
  const published = await publishVersion(services, { version, model, run_id, sources: [] });
  context.log(`data version ${version} is published: answers are made by ${modelKey(model)} from now on`);
  context.rows({ in: 1, out: 1 });
  const row = services.dataset("analytics", "published");
  context.writes({ ...row, rows: 1, version: String(version), fields: FIELDS.published });
  return published;
}
