import { createHash } from "../../deps.ts";
import type { Sources } from "./answer.ts";

/** A part of the users, to whom answers are made in one way, so that ways can be compared. */
export interface Arm {
  /** Unique among all arms, as in answers and their ids. */
  readonly name: string;
  /** Weights in place of those of the data version. */
  readonly weights?: Sources;
}

/** The arm of users in no other, and of conversations without a stored user. */
export const DEFAULT_ARM: Arm = Object.freeze({ name: "default" });

/** The arm whose users get the popular campaigns, whatever is known of them. */
export const CONTROL_ARM: Arm = Object.freeze({
  name: "control",
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

/** What the hash of the control share is of; another text would put other users into it. */
const CONTROL = "parley.control.v1";

/**
 * Which arm a user is in. It depends on the user's id and the settings alone, so it is the same in every process, after a restart, and in
 * a store that was moved. The hash has no secret: a change of `PARLEY_SECRET` must not move users, an analyst with the ids can
 * compute the arms elsewhere, and ids are given by the operator's systems, not chosen by users.
 */
export class Arms {
  /** `control_share` is the share of users in {@link CONTROL_ARM}, 0..1. */
  constructor(private readonly options: { readonly control_share: number }) {}

  /** The arm of a user; null is for no stored user. */
  of(user_id: string | null): Arm {
    const { control_share } = this.options;
    if (user_id === null || control_share === 0) return DEFAULT_ARM;
    return position([CONTROL, user_id]) < control_share ? CONTROL_ARM : DEFAULT_ARM;
  }
}

/** A number that is spread evenly over 0 ≤ x < 1 for different texts, independent for each first text. */
function position(texts: readonly [string, string]): number {
  return createHash("sha256").update(JSON.stringify(texts)).digest().readUIntBE(0, 6) / 2 ** 48;
}
