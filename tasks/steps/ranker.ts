import type { Abortable } from "../../lib/core/types.ts";
import { decodeRanker, encodeRanker, type Ranker, RANKER_FILE } from "../../lib/recommend/ranker_file.ts";
import type { ReleaseStore } from "../../lib/stores/analytics/port.ts";

/** The weights of the published version; null if it has none, or they cannot be used. */
export async function publishedRanker(
  analytics: Pick<ReleaseStore, "file" | "published">,
  { signal }: Abortable = {},
): Promise<Ranker | null> {
  const published = await analytics.published({ signal });
  if (published === null) return null;
  const bytes = await analytics.file({ version: published.version, name: RANKER_FILE, signal });
  // Answers do without a damaged file too, and the process that serves them says so.
  return bytes === null ? null : await decodeRanker(bytes).catch(() => null);
}

/** Gives a version that is not published yet the weights of the one that is, if it has any. */
export async function carryRanker(
  analytics: Pick<ReleaseStore, "file" | "published" | "saveFile">,
  { version, signal }: { version: number } & Abortable,
): Promise<void> {
  const ranker = await publishedRanker(analytics, { signal });
  if (ranker === null) return;
  await analytics.saveFile({ version, name: RANKER_FILE, bytes: encodeRanker(ranker), signal });
}
