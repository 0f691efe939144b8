import {
  acknowledgementsOf,
  type Anomalies,
  findAnomalies,
  type Findings,
  judge,
} from "../../../lib/monitoring/anomalies.ts";
import { watched } from "../../api/pipeline.ts";
import type { PageContext } from "../../http/page.ts";
import { cachedRead, type ReadResult, tryRead } from "../../http/try_read.ts";

/** All anomalies, open and past. */
export function readAnomalies(context: PageContext): Promise<ReadResult<Anomalies>> {
  const find = () => findAnomalies(watched({ ...context, dags: [...context.dags.values()] }));
  return withAcknowledged(context, cachedRead(context, "anomalies", find));
}

/** Adds what is acknowledged now: the findings may come from a cache. */
export async function withAcknowledged(
  context: PageContext,
  finding: Promise<ReadResult<Findings>>,
): Promise<ReadResult<Anomalies>> {
  const [findings, acknowledgements] = await Promise.all([
    finding,
    tryRead(() => acknowledgementsOf(context.stores.runs)),
  ]);
  if (findings.value === null) return findings;
  return { value: judge(findings.value, acknowledgements.value ?? [], context.clock.now()), error: null };
}
