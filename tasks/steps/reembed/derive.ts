import type { TaskContext } from "../../../lib/dag/types.ts";
import type { Services } from "../../services.ts";
import { type DeriveOutput, deriveVersion } from "../derive.ts";
import type { EstimateOutput, ReembedParams } from "./estimate.ts";

/** Builds a data version on the new vectors next to the one that serves. */
export async function deriveNewVersion(context: TaskContext<Services>): Promise<DeriveOutput> {
  const { model } = context.output<EstimateOutput>("estimate");
  const store = await context.services.vectors.forModel({ model, signal: context.signal });
  return await deriveVersion(context, store, { model: (context.run.params as ReembedParams).model });
}
