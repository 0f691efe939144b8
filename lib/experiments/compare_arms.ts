import { criticalValue, halfWidth } from "../ml/confidence_sequence.ts";
import { normalQuantile } from "../ml/normal.ts";
import type { Experiment } from "./experiment_file.ts";

/** What is fixed before there are data. */
export interface ComparisonPlan {
  /** The expected share of users of the first arm who do what is counted. */
  readonly baseline: number;
  /** The smallest difference of shares that matters. */
  readonly minimum_effect: number;
  /** The probability to find a difference of this size. */
  readonly power: number;
  /** The probability to find one if there is none. */
  readonly alpha: number;
}

/** The probability that an experiment without a difference finds one; its comparisons with the first arm share it (Bonferroni). */
const ALPHA = 0.05;

/** The plan of each comparison of an experiment. */
export function planOf(
  { baseline, minimum_effect, power, arms }: Pick<
    Experiment,
    "baseline" | "minimum_effect" | "power" | "arms"
  >,
): ComparisonPlan {
  return { baseline, minimum_effect, power, alpha: ALPHA / (arms.length - 1) };
}

/** Users of one arm, and how many of them did what is counted. */
export interface ArmUsers {
  readonly users: number;
  readonly successes: number;
}

/** How much larger a share is than another, and between what with probability 1 − alpha, at all times together. */
interface Difference {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export type Verdict = "better" | "worse" | "no_difference" | "undecided";

/** The standard error squared at which a difference as large as the minimum effect is found with the power. */
function plannedVariance({ minimum_effect, power, alpha }: ComparisonPlan): number {
  return (minimum_effect / (criticalValue(alpha) + normalQuantile(power))) ** 2;
}

/** How many users each of two arms of one size needs. The experiment ends when it has them. */
export function minUsers(plan: ComparisonPlan): number {
  const { baseline, minimum_effect } = plan;
  const others = [baseline + minimum_effect, baseline - minimum_effect].filter((share) =>
    share >= 0 && share <= 1
  );
  return Math.ceil((variance(baseline) + Math.max(...others.map(variance))) / plannedVariance(plan));
}

/** How many users an arm needs that is compared with one which is much larger. */
export function minUsersOfSmallArm(plan: ComparisonPlan): number {
  return Math.ceil(variance(plan.baseline) / plannedVariance(plan));
}

/** How much larger the share of successes of an arm is than that of the first one. */
export function compareArms(first: ArmUsers, other: ArmUsers, plan: ComparisonPlan): Difference | null {
  if (first.users === 0 || other.users === 0) return null;
  const value = other.successes / other.users - first.successes / first.users;
  const margin = halfWidth({
    variance: varianceOf(first) + varianceOf(other),
    planned_variance: plannedVariance(plan),
    alpha: plan.alpha,
  });
  return { value, low: Math.max(-1, value - margin), high: Math.min(1, value + margin) };
}

/** What can be said by now. `complete`: both arms have as many users as were planned. */
export function verdictOf(difference: Difference | null, complete: boolean): Verdict {
  if (difference !== null && difference.low > 0) return "better";
  if (difference !== null && difference.high < 0) return "worse";
  return complete ? "no_difference" : "undecided";
}

/** At what probability of an error the sizes of arms are called odd: it says that something is broken. */
const SIZES_ALPHA = 0.001;

/**
 * Whether arms that should have as many users each do not, by more than chance makes them differ. Then users were lost or counted twice by arm,
 * and rates say nothing (Fabijan and others, Diagnosing Sample Ratio Mismatch, KDD 2019). Holds at all times together.
 */
export function sizesDiffer(users: readonly number[], planned_users: number): boolean {
  const total = users.reduce((sum, count) => sum + count, 0);
  if (total === 0) return false;
  const expected = variance(1 / users.length);
  const margin = halfWidth({
    variance: expected / total,
    planned_variance: expected / (users.length * planned_users),
    alpha: SIZES_ALPHA / users.length,
  });
  return users.some((count) => Math.abs(count / total - 1 / users.length) > margin);
}

function variance(share: number): number {
  return share * (1 - share);
}

/** Of the share of successes; one success and one failure are added, so that it is not 0 while there are few (Agresti and Caffo, 2000). */
function varianceOf({ users, successes }: ArmUsers): number {
  return variance((successes + 1) / (users + 2)) / users;
}
