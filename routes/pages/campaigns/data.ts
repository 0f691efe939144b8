import { wordsOf } from "../../../lib/core/text.ts";
import type { Campaign } from "../../../lib/core/types.ts";
import { type CampaignPage, readCampaignPage } from "../../../lib/recommend/campaign_page.ts";
import type { PageContext } from "../../http/page.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";

const PER_PAGE = 50;
export const STATUSES = ["active", "paused", "ended"] as const satisfies readonly Campaign["status"][];

/** What the form asks for; "" and undefined ask for everything. */
export interface CampaignQuery {
  readonly q: string;
  readonly category: string;
  readonly status: Campaign["status"] | undefined;
  /** The campaign that the page begins after. */
  readonly after: string | null;
}

export function queryOf({ searchParams }: URL): CampaignQuery {
  const text = (name: string) => searchParams.get(name)?.trim() ?? "";
  return {
    q: text("q"),
    category: text("category"),
    status: STATUSES.find((each) => each === searchParams.get("status")),
    after: searchParams.get("from"),
  };
}

export function readCampaigns(
  { stores: { analytics } }: PageContext,
  { q, category, status, after }: CampaignQuery,
): Promise<ReadResult<CampaignPage>> {
  const words = wordsOf(q);
  const search = { words, status, category: category === "" ? undefined : category };
  return tryRead(() => readCampaignPage({ analytics, search, after, limit: PER_PAGE }));
}
