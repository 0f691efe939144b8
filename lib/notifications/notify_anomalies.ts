import type { Clock } from "../core/clock.ts";
import { iso } from "../core/clock.ts";
import type { OpenAnomaly } from "../monitoring/acknowledge.ts";
import { causeOf } from "../monitoring/anomaly.ts";
import type { RunStore } from "../stores/runs/port.ts";

/**
 * Adds a notification for each critical anomaly that is new, and for each that is over. Failed runs have notifications of their own,
 * and what one API process serves is no other's.
 */
export async function notifyAnomalies(
  { runs, open, clock }: {
    runs: Pick<RunStore, "addNotification" | "subjectsWith">;
    open: readonly OpenAnomaly[];
    clock: Clock;
  },
): Promise<void> {
  const about = { at: iso(clock.now()), dag_id: null };
  const critical = open.filter(({ severity, code, subject }) =>
    severity === "critical" && code !== "run_failed" && subject.kind !== "api"
  );
  for (const { id, run_id, acknowledged, ...anomaly } of critical) {
    if (acknowledged !== null) continue;
    const facts = { anomaly_id: id, cause: causeOf(anomaly) };
    await runs.addNotification({ ...about, type: "anomaly.opened", subject: subjectOf(id), run_id, facts });
  }
  const subjects = new Set(critical.map(({ id }) => subjectOf(id)));
  for (const subject of await runs.subjectsWith({ type: "anomaly.opened" })) {
    if (subjects.has(subject)) continue;
    const facts = { anomaly_id: subject.slice(PREFIX.length) };
    await runs.addNotification({ ...about, type: "anomaly.ended", subject, run_id: null, facts });
  }
}

const PREFIX = "anomaly ";
const subjectOf = (id: string) => `${PREFIX}${id}`;
