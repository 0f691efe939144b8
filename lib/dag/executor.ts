import { ParleyError } from "../core/errors.ts";
import type { RunSnapshot } from "../stores/runs/port.ts";
import { RunDriver } from "./driver.ts";
import type { ExecutorOptions, RunOutcome } from "./options.ts";

/** Drives one claimed run to its end. Call once, with what `claim` gave. */
export async function executeRun<Services>(
  o: ExecutorOptions<Services>,
  claimed: RunSnapshot,
  shutdown: AbortSignal,
): Promise<RunOutcome> {
  const dag = o.dags.get(claimed.run.dag_id);
  if (dag === undefined) {
    await o.runs.release({ run_id: claimed.run.run_id, owner: o.owner });
    throw new ParleyError(
      "not_found",
      `run ${claimed.run.run_id} is of the dag "${claimed.run.dag_id}", which is gone`,
    );
  }
  return await new RunDriver(o, dag, claimed, shutdown).drive();
}
