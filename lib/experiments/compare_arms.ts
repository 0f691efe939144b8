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
  /** The probability of finding a difference between equal arms. */
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
export interface Difference {
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
  return Math.ceil((variance(plan.baseline) + varianceOfOther(plan)) / plannedVariance(plan));
}

/** How many users an arm needs that is compared with a much larger one, whose share then decides the variance if it is the larger. */
export function minUsersOfSmallArm(plan: ComparisonPlan): number {
  return Math.ceil(Math.max(variance(plan.baseline), varianceOfOther(plan)) / plannedVariance(plan));
}

/** Of a share that differs from the baseline by the effect, up or down, the larger one. */
function varianceOfOther({ baseline, minimum_effect }: ComparisonPlan): number {
  const others = [baseline + minimum_effect, baseline - minimum_effect];
  return Math.max(...others.filter((share) => share >= 0 && share <= 1).map(variance));
}

/** How much larger the share of successes of an arm is than that of the first one. */
export function compareArms(first: ArmUsers, other: ArmUsers, plan: ComparisonPlan): Difference | null {
  if (first.users === 0 || other.users === 0) return null;
  const value = other.successes / other.users - first.successes / first.users;
  const margin = halfWidth({
    variance: varianceOfDifference(first, other),
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

/**
 * The variance of a difference of shares, the larger of that by the share of each and that by the share of all, as if there were no difference. By
 * their own shares alone, an arm with few users and no success would look sure of it, and would seem to differ from a large one too often. One success
 * and one failure are added to each (Agresti and Caffo, The American Statistician 54, 2000).
 */
function varianceOfDifference(first: ArmUsers, other: ArmUsers): number {
  const shareOf = (...arms: readonly ArmUsers[]) =>
    (sum(arms, "successes") + arms.length) / (sum(arms, "users") + 2 * arms.length);
  const [own, common] = [[shareOf(first), shareOf(other)], shareOf(first, other)] as const;
  return Math.max(
    variance(own[0]!) / first.users + variance(own[1]!) / other.users,
    variance(common) / first.users + variance(common) / other.users,
  );
}

function sum(arms: readonly ArmUsers[], of: keyof ArmUsers): number {
  return arms.reduce((total, arm) => total + arm[of], 0);
}
