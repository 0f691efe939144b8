import { DAY_MS, iso } from "../../lib/core/clock.ts";
import type { StepContext } from "../step.ts";

/** Removes refused rows, artifacts, exports and audit entries of that age: a run does it whether it publishes or finds nothing new. */
export async function prune({ services, signal }: StepContext): Promise<void> {
  const { artifacts, documents, exports, runs, clock, settings } = services;
  const before = iso(clock.now() - settings.retention_days * DAY_MS);
  await artifacts.prune({ before });
  await exports.prune({ before });
  await documents.pruneQuarantine({ before, signal });
  await runs.pruneAuditEntries({ before, signal });
}
