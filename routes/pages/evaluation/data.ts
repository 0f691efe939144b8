import { EVALUATION_OUTPUT, type EvaluationOutput, taskOf } from "../../../lib/monitoring/task_outputs.ts";
import type { PageContext } from "../../http/page.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";

/** Evaluations that are read, the newest. */
const MAX_EVALUATIONS = 50;

export interface Evaluation extends EvaluationOutput {
  readonly run_id: string;
  /** ISO time. */
  readonly ended_at: string;
}

/** Evaluations of all pipelines that evaluate, newest first. */
export function readEvaluations({ runs, dags }: PageContext): Promise<ReadResult<Evaluation[]>> {
  return tryRead(async () => {
    const outputs = await Promise.all([...dags.values()].map(async (dag) => {
      const task = taskOf(dag, "evaluate");
      if (task === undefined) return [];
      return await runs.outputs({ dag_id: dag.id, task_id: task.id, since: "", limit: MAX_EVALUATIONS });
    }));
    return outputs.flat().flatMap(({ run_id, ended_at, output }) => {
      // Null without a result; outputs of an older Parley lack what is shown here.
      const { data } = EVALUATION_OUTPUT.safeParse(output);
      return data === undefined || ended_at === null ? [] : [{ run_id, ended_at, ...data }];
    }).sort((a, b) => a.ended_at < b.ended_at ? 1 : -1);
  });
}
