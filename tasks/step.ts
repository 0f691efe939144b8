import type { TaskDefinition } from "../lib/dag/define.ts";
import type { TaskContext } from "../lib/dag/types.ts";
import type { Services } from "./services.ts";

/** All that a step sees of the world. */
export type StepContext = TaskContext<Services>;

/** Stores and endpoints that are down may be back soon. */
export const STORE_RETRIES = { count: 3, base_ms: 500, cap_ms: 30_000 };

/**
 * What a task has of a step that asks stores: its function, and its retries. Each of `reads` gets one of the step's inputs from
 * what earlier tasks left, so that the dag alone knows their ids.
 */
export function step<Inputs extends readonly unknown[], Output extends object | void>(
  body: (context: StepContext, ...inputs: Inputs) => Promise<Output>,
  ...reads: { readonly [I in keyof Inputs]: (context: StepContext) => Inputs[I] | Promise<Inputs[I]> }
): Required<Pick<TaskDefinition<Services>, "run" | "retries">> {
  const run = async (context: StepContext) =>
    await body(context, ...await Promise.all(reads.map((read) => read(context))) as unknown as Inputs);
  return { run, retries: STORE_RETRIES };
}
