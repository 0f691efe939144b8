import { iso } from "../../../lib/core/clock.ts";
import { parseId } from "../../../lib/schema/ids.ts";
import type { Campaign } from "../../../lib/core/types.ts";
import { isShowable } from "../../../lib/recommend/showable.ts";
import { Figure, Figures, Section, StoreUnavailable } from "../../components/layout.tsx";
import { Ago } from "../../components/time.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { totalOf } from "../engagement/data.ts";
import { ByDay, ByStrategy, daysOf, Spans, Totals } from "../engagement/parts.tsx";
import { noCampaign, readAudience, readCampaign, readEngagement, readSimilar } from "./data.ts";
import { AudienceParts, Fields, Similar } from "./parts.tsx";

/** `GET /campaigns/:campaign_id?days=30`, for a browser: one campaign, who sees it, why, and how it does. */
export async function campaign(request: PageRequest): Promise<View> {
  const { context, url, now } = request;
  const campaign_id = parseId("campaign_id", request.http.req.param("campaign_id")!);
  const days = daysOf(url);
  const found = await readCampaign(context, campaign_id);
  if (found.value === null) {
    const body = (
      <Section title="Campaign">
        <StoreUnavailable what="The analytics store" error={found.error} />
      </Section>
    );
    return { title: "Campaign", body };
  }
  const { row, version } = found.value;
  if (row === null) throw noCampaign();
  const [engagement, audience, similar] = await Promise.all([
    readEngagement(context, { campaign_id, days, now }),
    readAudience(context, row.campaign),
    readSimilar(context, campaign_id),
  ]);
  return {
    title: row.campaign.title,
    body: (
      <>
        <NotShown campaign={row.campaign} now={now} />
        <Figures>
          <Figure
            name="Popularity"
            value={row.stats?.popularity.toFixed(2) ?? "–"}
            note={version === null ? "nothing is published yet" : `data version ${version}; the best is 1`}
          />
          <Figure name="Status" value={row.campaign.status} />
        </Figures>
        <Section
          title="Campaign"
          aside={
            <a href={`/campaigns?${new URLSearchParams({ category: row.campaign.category ?? "" })}`}>
              {row.campaign.category === null ? "all campaigns" : "its category"}
            </a>
          }
        >
          <Fields campaign={row.campaign} />
        </Section>
        <AudienceParts url={url} audience={audience} />
        <Spans url={url} days={days} />
        {engagement.value === null
          ? (
            <Section title="Engagement">
              <StoreUnavailable what="The analytics store" error={engagement.error} />
            </Section>
          )
          : (
            <>
              <Totals total={totalOf(engagement.value.days)} />
              <ByDay url={url} days={engagement.value.days} />
              <ByStrategy url={url} strategies={engagement.value.strategies} />
            </>
          )}
        <Similar url={url} similar={similar} />
      </>
    ),
  };
}

function NotShown({ campaign, now }: { campaign: Campaign; now: number }) {
  if (isShowable(campaign, iso(now))) return null;
  const { status, starts_at, ends_at } = campaign;
  return (
    <p class="warning" role="note">
      It is not shown now:{" "}
      {status !== "active" ? `it is ${status}` : starts_at !== null && Date.parse(starts_at) > now
        ? (
          <>
            it starts <Ago at={starts_at} now={now} />
          </>
        )
        : (
          <>
            it ended <Ago at={ends_at!} now={now} />
          </>
        )}.
    </p>
  );
}
