import type { Config, Sources } from "../lib/config.ts";
import { paged } from "../lib/core/batches.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { type Message, parseModelKey } from "../lib/core/types.ts";
import { type Role, ROLES } from "../lib/move/part.ts";
import { markErased } from "../lib/recommend/answer_cache.ts";
import { openCache } from "../lib/stores/open.ts";
import type { RunStore } from "../lib/stores/runs/port.ts";
import type { VectorStore } from "../lib/stores/vectors/port.ts";
import type { Services } from "../tasks/services.ts";
import { readDerivation } from "../tasks/steps/derivation.ts";
import { buildVersion } from "../tasks/steps/derive.ts";
import { forEachModel } from "../tasks/steps/vector_store.ts";
import { publishVersion } from "../tasks/steps/publish.ts";
import { EXIT, warn } from "./exit.ts";
import { resetAll, resetStores } from "./reset_all.ts";
import { withRuns } from "./inspect.ts";
import { isSample, sampleFolder, sampleSources } from "./sample.ts";
import { openServices } from "./services.ts";

/** Messages that are read at a time. */
const PAGE = 500;

interface ResetOptions {
  readonly sample?: boolean;
  readonly all?: boolean;
  /** Names of stores, separated by commas. */
  readonly stores?: string;
  readonly yes?: boolean;
}

/** Takes data out: what the sample brought in, what these stores have, or everything. Returns the exit code. */
export async function reset(
  config: Config,
  { sample = false, all = false, stores, yes = false }: ResetOptions,
): Promise<number> {
  const roles = stores === undefined ? null : rolesOf(stores);
  if ([sample, all, roles !== null].filter(Boolean).length !== 1) {
    throw new ParleyError(
      "invalid",
      "choose the data to remove: --sample, --stores with their names, or --all, each but the first with --yes",
    );
  }
  try {
    await withRuns(config, async (runs) => {
      if (!sample) await refuseScheduler(runs);
      await refuseOpenRun(runs);
    });
  } catch (error) {
    // A damaged store can be reset, too.
    if (!(!sample && yes && error instanceof ParleyError && error.code === "unavailable")) {
      throw error;
    }
    warn(`it is unknown whether a run is in progress: ${error.message}`);
  }
  if (sample) return await resetSample(config);
  return roles === null ? await resetAll(config, yes) : await resetStores(config, roles, yes);
}

function rolesOf(text: string): Role[] {
  return text.split(",").map((name) => {
    const role = ROLES.find((role) => role === name.trim());
    if (role !== undefined) return role;
    throw new ParleyError("invalid", `--stores takes one or more of ${ROLES.join(",")}`);
  });
}

/** A Parley that is running would answer from files that are gone, and write new ones. Only a scheduler is noticed. */
async function refuseScheduler(runs: RunStore): Promise<void> {
  const leader = await runs.leader();
  if (leader === null || Date.parse(leader.live_until) <= systemClock.now()) return;
  throw new ParleyError(
    "conflict",
    `a scheduler is running on these data (${leader.owner}): stop Parley first; if it was killed, its lease ends at ${leader.live_until}`,
  );
}

async function refuseOpenRun(runs: RunStore): Promise<void> {
  const open = await runs.runs({ states: ["queued", "running"], limit: 100 });
  const openRun = open.find(({ trigger }) => trigger !== "external");
  if (openRun === undefined) return;
  throw new ParleyError(
    "conflict",
    `run ${openRun.run_id} has not ended; let it end with \`deno task pipeline work\` first`,
  );
}

async function resetSample(config: Config): Promise<number> {
  await using opened = await openServices(config);
  const services = opened.value;
  const sources = sampleSources();
  const all = {
    user_ids: idsOf([...sources.messages, ...sources.events], "user_id"),
    campaign_ids: idsOf(sources.campaigns, "campaign_id"),
  };
  const own = await findOwn(services, sources, all);
  const user_ids = all.user_ids.filter((id) => !own.user_ids.has(id));
  const campaign_ids = all.campaign_ids.filter((id) => !own.campaign_ids.has(id));
  const campaigns = await services.analytics.campaigns({ campaign_ids });
  const messages = await erase(services, { user_ids, campaign_ids });
  const uris = (await services.analytics.sources()).map(({ uri }) => uri).filter(isSample);
  const hadSample = messages + campaigns.length + uris.length > 0;
  if (hadSample) {
    await services.analytics.forgetSources({ uris });
    await republish(services);
    await markErasedIn(config, user_ids);
  }
  await Deno.remove(sampleFolder(config.data), { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  console.log(
    hadSample
      ? `${messages} messages of ${user_ids.length} sample users and ${campaigns.length} campaigns are removed.`
      : "The stores have no data of the sample.",
  );
  const foreignIds = [...own.user_ids, ...own.campaign_ids];
  if (foreignIds.length === 0) return EXIT.ok;
  warn(`these have rows that are not the sample's, and stay: ${foreignIds.join(", ")}`);
  return EXIT.partial;
}

/** People and campaigns that share an id with the sample's and have rows or words that are not the sample's. */
async function findOwn(
  { documents, analytics }: Services,
  sources: Sources,
  { user_ids, campaign_ids }: { user_ids: readonly string[]; campaign_ids: readonly string[] },
): Promise<{ user_ids: Set<string>; campaign_ids: Set<string> }> {
  const [messages, events] = [idsOf(sources.messages, "message_id"), idsOf(sources.events, "event_id")];
  const titles = new Set(idsOf(sources.campaigns, "title"));
  const own = { user_ids: new Set<string>(), campaign_ids: new Set<string>() };
  const ofSample = new Set([...messages, ...events]);
  const page = (after: string | null, limit: number) => documents.page({ after, limit, user_ids });
  for await (const { message_id, user_id } of paged(PAGE, (row: Message) => row.message_id, page)) {
    if (!ofSample.has(message_id)) own.user_ids.add(user_id);
  }
  // One more than the sample has, so the result includes an event that is not the sample's.
  for (const { event_id, user_id } of await analytics.eventsOf({ user_ids, limit: events.length + 1 })) {
    if (!ofSample.has(event_id)) own.user_ids.add(user_id);
  }
  for (const { campaign_id, title } of await analytics.campaigns({ campaign_ids })) {
    if (!titles.has(title)) own.campaign_ids.add(campaign_id);
  }
  return own;
}

/** Answers that other processes have cached end by that too. */
async function markErasedIn({ cache: url }: Config, user_ids: string[]): Promise<void> {
  const cache = await openCache(url);
  try {
    await markErased({ cache, user_ids });
  } finally {
    await cache.close();
  }
}

/** Publishes the remaining data, with the published model. */
async function republish(services: Services): Promise<void> {
  const published = await services.analytics.published();
  if (published === null) return;
  const model = parseModelKey(published.model);
  // Only popularity is derived here: the published data of users are still valid.
  const before = await readDerivation(services, published, {});
  const derivation = before && { ...before, half_life_days: services.settings.half_life_days };
  const { version } = await buildVersion(services, await services.vectors.forModel({ model }), {
    derivation,
  });
  await publishVersion(services, { version, model, run_id: "reset", sources: [], log: warn });
}

async function erase(
  { documents, analytics, vectors, graph }: Services,
  { user_ids, campaign_ids }: { user_ids: string[]; campaign_ids: string[] },
): Promise<number> {
  const messages = await documents.deleteUsers({ user_ids });
  const eraseFrom = async (store: Pick<VectorStore, "deleteUsers" | "deleteCampaigns">) => {
    await store.deleteUsers({ user_ids });
    await store.deleteCampaigns({ campaign_ids });
  };
  for (const store of [analytics, graph]) await eraseFrom(store);
  const published = (await analytics.published())?.model;
  await forEachModel({ vectors, published, log: warn }, eraseFrom);
  return messages;
}

function idsOf(paths: readonly string[], key: string): string[] {
  const rows = paths.flatMap((path) => Deno.readTextFileSync(path).split("\n").filter((line) => line !== ""));
  return [...new Set(rows.map((line): string => JSON.parse(line)[key]))];
}
