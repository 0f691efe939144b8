import { counted } from "../../../lib/core/text.ts";
import type { SuppressedCampaign } from "../../../lib/recommend/suppressed_campaigns.ts";
import { Empty, Section, StoreUnavailable } from "../../components/layout.tsx";
import { Ago } from "../../components/time.tsx";
import { MAX_NAMED, type SuppressedCampaigns } from "./data.ts";

const CAUSES: Readonly<Record<SuppressedCampaign["by"], string>> = {
  conversion: "chosen",
  dismissal: "dismissed",
  mention: "named: users here name what they know already",
  negation: "not wanted, as the user said in this conversation",
};

/** Campaigns that are left out because of what the user did, each with the cause and when it may be shown again. */
export function Suppressed(
  { rows, campaigns: { value, error }, vetoes, now }: SuppressedCampaigns & { now: number },
) {
  const topics = vetoes.filter(({ of }) => of !== "campaign");
  const titles = new Map(value?.map((each) => [each.campaign_id, each.title]));
  return (
    <Section title="Left out" aside="dismissed, chosen already, known, or not wanted">
      {error !== null && <StoreUnavailable what="The analytics store" error={error} />}
      {rows.length + topics.length === 0 && (
        <Empty>No campaign is left out because of what this user did.</Empty>
      )}
      <ul class="plain">
        {topics.map(({ of, name, until }) => (
          <li>
            all of the {of} {name} <Cause by="negation" until={until} now={now} />
          </li>
        ))}
        {rows.slice(0, MAX_NAMED).map(({ campaign_id, by, until }) => (
          <li>
            {titles.get(campaign_id) ?? "a deleted campaign"} <code>{campaign_id}</code>{" "}
            <Cause by={by} until={until} now={now} />
          </li>
        ))}
      </ul>
      {rows.length > MAX_NAMED && <p class="muted">and {counted(rows.length - MAX_NAMED, "more campaign")}
      </p>}
    </Section>
  );
}

function Cause({ by, until, now }: Omit<SuppressedCampaign, "campaign_id"> & { now: number }) {
  return (
    <span class="muted">
      {CAUSES[by]}
      {until !== null && (
        <>
          ; may be shown again <Ago at={until} now={now} />
        </>
      )}
    </span>
  );
}
