import type { Abortable } from "../../lib/core/types.ts";
import { MAX_IMPRESSIONS, MAX_UNCERTAIN } from "../../lib/recommend/explore.ts";
import { encodeUncertain, UNCERTAIN_FILE } from "../../lib/recommend/uncertain_file.ts";
import type { ReleaseStore } from "../../lib/stores/analytics/port.ts";

/** Saves which campaigns answers of a version may explore. Its stats must have been built. */
export async function saveUncertain(
  analytics: Pick<ReleaseStore, "leastShown" | "saveFile">,
  { version, signal }: { version: number } & Abortable,
): Promise<void> {
  const limits = { max_impressions: MAX_IMPRESSIONS, limit: MAX_UNCERTAIN };
  const rows = await analytics.leastShown({ version, ...limits, signal });
  const bytes = encodeUncertain(rows.map(({ campaign_id }) => campaign_id));
  await analytics.saveFile({ version, name: UNCERTAIN_FILE, bytes, signal });
}
