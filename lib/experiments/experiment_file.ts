import { z } from "../../deps.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import { SOURCES, type Sources } from "../recommend/answer.ts";
import type { Arm, ArmSplit } from "../recommend/arms.ts";
import { describeIssues, expected } from "../schema/issues.ts";
import { endTime, startTime } from "../schema/time.ts";

/** A comparison of arms, with what was fixed before it began. */
export interface Experiment extends ArmSplit {
  /** What a user has to do with a campaign of an answer to count as a success. */
  readonly metric: "click" | "conversion";
  /** The expected share of users who do, 0..1. */
  readonly baseline: number;
  /** The smallest difference of that share that matters, such as 0.01 for one percentage point. */
  readonly minimum_effect: number;
  /** The probability of finding a difference as large as that, 0..1. */
  readonly power: number;
}

const MAX_EXPERIMENTS = 100;
/** Each arm more makes all comparisons with the first one need more users. */
const MAX_ARMS = 5;
const DEFAULT_POWER = 0.8;

const name = z.string(expected("a string")).regex(
  /^[a-z0-9][a-z0-9._-]{0,39}$/,
  "must be 1 to 40 lower-case letters, digits, dots, hyphens and underscores, and begin with a letter or a digit",
);
const numberFrom = (low: number, high: number) => {
  const rule = `a number from ${low} to ${high}`;
  return z.number(expected(rule)).min(low, `must be ${rule}`).max(high, `must be ${rule}`);
};
const share = (rule: string) => z.number(expected(rule)).gt(0, `must be ${rule}`).lt(1, `must be ${rule}`);
const strict = (what: string) => ({
  error: (issue: { readonly code?: string; readonly keys?: readonly string[] }) =>
    issue.code === "unrecognized_keys" ? `has unknown fields: ${issue.keys?.join(", ")}` : `must be ${what}`,
});

const Weights = z.strictObject(
  Object.fromEntries(SOURCES.map((source) => [source, numberFrom(0, 100).default(0)])) as Record<
    keyof Sources,
    z.ZodDefault<z.ZodNumber>
  >,
  strict("an object of weights by source"),
).refine(({ popularity }) => popularity > 0, {
  path: ["popularity"],
  error: "must be above 0, since nothing else is known of some users",
});

const ArmEntry = z.strictObject({
  id: name,
  weights: Weights.optional(),
  sources: z.array(z.enum(SOURCES, { error: `must be one of ${SOURCES.join(", ")}` }), expected("a list"))
    .optional(),
  diversity: numberFrom(0, 1).optional(),
}, strict('an arm, such as {"id": "today"}')).refine(
  ({ weights, sources }) => weights === undefined || sources === undefined,
  {
    error: "has weights and sources: weights say already which sources count",
  },
);

const Entry = z.strictObject({
  id: name,
  starts_at: startTime.nullish(),
  ends_at: endTime.nullish(),
  share: numberFrom(0, 1).gt(0, "must be above 0").default(1),
  arms: z.array(ArmEntry, expected("a list of arms")).min(2, "must be two arms or more")
    .max(MAX_ARMS, `must be ${MAX_ARMS} arms at most`)
    .refine(
      (arms) => new Set(arms.map(({ id }) => id)).size === arms.length,
      "has two arms with the same id",
    ),
  metric: z.enum(["click", "conversion"], expected("click or conversion")),
  baseline: share("a share between 0 and 1"),
  minimum_effect: share("a difference of shares between 0 and 1, such as 0.01"),
  power: numberFrom(0.5, 0.99).default(DEFAULT_POWER),
}, strict("an object with the fields of an experiment")).superRefine(
  ({ starts_at, ends_at, baseline, minimum_effect }, context) => {
    if (starts_at && ends_at && ends_at <= starts_at) context.addIssue("ends before it starts");
    if (baseline + minimum_effect >= 1) {
      context.addIssue("has a baseline that cannot rise by the minimum_effect");
    }
  },
);

const File = z.strictObject({
  experiments: z.array(Entry, expected("a list of experiments"))
    .max(MAX_EXPERIMENTS, `must be ${MAX_EXPERIMENTS} experiments at most`),
}, strict("an object with the list experiments"));

/**
 * Parses the text of a file of experiments; throws one `invalid` that says what is wrong. `source` is its path. Two experiments at the same
 * time are refused: both would change the same ranking, and neither's difference would be its own.
 */
export function parseExperiments(options: { text: string; source: string }): Experiment[] {
  const { data, error } = File.safeParse(jsonOf(options));
  if (data === undefined) throw unusable(options.source, describeIssues(error));
  const experiments = data.experiments.map(toExperiment);
  const problem = conflictIn(experiments);
  if (problem !== null) throw unusable(options.source, problem);
  return experiments;
}

function unusable(source: string, problem: string): ParleyError {
  return new ParleyError("invalid", `the experiments of ${source} cannot be used: ${problem}`);
}

function jsonOf({ text, source }: { text: string; source: string }): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unusable(source, `the file is not JSON: ${messageOf(error)}`);
  }
}

/** Names of arms are unique in the file, and `/` is in no id, so that none is called `control` or `default`. */
function toExperiment({ arms, starts_at, ends_at, ...rest }: z.output<typeof Entry>): Experiment {
  const toArm = ({ id, weights, sources, diversity }: z.output<typeof ArmEntry>): Arm => ({
    name: `${rest.id}/${id}`,
    ...weights && { weights },
    ...sources && { sources },
    ...diversity !== undefined && { diversity },
  });
  return { ...rest, starts_at: starts_at ?? null, ends_at: ends_at ?? null, arms: arms.map(toArm) };
}

/** Why these cannot be in one file; null if they can. */
function conflictIn(experiments: readonly Experiment[]): string | null {
  for (const [i, one] of experiments.entries()) {
    for (const other of experiments.slice(0, i)) {
      if (one.id === other.id) return `two experiments have the id ${one.id}`;
      const isApart = (a: Experiment, b: Experiment) =>
        a.ends_at !== null && b.starts_at !== null && a.ends_at <= b.starts_at;
      if (!isApart(one, other) && !isApart(other, one)) {
        return `${other.id} and ${one.id} would be at the same time: set ends_at of one and starts_at of the other`;
      }
    }
  }
  return null;
}
