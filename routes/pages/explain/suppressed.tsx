import { counted } from "../../../lib/core/text.ts";
import type { Campaign } from "../../../lib/core/types.ts";
import type { SuppressedCampaign } from "../../../lib/recommend/suppressed.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";
import type { PageContext } from "../../http/page.ts";
import { Empty, Section } from "../../components/layout.tsx";
import { Ago } from "../../components/time.tsx";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";

/** Campaigns named; the rest are counted. */
const MAX_NAMED = 50;

export interface SuppressedCampaigns {
  readonly rows: readonly SuppressedCampaign[];
  readonly campaigns: ReadResult<Campaign[]>;
}

export async function readSuppressedCampaigns(
  { stores }: PageContext,
  rows: readonly SuppressedCampaign[],
): Promise<SuppressedCampaigns> {
  const campaign_ids = rows.slice(0, MAX_NAMED).map(({ campaign_id }) => campaign_id);
  return { rows, campaigns: await tryRead(() => stores.analytics.campaigns({ campaign_ids })) };
}

const BY: Readonly<Record<SuppressedCampaign["by"], string>> = {
  conversion: "chosen",
  dismissal: "dismissed",
  mention: "named, as users here name what they know",
};

/** What is left out for what the user did, why, and when it may be shown again. */
export function Suppressed(
  { rows, campaigns: { value, error }, now }: SuppressedCampaigns & { now: number },
) {
  const titles = new Map(value?.map((each) => [each.campaign_id, each.title]));
  return (
    <Section title="Left out" aside="dismissed, chosen already, or known">
      {error !== null && <StoreUnavailable what="The analytics store" error={error} />}
      {rows.length === 0 && <Empty>Nothing: no campaign is left out for what this user did.</Empty>}
      <ul class="plain">
        {rows.slice(0, MAX_NAMED).map(({ campaign_id, by, until }) => (
          <li>
            {titles.get(campaign_id) ?? "a campaign that is gone"} <code>{campaign_id}</code>{" "}
            <span class="muted">
              {BY[by]}
              {until !== null && (
                <>
                  ; may be shown again <Ago at={until} now={now} />
                </>
              )}
            </span>
          </li>
        ))}
      </ul>
      {rows.length > MAX_NAMED && <p class="muted">and {counted(rows.length - MAX_NAMED, "more campaign")}
      </p>}
    </Section>
  );
}
