import { ParleyError } from "../core/errors.ts";
import type { RunSnapshot } from "../stores/runs/port.ts";
import { RunDriver } from "./driver.ts";
import type { ExecutorOptions, RunOutcome } from "./options.ts";

/** Drives one claimed run to its end. Call once, with what `claim` gave. */
export async function executeRun<Services>(
  options: ExecutorOptions<Services>,
  claimed: RunSnapshot,
  shutdown: AbortSignal,
): Promise<RunOutcome> {
  const dag = options.dags.get(claimed.run.dag_id);
  if (dag === undefined) {
    await options.runs.release({ run_id: claimed.run.run_id, owner: options.owner });
    throw new ParleyError(
      "not_found",
      `run ${claimed.run.run_id} is of the dag "${claimed.run.dag_id}", which is gone`,
    );
  }
  return await new RunDriver(options, dag, claimed, shutdown).drive();
}
