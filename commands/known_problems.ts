import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import type { OpenAnomaly } from "../lib/monitoring/acknowledge.ts";
import { acknowledgementsOf, detectAnomalies } from "../lib/monitoring/anomalies.ts";
import { type Anomaly, anomalyId } from "../lib/monitoring/anomaly.ts";
import { type Finding, isCompared } from "../lib/data_checks/data_checks.ts";
import type { Acknowledgement, RunStore } from "../lib/stores/runs/port.ts";
import type { AnalyticsStore } from "../lib/stores/analytics/port.ts";
import { allDags } from "./engine.ts";

/** A finding, by its id on the overview and in `pipeline anomalies`; null for findings of `doctor` alone. */
export interface IdentifiedFinding extends Finding {
  readonly id: string | null;
}

/** A finding in the report of `doctor`: it does not count while it is acknowledged. */
export interface ReportedFinding extends IdentifiedFinding {
  readonly acknowledged: OpenAnomaly["acknowledged"];
}

/** Warnings that a setting ends. */
const OF_SETTINGS: ReadonlySet<string> = new Set(["no_sources", "source_emptied", "intents_unset"]);

export function findingOf(anomaly: Pick<Anomaly, keyof Finding | "subject">): IdentifiedFinding {
  const { code, severity, figure, expected, text } = anomaly;
  return {
    code,
    severity: severity === "critical" ? severity : "warning",
    figure,
    expected,
    text,
    id: anomalyId(anomaly),
  };
}

/** The open anomalies of the overview, and their acknowledgements. */
export class KnownProblems {
  private constructor(
    private readonly open: readonly OpenAnomaly[],
    private readonly acknowledgements: readonly Acknowledgement[],
  ) {}

  static async read(
    config: Config,
    { runs, analytics }: { runs?: RunStore; analytics?: AnalyticsStore },
  ): Promise<KnownProblems> {
    if (runs === undefined || analytics === undefined) return new KnownProblems([], []);
    const { dags, faults } = await allDags(config);
    const { open } = await detectAnomalies({
      runs,
      analytics,
      dags: [...dags.values()],
      dag_faults: faults,
      clock: systemClock,
    });
    return new KnownProblems(open, await acknowledgementsOf(runs));
  }

  /** The findings, then other anomalies of runs that are critical or concern settings, each with its acknowledgement. */
  toReported(findings: readonly (Finding | IdentifiedFinding)[]): ReportedFinding[] {
    const identified = findings.map((finding) => ({ ...finding, id: "id" in finding ? finding.id : null }));
    const ids = new Set(identified.map(({ id }) => id));
    const otherAnomalies = this.open.filter((anomaly) =>
      (anomaly.severity === "critical" || OF_SETTINGS.has(anomaly.code)) &&
      !ids.has(anomaly.id) && anomaly.subject.kind !== "store" && !isCompared(anomaly)
    );
    return [...identified, ...otherAnomalies.map(findingOf)].map((finding) => ({
      ...finding,
      acknowledged: this.acknowledgementOf(finding),
    }));
  }

  /**
   * The acknowledgement. A finding that is not open on the overview is new; a source is acknowledged once a run has left it out,
   * since an earlier acknowledgement is of an earlier fault.
   */
  acknowledgementOf({ id, code }: Pick<IdentifiedFinding, "id" | "code">): OpenAnomaly["acknowledged"] {
    const anomaly = this.open.find((open) => open.id === id);
    if (anomaly !== undefined) return anomaly.acknowledged;
    if (code === "source_unreadable") return null;
    const acknowledgement = this.acknowledgements.find(({ anomaly_id }) => anomaly_id === id);
    if (acknowledgement === undefined || Date.parse(acknowledgement.until) <= systemClock.now()) return null;
    const { by, at, until } = acknowledgement;
    return { by, at, until };
  }
}
