import assert from "node:assert/strict";
import {
  type ArmUsers,
  compareArms,
  type ComparisonPlan,
  minUsers,
  minUsersOfSmallArm,
  planOf,
  sizesDiffer,
  type Verdict,
  verdictOf,
} from "../../../lib/experiments/compare_arms.ts";
import { seededRandom } from "../../../lib/core/random.ts";
import { wilson } from "../../../lib/ml/wilson.ts";

const armOf = ([users, successes]: readonly [number, number]): ArmUsers => ({ users, successes });

const PLAN: ComparisonPlan = { baseline: 0.1, minimum_effect: 0.04, power: 0.8, alpha: 0.05 };
const EXPERIMENTS = 1_000;
const LOOKS = 100;

type Look = readonly [first: ArmUsers, other: ArmUsers];

/**
 * The numbers at each look at an experiment: users come evenly over time, each in one arm by chance, in the first with the probability `first`, and who succeeds does so up to
 * `delay` of the time later.
 */
function* looks(
  { shares, users, first, delay, random }: {
    shares: readonly [number, number];
    users: number;
    first: number;
    delay: number;
    random: () => number;
  },
): Generator<Look> {
  const joined = Array.from({ length: LOOKS }, () => [0, 0]);
  const succeeded = Array.from({ length: LOOKS }, () => [0, 0]);
  for (let user = 0; user < users; user++) {
    const arm = random() < first ? 0 : 1;
    const at = user / users;
    joined[Math.floor(at * LOOKS)]![arm]!++;
    if (random() >= shares[arm]!) continue;
    const look = Math.floor((at + delay * random()) * LOOKS);
    if (look < LOOKS) succeeded[look]![arm]!++;
  }
  const sums: readonly [[number, number], [number, number]] = [[0, 0], [0, 0]];
  for (let look = 0; look < LOOKS; look++) {
    for (const arm of [0, 1] as const) {
      sums[arm][0] += joined[look]![arm]!;
      sums[arm][1] += succeeded[look]![arm]!;
    }
    yield [armOf(sums[0]), armOf(sums[1])];
  }
}

/** The share of experiments in which a judge is convinced at any look; it stops there. */
function convinced(
  judge: (look: Look) => boolean,
  { shares, first = 0.5, delay = 0, seed, times = 1 }: {
    shares: readonly [number, number];
    first?: number;
    delay?: number;
    seed: number;
    times?: number;
  },
): number {
  const random = seededRandom(seed);
  const users = times * (first === 0.5 ? 2 * minUsers(PLAN) : minUsersOfSmallArm(PLAN) / first);
  let count = 0;
  for (let i = 0; i < EXPERIMENTS; i++) {
    for (const look of looks({ shares, users, first, delay, random })) {
      if (!judge(look)) continue;
      count++;
      break;
    }
  }
  return count / EXPERIMENTS;
}

const isVerdict = (...verdicts: Verdict[]) => ([first, other]: Look) =>
  verdicts.includes(verdictOf(compareArms(first, other, PLAN), false));
const differs = isVerdict("better", "worse");

Deno.test("of 1,000 experiments without a difference, at most 5 % find one in a hundred looks", () => {
  for (const seed of [1, 2]) {
    assert.ok(convinced(differs, { shares: [0.1, 0.1], seed }) <= 0.05);
  }
  assert.ok(convinced(differs, { shares: [0.02, 0.02], seed: 3 }) <= 0.05, "another baseline than planned");
  assert.ok(convinced(differs, { shares: [0.1, 0.1], seed: 4, times: 3 }) <= 0.05, "longer than planned");
});

Deno.test("a small arm next to a large one, as the control share, misleads as rarely, and finds as much", () => {
  const first = 0.05;
  assert.ok(convinced(differs, { shares: [0.1, 0.1], first, seed: 10 }) <= 0.05);
  assert.ok(convinced(differs, { shares: [0.02, 0.02], first, seed: 11 }) <= 0.05);
  assert.ok(convinced(isVerdict("better"), { shares: [0.1, 0.14], first, seed: 12 }) >= 0.8);
});

Deno.test("late successes make no false ones", () => {
  assert.ok(convinced(differs, { shares: [0.1, 0.1], delay: 0.5, seed: 5 }) <= 0.05);
});

Deno.test("intervals for one time, looked at a hundred times, would find a difference far more often", () => {
  const overlap = ([first, other]: Look) => {
    if (first.users === 0 || other.users === 0) return false;
    const value = other.successes / other.users - first.successes / first.users;
    const rates = [first, other].map(({ users, successes }) => wilson(successes, users)!);
    const error = Math.hypot(...rates.map(({ low, high }) => (high - low) / 2));
    return Math.abs(value) > error;
  };
  assert.ok(convinced(overlap, { shares: [0.1, 0.1], seed: 1 }) > 0.2);
});

Deno.test("with the planned users a difference of the planned size is found with the planned probability", () => {
  assert.ok(convinced(isVerdict("better"), { shares: [0.1, 0.14], seed: 6 }) >= 0.8);
  assert.ok(convinced(isVerdict("worse"), { shares: [0.1, 0.06], seed: 7 }) >= 0.8);
  // The plan is not for far more users than are needed: half the difference is rarely found.
  assert.ok(convinced(isVerdict("better"), { shares: [0.1, 0.12], seed: 8 }) < 0.5);
});

Deno.test("minUsers() grows with the square of precision, with power, and with the number of comparisons", () => {
  const users = minUsers(PLAN);
  assert.equal(users, 1977);
  assert.ok(Math.abs(minUsers({ ...PLAN, minimum_effect: 0.02 }) / users - 4) < 0.4);
  assert.ok(minUsers({ ...PLAN, power: 0.9 }) > users);
  assert.ok(minUsers({ ...PLAN, alpha: 0.05 / 3 }) > users);
  const arms = (count: number) => Array.from({ length: count }, (_, n) => ({ name: `e/${n}` }));
  assert.deepEqual(planOf({ ...PLAN, arms: arms(2) }), PLAN);
  assert.equal(planOf({ ...PLAN, arms: arms(3) }).alpha, 0.025);
  assert.ok(minUsersOfSmallArm(PLAN) < 0.6 * users, "the other arm adds no variance");
});

Deno.test("compareArms() knows nothing without users, and little of few", () => {
  const none = { users: 0, successes: 0 };
  assert.equal(compareArms(none, { users: 9, successes: 1 }, PLAN), null);
  assert.equal(compareArms({ users: 9, successes: 1 }, none, PLAN), null);
  for (const users of [1, 2, 5, 8]) {
    const { low, high } = compareArms({ users, successes: 0 }, { users, successes: users }, PLAN)!;
    assert.ok(low < 0 || users > 5, `${users} users: ${low} – ${high}`);
    assert.ok(high <= 1);
  }
});

Deno.test("verdictOf() says no difference only after the planned users", () => {
  const around = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });
  assert.equal(verdictOf(around(0.2), false), "better");
  assert.equal(verdictOf(around(-0.2), true), "worse");
  assert.equal(verdictOf(around(0), false), "undecided");
  assert.equal(verdictOf(around(0), true), "no_difference");
  assert.equal(verdictOf(null, false), "undecided");
});

Deno.test("sizesDiffer() finds an arm that lost users, and takes chance for chance", () => {
  assert.equal(sizesDiffer([0, 0], 1_000), false);
  assert.equal(sizesDiffer([1_000, 1_050], 1_000), false);
  assert.equal(sizesDiffer([1_000, 700], 1_000), true);
  assert.equal(sizesDiffer([1_000, 1_000, 700], 1_000), true);
  const random = seededRandom(9);
  let found = 0;
  for (let i = 0; i < EXPERIMENTS; i++) {
    const users = [0, 0, 0];
    let differ = false;
    for (let user = 0; user < 3_000; user++) {
      users[Math.floor(3 * random())]!++;
      differ ||= user % 50 === 0 && sizesDiffer(users, 1_000);
    }
    if (differ) found++;
  }
  assert.ok(found <= 3, `${found} of ${EXPERIMENTS}`);
});
