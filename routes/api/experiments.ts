import { z } from "../../deps.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { type ArmSettings, readReport } from "../../lib/experiments/report.ts";
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { cachedRead, type ReadResult } from "../http/try_read.ts";

const REPORT = z.lazy(() => {
  const time = z.iso.datetime();
  const count = z.int().min(0);
  const share = z.number().min(0).max(1);
  const difference = z.object({
    value: z.number().min(-1).max(1),
    low: z.number().min(-1).max(1),
    high: z.number().min(-1).max(1),
  }).meta({
    id: "ArmDifference",
    description:
      "How much larger the share of users who succeed is than in the arm it is compared with, and an interval that may be looked at any " +
      "time.",
  }).nullable();
  const engagement = {
    users: count.describe("To whom an answer of the arm showed a campaign."),
    clicked: count.describe("Users who clicked."),
    converted: count.describe("Users who converted."),
    impressions: count,
    clicks: count,
    conversions: count,
    dismissals: count,
  };
  const planned_users = count.describe("Users that each arm needs, or the control arm.");
  return z.object({
    uplift: z.object({
      since: time,
      control_share: share,
      planned_users,
      control: z.object(engagement).meta({ id: "ArmEngagement" }),
      others: z.object(engagement).describe("Of all other arms together."),
      differences: z.object({ click: difference, conversion: difference }),
    }).meta({ id: "Uplift" }),
    experiments: z.array(
      z.object({
        id: z.string(),
        state: z.enum(["planned", "running", "ended"]),
        starts_at: time.nullable(),
        ends_at: time.nullable().describe("The first instant after it."),
        share,
        metric: z.enum(["click", "conversion"]),
        baseline: share,
        minimum_effect: share,
        power: share,
        planned_users,
        sizes_differ: z.boolean().describe(
          "Whether numbers of users differ by more than chance makes them: then rates say nothing.",
        ),
        arms: z.array(
          z.object({
            name: z.string(),
            ...engagement,
            difference,
            verdict: z.enum(["better", "worse", "no_difference", "undecided"]).nullable(),
          }),
        ).describe("The first one is what the others are compared with."),
      }).meta({ id: "Experiment" }),
    ).describe("The newest first."),
  }).meta({ id: "Experiments" });
});

interface ExperimentOptions {
  readonly stores: { readonly analytics: Pick<AnalyticsStore, "armEngagement"> };
  readonly clock: Clock;
  /** Default: no control share and no experiments. */
  readonly arms?: ArmSettings | undefined;
}

const NO_ARMS: ArmSettings = { control_share: 0, experiments: [] };

/** The uplift over the control share, and all experiments, read again after a while. */
export function readExperiments(
  options: ExperimentOptions,
): Promise<ReadResult<Awaited<ReturnType<typeof readReport>>>> {
  const { stores: { analytics }, clock, arms = NO_ARMS } = options;
  return cachedRead(options, "experiments", () => readReport({ ...arms, analytics, now: clock.now() }));
}

/** `GET /experiments`; a browser gets the page. */
export const experiments = apiEndpoint({
  method: "GET",
  route: "/experiments",
  scope: "read",
  operation: "getExperiments",
  tag: "recommendations",
  summary: "The uplift of personal answers, and the experiments with their arms and verdicts",
  responses: { 200: { description: "What the page of experiments shows.", schema: REPORT } },
  errors: [503],
  handler: (
    { stores, clock, arm_settings }: Omit<ExperimentOptions, "arms"> & {
      readonly arm_settings?: ArmSettings | undefined;
    },
  ) =>
  async () => {
    const { value, error } = await readExperiments({ stores, clock, arms: arm_settings });
    if (value === null) {
      throw new ParleyError("unavailable", "the analytics store, which has the events, did not respond", {
        cause: error,
      });
    }
    const experiments = value.experiments.map(({ experiment, ...report }) => {
      const { arms: _, ...plan } = experiment;
      return { ...plan, ...report };
    });
    const headers = { vary: "accept", "cache-control": "no-store" };
    return Response.json({ uplift: value.uplift, experiments }, { headers });
  },
});
