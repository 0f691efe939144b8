import { sleep } from "../../../lib/core/abort.ts";
import { type ModelIdentity, modelKey } from "../../../lib/core/types.ts";
import { Fail, Skip } from "../../../lib/dag/types.ts";
import type { StepContext } from "../../step.ts";
import type { ReembedParams } from "./estimate.ts";

/** After so long no process answers from the version before: each looks at the published row four times a second. */
const GRACE_MS = 2_000;

type DropOutput = { readonly dropped: readonly string[] };

/** Permanently removes the vectors of all models but the published one. */
export async function dropOldModel(context: StepContext, current: ModelIdentity): Promise<DropOutput> {
  const { services: { vectors, analytics }, run, signal } = context;
  const key = modelKey(current);
  const others = (await vectors.models({ log: context.log, signal })).filter((model) =>
    modelKey(model) !== key
  );
  const names = others.map(modelKey);
  if (others.length === 0) throw new Skip("there are no vectors of another model");
  if (!(run.params as ReembedParams).drop_old) {
    throw new Skip(`the vectors of ${names.join(" and ")} are kept; --param drop_old=true drops them`);
  }
  const published = await analytics.published({ signal });
  if (published?.model !== key) {
    throw new Fail(`${published?.model} is published meanwhile: nothing was dropped`);
  }
  await sleep(GRACE_MS, signal);
  signal.throwIfAborted();
  for (const model of others) await vectors.drop({ model, signal });
  context.log(`the vectors of ${names.join(" and ")} are gone`);
  context.rows({ in: others.length, out: 0 });
  return { dropped: names };
}
