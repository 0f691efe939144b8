import {
  acknowledgementsOf,
  type Anomalies,
  type Findings,
  judge,
} from "../../../lib/monitoring/anomalies.ts";
import { ask, type Asked } from "../../http/try_read.ts";
import type { Site } from "../../http/page.ts";

/** What was found, by what is acknowledged at this moment: what was found may have been kept for a while. */
export async function judged(site: Site, finding: Promise<Asked<Findings>>): Promise<Asked<Anomalies>> {
  const [found, known] = await Promise.all([finding, ask(() => acknowledgementsOf(site.stores.runs))]);
  if (found.value === null) return found;
  return { value: judge(found.value, known.value ?? [], site.clock.now()), error: null };
}
