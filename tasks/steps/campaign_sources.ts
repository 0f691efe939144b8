import { z } from "../../deps.ts";
import { iso } from "../../lib/core/clock.ts";
import { tryParseJson } from "../../lib/core/json.ts";
import { counted } from "../../lib/core/text.ts";
import type { Abortable, Campaign } from "../../lib/core/types.ts";
import type { Anomaly } from "../../lib/monitoring/anomaly.ts";
import { problemOf } from "../../lib/sources/row_problem.ts";
import { printable } from "../../lib/sources/source.ts";
import type { CampaignStore, ReleaseStore } from "../../lib/stores/analytics/port.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";
import type { IngestedSource } from "./ingest.ts";

const FILE = "campaign_sources.json";
/** Campaigns read or written at a time. */
const PAGE = 500;
/** Campaigns that a finding names. */
const EXAMPLES = 3;

const CAMPAIGN_SOURCES = z.object({
  /** Ids of the campaigns of each source, by its URI, as it last had any. */
  sources: z.record(z.string(), z.array(z.string())),
  /** Sources that had none at all when they were last read. */
  emptied: z.array(z.string()),
  /** Campaigns that were in a source, and are in none any more. */
  left: z.array(z.string()),
});

/** Which source each campaign comes from; a file of the data version. A catalogue is thousands of ids, so it is held in memory. */
type CampaignSources = z.infer<typeof CAMPAIGN_SOURCES>;

/**
 * Notes for the version after the published one which campaigns this run's sources have, and which have left. If it is so
 * set, those that left are ended, but none of a source without any campaign: that is more likely an accident.
 */
export async function updateCampaignSources(
  context: StepContext,
  ingested: readonly IngestedSource[],
): Promise<void> {
  const { services: { analytics, settings }, signal } = context;
  const version = (await analytics.published({ signal }))?.version ?? 0;
  const before = await readCampaignSources(analytics, { version, signal });
  const read = ingested.filter(isCatalogue);
  const sources: CampaignSources["sources"] = { ...before.sources };
  const emptied = new Set(before.emptied);
  for (const source of read) {
    const ids = await campaignIds(context, source);
    if (ids.length > 0) sources[source.uri] = ids;
    if (ids.length > 0 || sources[source.uri] === undefined) emptied.delete(source.uri);
    else emptied.add(source.uri);
  }
  const there = new Set(Object.values(sources).flat());
  const were = new Set([...before.left, ...Object.values(before.sources).flat()]);
  const left = [...were].filter((id) => !there.has(id)).sort();
  await saveCampaignSources(analytics, {
    version: version + 1,
    content: { sources, emptied: [...emptied], left },
    signal,
  });
  if (settings.missing_campaigns !== "end") return;
  const ended = await endCampaigns(context, left);
  if (ended > 0) context.log(`${counted(ended, "campaign")} ended, as no source has them any more`);
}

/** What comes by standard input is no source that could be read again. */
function isCatalogue({ kind, uri }: IngestedSource): boolean {
  return kind === "campaigns" && uri !== "stdin";
}

/** Also of rows that were refused: their campaigns have not left. */
async function campaignIds(
  { services: { artifacts } }: StepContext,
  { artifact }: IngestedSource,
): Promise<string[]> {
  const ids = new Set<string>();
  for await (const line of artifacts.readLines({ uri: artifact.uri })) {
    const row = tryParseJson(problemOf(line)?.row ?? line);
    const id = typeof row === "object" && row !== null && "campaign_id" in row ? row.campaign_id : null;
    if (typeof id === "string" || typeof id === "number") ids.add(String(id).trim());
  }
  return [...ids].sort();
}

async function endCampaigns(
  { services: { analytics }, signal }: StepContext,
  campaign_ids: readonly string[],
): Promise<number> {
  let ended = 0;
  for await (const page of storedPages(analytics, campaign_ids, { signal })) {
    const campaigns = page.filter(({ status }) => status !== "ended")
      .map((campaign): Campaign => ({ ...campaign, status: "ended" }));
    await analytics.upsertCampaigns({ campaigns, signal });
    ended += campaigns.length;
  }
  return ended;
}

/** The campaigns of the version after the published one that have left their source and are still shown; null without any. */
export async function findLeftCampaigns(
  { analytics, clock, settings }: Pick<Services, "analytics" | "clock" | "settings">,
  { signal }: Abortable,
): Promise<Anomaly | null> {
  const version = ((await analytics.published({ signal }))?.version ?? 0) + 1;
  const { sources, emptied, left } = await readCampaignSources(analytics, { version, signal });
  const full = Object.entries(sources).filter(([uri]) => !emptied.includes(uri));
  const there = new Set(full.flatMap(([, ids]) => ids));
  const gone = new Set([...left, ...emptied.flatMap((uri) => sources[uri] ?? [])]);
  const missing = [...gone].filter((id) => !there.has(id)).sort();
  const now = iso(clock.now());
  const shown: string[] = [];
  for await (const page of storedPages(analytics, missing, { signal })) {
    const active = page.filter(({ status, ends_at }) => status === "active" && (ends_at ?? now) >= now);
    shown.push(...active.map(({ campaign_id }) => campaign_id));
  }
  if (shown.length === 0) return null;
  const are = shown.length === 1 ? "is" : "are";
  return {
    code: "campaigns_left_source",
    severity: "warning",
    subject: { kind: "store", store: "analytics" },
    figure: shown.length,
    expected: 0,
    unit: "rows",
    since: now,
    run_id: null,
    text: `${counted(shown.length, "campaign")} ${are} in no source any more and still shown, such as ` +
      `${shown.slice(0, EXAMPLES).join(", ")}: ${remedy(emptied, settings.missing_campaigns)}`,
  };
}

function remedy(emptied: readonly string[], setting: "keep" | "end"): string {
  const accident = emptied.length === 0
    ? ""
    : `${printable(emptied[0]!)} has no campaigns any more: correct it if that is not meant; else `;
  const status = 'give them the status "ended" in a source';
  const end = setting === "end"
    ? ""
    : ", or set PARLEY_MISSING_CAMPAIGNS=end, which ends what leaves its source";
  return accident + status + end;
}

async function* storedPages(
  analytics: CampaignStore,
  campaign_ids: readonly string[],
  { signal }: Abortable,
): AsyncGenerator<Campaign[]> {
  for (let at = 0; at < campaign_ids.length; at += PAGE) {
    yield await analytics.campaigns({ campaign_ids: campaign_ids.slice(at, at + PAGE), signal });
  }
}

/** Gives a version the record of the one before, unless a run has noted its own for it. */
export async function carryCampaignSources(
  analytics: ReleaseStore,
  { version, signal }: { version: number } & Abortable,
): Promise<void> {
  if (await analytics.file({ version, name: FILE, signal }) !== null) return;
  const content = await readCampaignSources(analytics, { version: version - 1, signal });
  await saveCampaignSources(analytics, { version, content, signal });
}

async function readCampaignSources(
  analytics: ReleaseStore,
  { version, signal }: { version: number } & Abortable,
): Promise<CampaignSources> {
  const bytes = await analytics.file({ version, name: FILE, signal });
  const content = bytes === null ? null : tryParseJson(new TextDecoder().decode(bytes));
  return CAMPAIGN_SOURCES.safeParse(content).data ?? { sources: {}, emptied: [], left: [] };
}

async function saveCampaignSources(
  analytics: ReleaseStore,
  { version, content, signal }: { version: number; content: CampaignSources } & Abortable,
): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(content));
  await analytics.saveFile({ version, name: FILE, bytes, signal });
}
