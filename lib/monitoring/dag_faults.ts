import { iso } from "../core/clock.ts";
import type { Anomaly } from "./anomaly.ts";

/** A file of the user's own dags, or their folder, that cannot be used. */
export interface DagFault {
  readonly path: string;
  /** What is wrong, and where in the file: one sentence without a full stop. */
  readonly reason: string;
}

/** What is wrong, as a sentence without a full stop. */
export function dagFaultText({ path, reason }: DagFault): string {
  return `the dags of ${path} cannot run: ${reason}`;
}

/** Files of own dags that cannot be used: none of their runs starts. Other dags do not suffer. */
export function dagFaultAnomalies(faults: readonly DagFault[], now: number): Anomaly[] {
  return faults.map(({ path, reason }) => {
    const cause = `The dags of ${path} cannot run`;
    return {
      code: "dags_unusable",
      severity: "critical",
      subject: { kind: "file", path },
      figure: 1,
      expected: 0,
      unit: "files",
      since: iso(now),
      run_id: null,
      cause,
      text: `${cause}: ${reason}; correct it and restart, or unset PARLEY_DAGS`,
    };
  });
}
