import { sleep } from "../../../lib/core/abort.ts";
import { parseModelKey } from "../../../lib/core/types.ts";
import type { StepContext } from "../../step.ts";
import { readDerivation } from "../derivation.ts";
import { buildVersion } from "../derive.ts";
import { publishVersion, recordPublish } from "../publish.ts";
import { forEachModel } from "../vector_store.ts";

/** How long other processes may still answer from the version before: they read the published row four times a second. */
const GRACE_MS = 1_000;

/**
 * Builds and publishes a version from the remaining rows, and drops all others: their indexes, weights and counts are made from what the
 * erased users said and did. Returns the version; null if nothing was published before.
 */
export async function rebuildVersion(context: StepContext): Promise<{ version: number | null }> {
  const { services, run: { run_id }, log, signal } = context;
  const { analytics, vectors } = services;
  const published = await analytics.published({ signal });
  if (published === null) return { version: null };
  const model = parseModelKey(published.model);
  const store = await vectors.forModel({ model, signal });
  const before = await readDerivation(services, published, { signal });
  // Users' derived rows are as they were; only what is derived for the whole is derived again.
  const derivation = before && { ...before, half_life_days: services.settings.half_life_days };
  const { version } = await buildVersion(services, store, { derivation, log, signal });
  await publishVersion(services, { version, model, run_id, sources: [], log, signal });
  recordPublish(context, store, version);
  await sleep(GRACE_MS, signal);
  await analytics.dropPrevious({ signal });
  await forEachModel({ vectors, published: published.model, log, signal }, async (each) => {
    await each.dropVersionsExcept({ versions: [version], signal });
  });
  log(`data version ${version} is published without the erased users, and all others are dropped`);
  return { version };
}
