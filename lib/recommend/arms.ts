import { sha256 } from "../core/hash.ts";
import { type Source, SOURCES, type Sources } from "./answer.ts";

/** A part of the users, to whom answers are made in one way, so that ways can be compared. */
export interface Arm {
  /** Unique among all arms, as in answers and their ids. */
  readonly name: string;
  /** Weights in place of those of the data version. */
  readonly weights?: Sources;
  /** The sources whose weights of the data version count, popularity among them in any case; default: all. */
  readonly sources?: readonly Source[];
  /** Default of the request's `diversity`. */
  readonly diversity?: number;
  /** False if its answers have no slots for campaigns that were hardly shown. Default true. */
  readonly explores?: false;
}

/** Arms of equal size that a share of the users is in for a time, chosen by chance. */
export interface ArmSplit {
  readonly id: string;
  /** ISO time of its start; null if it has always been. */
  readonly starts_at: string | null;
  /** ISO time of its end, at which it is over; null for never. */
  readonly ends_at: string | null;
  /** 0..1, of the users outside the control arm. */
  readonly share: number;
  readonly arms: readonly Arm[];
}

/** The arm of users in no other, and of conversations without a stored user. */
export const DEFAULT_ARM: Arm = Object.freeze({ name: "default" });

/** The arm whose users get the popular campaigns, whatever is known of them. */
export const CONTROL_ARM: Arm = Object.freeze({
  name: "control",
  // What others are compared with is popularity alone.
  explores: false,
  weights: Object.freeze({
    mention: 0,
    similar_conversations: 0,
    wording: 0,
    co_engagement: 0,
    intent: 0,
    similarity: 0,
    popularity: 1,
  }),
});

/** Each begins what a hash is of; another text would put other users into an arm. */
const CONTROL = "parley.control.v1";
const SHARE = "parley.share.v1";
const ARM = "parley.arm.v1";

/**
 * Which arm a user is in. It depends on the user's id and the settings alone, so it is the same in every process, after a restart, and in
 * a store that was moved. The hash has no secret: a change of `PARLEY_SECRET` must not move users, an analyst with the ids can
 * compute the arms elsewhere, and ids are given by the operator's systems, not chosen by users.
 */
export class Arms {
  /** `control_share` is the share of users in {@link CONTROL_ARM}, 0..1. Of `splits` no two may be at the same time. */
  constructor(
    private readonly options: { readonly control_share: number; readonly splits?: readonly ArmSplit[] },
  ) {}

  /** The arm of a user at this time in epoch milliseconds; null is for no stored user. */
  of(user_id: string | null, now: number): Arm {
    const { control_share, splits = [] } = this.options;
    if (user_id === null) return DEFAULT_ARM;
    if (control_share > 0 && position([CONTROL, user_id]) < control_share) return CONTROL_ARM;
    const split = splits.find((split) => isRunning(split, now));
    if (split === undefined || position([SHARE, split.id, user_id]) >= split.share) return DEFAULT_ARM;
    return split.arms[Math.floor(split.arms.length * position([ARM, split.id, user_id]))]!;
  }
}

/** Whether a split is in progress at this time in epoch milliseconds. */
function isRunning({ starts_at, ends_at }: ArmSplit, now: number): boolean {
  return (starts_at === null || Date.parse(starts_at) <= now) &&
    (ends_at === null || now < Date.parse(ends_at));
}

/** What counts in an arm, given the weights of the data version. */
export function weightsIn({ weights, sources }: Arm, ofVersion: Sources): Sources {
  if (weights !== undefined || sources === undefined) return weights ?? ofVersion;
  const counts = (source: Source) => source === "popularity" || sources.includes(source);
  const entries = SOURCES.map((source) => [source, counts(source) ? ofVersion[source] : 0]);
  return Object.fromEntries(entries) as unknown as Sources;
}

/** A number that is spread evenly over 0 ≤ x < 1 for different texts, and independent of that for other texts. */
function position(texts: readonly string[]): number {
  return parseInt(sha256(JSON.stringify(texts)).slice(0, 12), 16) / 2 ** 48;
}
