import { yieldToEventLoop } from "../../../lib/core/abort.ts";
import { ParleyError } from "../../../lib/core/errors.ts";
import type { Campaign } from "../../../lib/core/types.ts";
import { type Reason, type Source, SOURCES } from "../../../lib/recommend/answer.ts";
import { type CampaignWithStats, withStats } from "../../../lib/recommend/campaign_page.ts";
import type { Recommender } from "../../../lib/recommend/recommender.ts";
import type { PageContext } from "../../http/page.ts";
import { cachedRead, type ReadResult, tryRead } from "../../http/try_read.ts";
import { type EngagementData, everyDay, spanOf, withRate } from "../engagement/data.ts";

const MAX_STRATEGIES = 20;
const SIMILAR = 8;
/** Events whose users are looked at, the newest; of these users so many, for so long at most. */
const MAX_EVENTS = 400;
const MAX_USERS = 40;
const MAX_AUDIENCE_MS = 1_500;
const MAX_INTENTS = 10;
/** Items of an answer, as the API gives them by default. */
const K = 10;
const AUDIENCE_TTL_MS = 60_000;

/** The campaign with its stats; null if the catalogue does not have it. */
export function readCampaign(
  { stores: { analytics } }: PageContext,
  campaign_id: string,
): Promise<ReadResult<{ version: number | null; row: CampaignWithStats | null }>> {
  return tryRead(async () => {
    const [published, campaigns] = await Promise.all([
      analytics.published(),
      analytics.campaigns({ campaign_ids: [campaign_id] }),
    ]);
    const [row = null] = await withStats(campaigns, { analytics, published });
    return { version: published?.version ?? null, row };
  });
}

/** Its engagement of the last `days` UTC days, with today. */
export function readEngagement(
  context: PageContext,
  { campaign_id, days, now }: { campaign_id: string; days: number; now: number },
): Promise<ReadResult<Pick<EngagementData, "days" | "strategies">>> {
  const { stores: { analytics } } = context;
  return tryRead(async () => {
    const span = { ...spanOf(days, now), campaign_id };
    const [daily, strategies] = await Promise.all([
      analytics.daily(span),
      analytics.byStrategy({ ...span, limit: MAX_STRATEGIES }),
    ]);
    return { days: everyDay(daily, { days, now }), strategies: strategies.map(withRate) };
  });
}

export type SimilarList = Awaited<ReturnType<Recommender["similar"]>>;

export function readSimilar(
  { recommender }: PageContext,
  campaign_id: string,
): Promise<ReadResult<SimilarList>> {
  return tryRead(() => recommender.similar({ campaign_id, k: SIMILAR }));
}

/** What answers to the users of a campaign's newest events have in common. It names none of them. */
export interface Audience {
  readonly users: number;
  /** Those in whose answer it is now, and its mean position there, from 1; null if there are none. */
  readonly shown: number;
  readonly position: number | null;
  /** Those who are not shown it because of what they did. */
  readonly left_out: number;
  /** The intents that most of these users expressed, with how many did. */
  readonly intents: readonly {
    readonly intent: string;
    readonly users: number;
    readonly targeted: boolean;
  }[];
  /** The mean value of each source, over those to whom it is shown. */
  readonly sources: readonly { readonly source: Source; readonly value: number }[];
  /** The reasons that they are given, the most frequent first. */
  readonly reasons: readonly { readonly code: Reason["code"]; readonly users: number }[];
}

/** Computes answers, so it is read once a minute at most. */
export function readAudience(context: PageContext, campaign: Campaign): Promise<ReadResult<Audience>> {
  const name = `audience of ${campaign.campaign_id}`;
  return cachedRead(context, name, () => computeAudience(context, campaign), { ttl: AUDIENCE_TTL_MS });
}

async function computeAudience(
  { stores: { analytics }, recommender }: PageContext,
  { campaign_id, intents }: Campaign,
): Promise<Audience> {
  const deadline = performance.now() + MAX_AUDIENCE_MS;
  const recent = await analytics.recentUsers({ campaign_id, limit: MAX_EVENTS });
  let [users, shown, left_out, positions] = [0, 0, 0, 0];
  const byIntent = new Map<string, number>();
  const byReason = new Map<Reason["code"], number>();
  const sums = new Map<Source, number>(SOURCES.map((source) => [source, 0]));
  for (const user_id of recent.slice(0, MAX_USERS)) {
    if (performance.now() > deadline) break;
    await yieldToEventLoop();
    const { answer, provenance, failures } = await recommender.explain({ user_id, k: K });
    for (const error of failures.values()) throw error;
    users++;
    for (const { intent } of provenance?.intents ?? []) add(byIntent, intent);
    if (provenance?.suppressed.some((each) => each.campaign_id === campaign_id)) left_out++;
    const position = answer.items.findIndex((item) => item.campaign_id === campaign_id);
    if (position < 0) continue;
    shown++;
    positions += position + 1;
    const item = answer.items[position]!;
    for (const { code } of item.reasons) add(byReason, code);
    for (const source of SOURCES) sums.set(source, sums.get(source)! + item.sources[source]);
  }
  const targeted = new Set(intents);
  return {
    users,
    shown,
    position: shown === 0 ? null : positions / shown,
    left_out,
    intents: sorted(byIntent).slice(0, MAX_INTENTS)
      .map(([intent, users]) => ({ intent, users, targeted: targeted.has(intent) })),
    sources: shown === 0 ? [] : SOURCES.map((source) => ({ source, value: sums.get(source)! / shown })),
    reasons: sorted(byReason).map(([code, users]) => ({ code, users })),
  };
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function sorted<Key>(counts: ReadonlyMap<Key, number>): [Key, number][] {
  return [...counts].sort(([, a], [, b]) => b - a);
}

/** The error of a campaign that is not in the catalogue. */
export function noCampaign(): ParleyError {
  return new ParleyError("not_found", "the catalogue has no campaign with this id");
}
