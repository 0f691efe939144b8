import { acknowledge as acknowledgeOpen, acknowledger } from "../../../lib/monitoring/acknowledge.ts";
import { detectAnomalies } from "../../../lib/monitoring/anomalies.ts";
import { watched } from "../../api/pipeline.ts";
import { withFlash } from "../../http/flash_messages.ts";
import { field, type PageRequest, redirect } from "../../http/page.ts";

/** `POST /anomalies/acknowledge`: acknowledges an open anomaly for a time. */
export async function acknowledge(request: PageRequest): Promise<Response> {
  const { context, session } = request;
  const by = acknowledger({ name: field(request, "by"), key: session.key });
  const { open } = await detectAnomalies(watched({ ...context, dags: [...context.dags.values()] }));
  const id = field(request, "id");
  const { until } = await acknowledgeOpen({
    runs: context.runs,
    open,
    clock: context.clock,
    id,
    until: field(request, "until"),
    by,
  });
  request.note.facts = { anomaly_id: id, until };
  return redirect(withFlash("/anomalies", "acknowledged"));
}

/** `POST /anomalies/unacknowledge`: removes an acknowledgement. */
export async function unacknowledge(request: PageRequest): Promise<Response> {
  const anomaly_id = field(request, "id");
  if (await request.context.runs.unacknowledge({ anomaly_id })) {
    request.note.facts = { anomaly_id, until: null };
  }
  return redirect(withFlash("/anomalies", "unacknowledged"));
}
