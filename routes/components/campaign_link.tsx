import type { Column } from "./table.tsx";

interface LinkedCampaign {
  readonly campaign_id: string;
  readonly title: string;
}

/** A campaign's title as a link to its page. */
export function CampaignLink({ campaign: { campaign_id, title } }: { campaign: LinkedCampaign }) {
  return <a href={`/campaigns/${encodeURIComponent(campaign_id)}`}>{title}</a>;
}

/** A column of campaigns as links, with their ids. */
export function campaignColumn<Row extends { readonly campaign: LinkedCampaign }>(): Column<Row> {
  return {
    key: "campaign",
    head: "Campaign",
    cell: ({ campaign }) => (
      <>
        <CampaignLink campaign={campaign} /> <code class="muted">{campaign.campaign_id}</code>
      </>
    ),
    by: ({ campaign }) => campaign.title,
  };
}
