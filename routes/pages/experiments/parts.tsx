import { iso } from "../../../lib/core/clock.ts";
import type { Difference } from "../../../lib/experiments/compare_arms.ts";
import {
  type ComparedArm,
  type ExperimentReport,
  type Metric,
  UPLIFT_PLAN,
  type UpliftReport,
  usersOf,
} from "../../../lib/experiments/report.ts";
import { type Rate, wilson } from "../../../lib/ml/wilson.ts";
import type { ArmEngagement } from "../../../lib/stores/analytics/port.ts";
import { numberColumn, textColumn } from "../../components/columns.tsx";
import { formatNumber, formatPercent } from "../../components/format_number.ts";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import { type Column, Table } from "../../components/table.tsx";

type Arm = ArmEngagement & Partial<Pick<ComparedArm, "difference">> & { readonly name: string };

const SUCCESSES: Readonly<Record<Metric, string>> = { click: "clicked", conversion: "converted" };

/** A difference of shares in percentage points: `+1.25`. */
function formatPoints(difference: number): string {
  return `${difference < 0 ? "−" : "+"}${(100 * Math.abs(difference)).toFixed(2)}`;
}

/** An effect that was stated: `1 point`, `2.5 points`. */
function pointsText(effect: number): string {
  const points = formatNumber(100 * effect);
  return points === "1" ? "1 point" : `${points} points`;
}

const formatInterval = ({ low, high }: Difference) => `${formatPoints(low)} to ${formatPoints(high)}`;

function toneOf(difference: Difference | null): "plain" | "good" | "bad" {
  if (difference === null || (difference.low <= 0 && difference.high >= 0)) return "plain";
  return difference.low > 0 ? "good" : "bad";
}

/** How much larger the shares of users are who click and convert, of those with personal answers than of the control arm. */
export function Uplift({ url, uplift }: { url: URL; uplift: UpliftReport }) {
  const { control_share, control, others, planned_users, since } = uplift;
  if (control_share === 0 && control.users === 0) return <NoControl />;
  const rows: Arm[] = [{ name: "personal answers", ...others }, { name: "control", ...control }];
  return (
    <Section title="Uplift of personal answers" aside={`over popular ones, since ${since.slice(0, 10)}`}>
      <Figures>
        <UpliftFigure name="More users click" difference={uplift.differences.click} />
        <UpliftFigure name="More users convert" difference={uplift.differences.conversion} />
        <Figure
          name="Users of the control arm"
          value={formatNumber(control.users)}
          note={`of ${formatNumber(planned_users)} that a difference of ${
            pointsText(UPLIFT_PLAN.minimum_effect)
          } needs if ${formatPercent(UPLIFT_PLAN.baseline)} click`}
        />
        <Figure name="Control share" value={formatPercent(control_share)} note="of all users" />
      </Figures>
      <div class="spaced">
        <Table
          id="uplift"
          caption="Users to whom a campaign was shown by an answer, and those of them who did something with one."
          url={url}
          columns={[...countColumns, ...rateColumns("click"), ...rateColumns("conversion")]}
          rows={rows}
        />
      </div>
    </Section>
  );
}

function UpliftFigure({ name, difference }: { name: string; difference: Difference | null }) {
  return difference === null ? <Figure name={name} value="–" note="no users in one of the arms" /> : (
    <Figure
      name={name}
      value={`${formatPoints(difference.value)} points`}
      note={formatInterval(difference)}
      tone={toneOf(difference)}
    />
  );
}

function NoControl() {
  return (
    <Section title="Uplift of personal answers">
      <Empty>
        What personal answers are worth shows in comparison with users who get popular ones.{" "}
        <code>PARLEY_CONTROL_SHARE=0.02</code> gives them to 2 % of the users.
      </Empty>
    </Section>
  );
}

export function ExperimentSection({ url, report }: { url: URL; report: ExperimentReport }) {
  const { experiment, planned_users, arms, sizes_differ } = report;
  const { id, metric, baseline, minimum_effect, power } = experiment;
  return (
    <Section title={id} id={`experiment-${id}`} aside={spanText(report)}>
      {sizes_differ && (
        <p class="warning" role="note">
          The arms have different numbers of users, and not by chance. Then users or events of an arm are
          missing, and its rate says nothing: check that all places that show answers send impressions with
          their <code>recommendation_id</code>.
        </p>
      )}
      <p>{verdictText(report)}</p>
      <Table
        id={`arms-${id}`}
        caption={`By the file as it is now: ${
          formatNumber(planned_users)
        } users of each arm find a difference of ${pointsText(minimum_effect)} from ${
          formatPercent(baseline)
        } who ${metric === "click" ? "click" : "convert"}, with a power of ${
          formatPercent(power)
        }. Differences are in percentage points; their intervals may be looked at any time.`}
        url={url}
        columns={[...countColumns, ...rateColumns(metric), ...differenceColumns]}
        rows={arms.map((arm) => ({ ...arm, name: shortName(arm) }))}
      />
    </Section>
  );
}

function spanText({ state, experiment: { starts_at, ends_at } }: ExperimentReport): string {
  const from = starts_at === null ? [] : [`from ${starts_at.slice(0, 10)}`];
  // It ends at the first instant that is no part of it.
  const to = ends_at === null ? [] : [`until ${iso(Date.parse(ends_at) - 1).slice(0, 10)}`];
  return [state, ...from, ...to].join(", ");
}

function shortName({ name }: { readonly name: string }): string {
  return name.slice(name.indexOf("/") + 1);
}

/** What can be said by now, in words. */
function verdictText({ state, arms, planned_users }: ExperimentReport): string {
  if (state === "planned") return "It has not started.";
  const users = Math.min(...arms.map((arm) => arm.users));
  const soFar = state === "running" ? " so far" : "";
  const progress = `${formatNumber(users)} of ${formatNumber(planned_users)} users of each arm${soFar}`;
  if (arms.every((arm) => arm.users === 0)) {
    return `${progress}: no impression with the recommendation_id of an answer has come in.`;
  }
  const [first, ...others] = arms;
  const sentences = others.map((arm) => {
    const name = shortName(arm);
    if (arm.verdict === "better" || arm.verdict === "worse") {
      const { value, low, high } = arm.difference!;
      return `${name} is ${arm.verdict} than ${shortName(first!)} by ${
        formatPoints(Math.abs(value)).slice(1)
      } points (${formatInterval({ value, low, high })}).`;
    }
    return arm.verdict === "no_difference"
      ? `${name}: no difference shown with the planned users, so it is small: ${
        formatInterval(arm.difference!)
      } points.`
      : `${name}: no difference shown yet.`;
  });
  return `${progress}. ${sentences.join(" ")}`;
}

const countColumns: Column<Arm>[] = [
  textColumn("arm", "Arm", ({ name }) => name),
  numberColumn("users", "Users", ({ users }) => users),
  numberColumn("impressions", "Impressions", ({ impressions }) => impressions),
  numberColumn("clicks", "Clicks", ({ clicks }) => clicks),
  numberColumn("conversions", "Conversions", ({ conversions }) => conversions),
];

/** The share of users who did it, with an interval. */
function rateColumns(metric: Metric): Column<Arm>[] {
  const rate = (arm: Arm): Rate | null => {
    const { users, successes } = usersOf(arm, metric);
    return wilson(successes, users);
  };
  const format = (value: number) => `${(100 * value).toFixed(2)} %`;
  return [
    numberColumn(metric, `Users who ${SUCCESSES[metric]}`, (arm) => rate(arm)?.value ?? null, format),
    intervalColumn(`${metric}-interval`, "95 % interval", (arm) => {
      const found = rate(arm);
      return found === null ? null : `${format(found.low)} – ${format(found.high)}`;
    }),
  ];
}

const differenceColumns: Column<Arm>[] = [
  numberColumn(
    "difference",
    "Difference",
    ({ difference = null }) => difference?.value ?? null,
    formatPoints,
  ),
  intervalColumn(
    "difference-interval",
    "At any time",
    ({ difference = null }) => difference === null ? null : formatInterval(difference),
  ),
];

function intervalColumn(key: string, head: string, text: (arm: Arm) => string | null): Column<Arm> {
  return { key, head, numeric: true, cell: (arm) => <span class="nowrap">{text(arm) ?? "–"}</span> };
}
