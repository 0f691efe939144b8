import { z } from "../../deps.ts";
import type { Campaign } from "../core/types.ts";
import { id, ids } from "./ids.ts";
import { expected } from "./issues.ts";
import { metadata } from "./metadata.ts";
import { storable, text } from "./text.ts";
import { endTime, startTime } from "./time.ts";

const MAX_TITLE_CHARACTERS = 1_024;
const MAX_DESCRIPTION_CHARACTERS = 65_536;
/** A hundred years. */
const MAX_REPURCHASE_DAYS = 36_500;
const REPURCHASE_RULE = `a number of days from 0 to ${MAX_REPURCHASE_DAYS}`;
const STATUSES = ["active", "paused", "ended"] as const;

/** The fields of a campaign as it comes in; only `campaign_id` and `title` are needed. */
export const campaignFields = z.object({
  campaign_id: id,
  title: text(MAX_TITLE_CHARACTERS),
  description: z.string(expected("a string"))
    .max(MAX_DESCRIPTION_CHARACTERS, `is longer than ${MAX_DESCRIPTION_CHARACTERS} characters`).nullish(),
  aliases: ids,
  intents: ids,
  category: id.nullish(),
  tags: ids,
  starts_at: startTime.nullish(),
  ends_at: endTime.nullish(),
  status: z.enum(STATUSES, expected(`one of ${STATUSES.join(", ")}`)).nullish(),
  repurchase_days: z.number(expected(REPURCHASE_RULE)).min(0, `is not ${REPURCHASE_RULE}`)
    .max(MAX_REPURCHASE_DAYS, `is not ${REPURCHASE_RULE}`).nullish(),
  metadata,
});

export const campaignInput = campaignFields.refine(endsAfterStart, {
  path: ["ends_at"],
  message: "is before starts_at",
});

export const campaignSchema = campaignInput.transform((input): Campaign => ({
  campaign_id: input.campaign_id,
  title: input.title,
  description: input.description?.trim() ? storable(input.description) : null,
  aliases: input.aliases,
  intents: input.intents,
  category: input.category ?? null,
  tags: input.tags,
  starts_at: input.starts_at ?? null,
  ends_at: input.ends_at ?? null,
  status: input.status ?? "active",
  repurchase_days: input.repurchase_days ?? null,
  metadata: input.metadata ?? null,
}));

/** Canonical times compare as text. */
function endsAfterStart(
  options: { starts_at?: string | null | undefined; ends_at?: string | null | undefined },
) {
  return options.starts_at == null || options.ends_at == null || options.starts_at <= options.ends_at;
}
