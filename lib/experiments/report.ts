import { DAY_MS, iso } from "../core/clock.ts";
import type { Abortable } from "../core/types.ts";
import { CONTROL_ARM, DEFAULT_ARM } from "../recommend/arms.ts";
import type { AnalyticsStore, ArmEngagement } from "../stores/analytics/port.ts";
import {
  type ArmUsers,
  compareArms,
  type ComparisonPlan,
  type Difference,
  minUsers,
  minUsersOfSmallArm,
  planOf,
  sizesDiffer,
  type Verdict,
  verdictOf,
} from "./compare_arms.ts";
import type { Experiment } from "./experiment_file.ts";

/** Which arms there are. */
export interface ArmSettings {
  readonly control_share: number;
  readonly experiments: readonly Experiment[];
}

export type Metric = Experiment["metric"];

/** An arm next to the one that it is compared with. */
export interface ComparedArm extends ArmEngagement {
  readonly name: string;
  /** How much larger its share of successes is than that of the first arm; null for the first one, and without users. */
  readonly difference: Difference | null;
  /** Null for the first one. */
  readonly verdict: Verdict | null;
}

export interface ExperimentReport {
  readonly experiment: Experiment;
  readonly state: "planned" | "running" | "ended";
  /** Users that each arm needs. */
  readonly planned_users: number;
  /** The first one is what the others are compared with. */
  readonly arms: readonly ComparedArm[];
  /** Whether sizes of arms differ by more than chance makes them: then users were lost, and the rates say nothing. */
  readonly sizes_differ: boolean;
}

/** What answers are worth in comparison with popular ones. */
export interface UpliftReport {
  /** ISO time of the first event that counts. */
  readonly since: string;
  readonly control_share: number;
  /** Users of the control arm with which {@link UPLIFT_PLAN}'s effect is found. */
  readonly planned_users: number;
  readonly control: ArmEngagement;
  /** Users of all other arms together. */
  readonly others: ArmEngagement;
  /** By what they do, how much larger the share of users is who do it, of the others than of the control arm; null without users. */
  readonly differences: Readonly<Record<Metric, Difference | null>>;
}

/**
 * For the control share, for which no one states a plan: two percentage points more than the 5 % who click. Half of that takes 5 % more users than if
 * it were planned, and a difference of ten points shows with a few hundred.
 */
export const UPLIFT_PLAN: ComparisonPlan = Object.freeze({
  baseline: 0.05,
  minimum_effect: 0.02,
  power: 0.8,
  alpha: 0.05,
});
/** How old a quarter is before the uplift is that of it and not of the one before. */
const MIN_QUARTER_DAYS = 28;

type Analytics = Pick<AnalyticsStore, "armEngagement">;

/** The uplift since the beginning of a quarter, and all experiments, the newest first. */
export async function readReport(
  options: ArmSettings & { readonly analytics: Analytics; readonly now: number } & Abortable,
): Promise<{ readonly uplift: UpliftReport; readonly experiments: readonly ExperimentReport[] }> {
  const newestFirst = options.experiments.toSorted((a, b) =>
    (a.starts_at ?? "") < (b.starts_at ?? "") ? 1 : -1
  );
  const [uplift, ...experiments] = await Promise.all([
    readUplift(options),
    ...newestFirst.map((experiment) => readExperiment(experiment, options)),
  ]);
  return { uplift, experiments };
}

async function readUplift(
  { analytics, control_share, experiments, now, signal }: Parameters<typeof readReport>[0],
): Promise<UpliftReport> {
  const since = upliftSince(now);
  const read = (arms: readonly string[]) =>
    analytics.armEngagement({ arms, since, until: iso(now + DAY_MS), signal });
  const rest = experiments.flatMap(({ arms }) => arms.map(({ name }) => name));
  const [control, others] = await Promise.all([read([CONTROL_ARM.name]), read([DEFAULT_ARM.name, ...rest])]);
  const difference = (metric: Metric) =>
    compareArms(usersOf(control, metric), usersOf(others, metric), UPLIFT_PLAN);
  return {
    since,
    control_share,
    planned_users: minUsersOfSmallArm(UPLIFT_PLAN),
    control,
    others,
    differences: { click: difference("click"), conversion: difference("conversion") },
  };
}

/**
 * The first instant of this quarter in UTC, or of the one before while this one is new. Not so many days ago: intervals that may be looked at
 * any time hold for data that begin at one time, and a window that moves would begin again at each look.
 */
export function upliftSince(now: number): string {
  const startOf = (ms: number) => {
    const day = new Date(ms);
    return Date.UTC(day.getUTCFullYear(), 3 * Math.floor(day.getUTCMonth() / 3));
  };
  const start = startOf(now);
  return iso(now - start < MIN_QUARTER_DAYS * DAY_MS ? startOf(start - 1) : start);
}

async function readExperiment(
  experiment: Experiment,
  { analytics, now, signal }: { analytics: Analytics; now: number } & Abortable,
): Promise<ExperimentReport> {
  const { starts_at, ends_at, metric } = experiment;
  const span = { since: starts_at ?? "", until: ends_at ?? iso(now + DAY_MS), signal };
  const read = await Promise.all(
    experiment.arms.map(async ({ name }) => ({
      name,
      ...await analytics.armEngagement({ ...span, arms: [name] }),
    })),
  );
  const plan = planOf(experiment);
  const planned_users = minUsers(plan);
  const complete = read.every(({ users }) => users >= planned_users);
  const [first] = read;
  const arms = read.map((arm): ComparedArm => {
    if (arm === first) return { ...arm, difference: null, verdict: null };
    const difference = compareArms(usersOf(first!, metric), usersOf(arm, metric), plan);
    return { ...arm, difference, verdict: verdictOf(difference, complete) };
  });
  const at = iso(now);
  return {
    experiment,
    state: starts_at !== null && at < starts_at
      ? "planned"
      : ends_at !== null && at >= ends_at
      ? "ended"
      : "running",
    planned_users,
    arms,
    sizes_differ: sizesDiffer(read.map(({ users }) => users), planned_users),
  };
}

/** How many users there were, and how many of them did this. */
export function usersOf({ users, clicked, converted }: ArmEngagement, metric: Metric): ArmUsers {
  return { users, successes: metric === "click" ? clicked : converted };
}
