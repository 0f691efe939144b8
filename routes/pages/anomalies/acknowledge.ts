import { acknowledge as acknowledgeOpen, acknowledger } from "../../../lib/monitoring/acknowledge.ts";
import { detectAnomalies } from "../../../lib/monitoring/anomalies.ts";
import { watched } from "../../api/pipeline.ts";
import { withFlash } from "../../http/flash_messages.ts";
import { field, type PageRequest, redirect } from "../../http/page.ts";

/** `POST /anomalies/acknowledge`: says that an open anomaly is known and in hand. */
export async function acknowledge(visit: PageRequest): Promise<Response> {
  const { site, session } = visit;
  const by = acknowledger({ name: field(visit, "by"), key: session.key });
  const { open } = await detectAnomalies(watched({ ...site, dags: [...site.dags.values()] }));
  const [id, until] = [field(visit, "id"), field(visit, "until")];
  await acknowledgeOpen({ runs: site.runs, open, clock: site.clock, id, until, by });
  return redirect(withFlash("/anomalies", "acknowledged"));
}

/** `POST /anomalies/unacknowledge`: takes that back. */
export async function unacknowledge(visit: PageRequest): Promise<Response> {
  await visit.site.runs.unacknowledge({ anomaly_id: field(visit, "id") });
  return redirect(withFlash("/anomalies", "unacknowledged"));
}
