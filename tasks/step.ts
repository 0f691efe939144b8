import type { TaskContext } from "../lib/dag/types.ts";
import type { Services } from "./services.ts";

/** All that a step sees of the world. */
export type StepContext = TaskContext<Services>;

/**
 * A step as the function of a task. Each of `reads` gets one of the step's inputs from what earlier tasks left, so that the dag
 * alone knows their ids.
 */
export function step<Inputs extends readonly unknown[], Output>(
  body: (context: StepContext, ...inputs: Inputs) => Promise<Output>,
  ...reads: { readonly [I in keyof Inputs]: (context: StepContext) => Inputs[I] | Promise<Inputs[I]> }
): (context: StepContext) => Promise<Output> {
  return async (context) =>
    await body(context, ...await Promise.all(reads.map((read) => read(context))) as unknown as Inputs);
}
