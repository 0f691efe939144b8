import {
  acknowledgementsOf,
  type Anomalies,
  type Findings,
  judge,
} from "../../../lib/monitoring/anomalies.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";
import type { PageContext } from "../../http/page.ts";

/** What was found, by what is acknowledged at this moment: what was found may have been kept for a while. */
export async function withAcknowledged(
  site: PageContext,
  finding: Promise<ReadResult<Findings>>,
): Promise<ReadResult<Anomalies>> {
  const [found, known] = await Promise.all([finding, tryRead(() => acknowledgementsOf(site.stores.runs))]);
  if (found.value === null) return found;
  return { value: judge(found.value, known.value ?? [], site.clock.now()), error: null };
}
