import type { Json } from "../core/types.ts";
import type { RunRecord, Start } from "../stores/runs/port.ts";
import { Attempt, LINGER_MS } from "./attempt.ts";
import type { Dag, TaskDefinition } from "./define.ts";
import type { ExecutorOptions } from "./options.ts";
import type { Lease } from "./lease.ts";
import { deadlineIn } from "./state.ts";

/** Creates the attempt of a start that the store has admitted, without running it. */
export function createAttempt<Services>(
  engine: ExecutorOptions<Services>,
  options: {
    dag: Dag<Services>;
    definition: TaskDefinition<Services>;
    run: RunRecord;
    start: Start;
    lease: Lease;
    output: (task_id: string) => Json;
    item: Json;
  },
): Attempt<Services> {
  const { dag, definition, run, start: { attempt: record, task }, lease, output, item } = options;
  const { runs, services, clock, owner, observer, around } = engine;
  const { task_id, attempt } = record;
  const { run_id, dag_id } = run;
  const { run: body } = definition;
  return new Attempt<Services>({
    definition: around === undefined ? definition : {
      ...definition,
      run: (context) => around({ run_id, dag_id, task_id, attempt }, () => body(context)),
    },
    record,
    run,
    services,
    clock,
    output,
    item,
    // A first attempt has no checkpoint.
    checkpoint: () =>
      attempt === 1 ? Promise.resolve(null) : lease.withRetry(() => runs.checkpoint({ run_id, task_id })),
    saveCheckpoint: (value) => runs.saveCheckpoint({ run_id, owner, task_id, attempt, value }),
    events: {
      progress: (id, done, total) => observer?.progress?.(id, done, total),
      log: (logged) => {
        lease.log(logged);
        observer?.taskLogged?.(logged.task_id, logged.line);
      },
    },
    deadline_in_ms: deadlineIn(task, definition, clock.now()),
    linger_ms: engine.linger_ms ?? LINGER_MS,
    dependents: dag.dependents.get(task_id) ?? [],
  });
}
