/** A campaign's title as a link to its page. */
export function CampaignLink(
  { campaign: { campaign_id, title } }: {
    campaign: { readonly campaign_id: string; readonly title: string };
  },
) {
  return <a href={`/campaigns/${encodeURIComponent(campaign_id)}`}>{title}</a>;
}
