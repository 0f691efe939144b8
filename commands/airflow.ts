import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { airflowDag } from "../lib/dag/airflow.ts";
import type { Dag } from "../lib/dag/define.ts";
import { dagFaultText } from "../lib/monitoring/dag_faults.ts";
import type { Services } from "../tasks/services.ts";
import { allDags } from "./engine.ts";
import { EXIT } from "./exit.ts";
import { dagOf } from "./inspect.ts";

/** Writes a DAG file for Airflow for each dag, or for one, into a folder. */
export async function exportToAirflow(
  config: Config,
  options: { readonly dag?: string; readonly out: string },
): Promise<number> {
  const { dags, faults } = options.dag === undefined
    ? await allDags(config)
    : { dags: new Map([[options.dag, await dagOf(config, options.dag)]]), faults: [] };
  await Deno.mkdir(options.out, { recursive: true });
  const folder = await Deno.realPath(options.out);
  const problems = faults.map(dagFaultText);
  for (const dag of dags.values()) {
    const path = `${folder}/parley_${dag.id}.py`;
    try {
      await Deno.writeTextFile(path, await dagFile(dag, systemClock.now()));
      console.log(path);
    } catch (error) {
      if (!(error instanceof ParleyError && error.code === "unsupported")) throw error;
      problems.push(error.message);
    }
  }
  for (const problem of problems) console.error(`parley: ${problem}`);
  if (config.schedule === null) {
    console.error("parley: the DAGs have no schedule, because PARLEY_SCHEDULE is off");
  }
  return problems.length === 0 ? EXIT.ok : EXIT.failed;
}

/** The text of the DAG file: the same Python for each dag, with what the dag declares as JSON. */
export async function dagFile(dag: Dag<Services>, now: number): Promise<string> {
  const template = await Deno.readTextFile(new URL("./airflow_dag.py", import.meta.url));
  const declaration = JSON.stringify(airflowDag(dag, now), null, 2);
  return template.replace("DAG_ID", () => dag.id).replace("DECLARATION", () => declaration);
}
