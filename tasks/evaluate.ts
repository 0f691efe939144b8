import { z } from "../deps.ts";
import { defineDag } from "../lib/dag/define.ts";
import { type Split, SPLITS } from "../lib/evaluate/splits.ts";
import type { Services } from "./services.ts";
import { remoteSources, sourceParams, type SourceSettings } from "./source_params.ts";
import { evaluate as run, type InScratch } from "./steps/evaluate/evaluate.ts";

export interface EvaluateSettings extends SourceSettings {
  /** Where the Parleys that are measured are built. */
  readonly inScratch: InScratch;
}

const splits = Object.keys(SPLITS) as Split[];

/** How good answers are: builds Parleys from part of the rows, in stores of their own, and asks them for the rest. */
export function evaluate(settings: EvaluateSettings) {
  return defineDag<Services>({
    id: "evaluate",
    doc: "Measures answers on rows that they were not made from, next to simple baselines; changes no data.",
    params: z.object({
      ...sourceParams(settings),
      split: z.enum(splits).default("time").describe("which choices to hide"),
      folds: z.int().min(2).max(100).default(5).describe("number of folds of rows and conversations"),
      seed: z.int().min(0).default(0).describe("the same seed gives the same folds and intervals"),
      choose_weights: z.boolean().default(false).describe("choose the sources' weights too, by nested folds"),
    }),
    remote: { ...remoteSources(settings), split: "any", folds: "any", seed: "any", choose_weights: "any" },
    tasks: [{
      id: "evaluate",
      role: "evaluate",
      doc: "builds, asks, compares",
      run: (context) => run(context, settings.inScratch),
      // Nothing of it outlasts an interruption.
      grace_ms: 0,
    }],
  });
}
