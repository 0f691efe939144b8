import type { ParleyError } from "../../lib/core/errors.ts";
import { type Abortable, parseModelKey } from "../../lib/core/types.ts";
import { readStoredSource } from "../../lib/intents/classifier_store.ts";
import { earlierSnapshots } from "../../lib/data_checks/publish_gate.ts";
import { campaignsSincePublished } from "../../lib/recommend/catalogue_epoch.ts";
import { countStores, lostRows } from "../../lib/data_checks/store_snapshot.ts";
import type { VectorStore } from "../../lib/stores/vectors/port.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";
import { findSettingsChanges, readDerivation } from "./derivation.ts";
import { openStore } from "./vector_store.ts";

/**
 * Whether a run that has read nothing new still has something to do; the reason is logged. Throws `unknown`, which says that
 * a store cannot be read, if that would have to be known, and `Fail` if another model is set than answers come from.
 */
export async function hasPendingWork(
  context: StepContext,
  { check, unknown }: { check: string; unknown: ParleyError | null },
): Promise<boolean> {
  const { services, signal } = context;
  await refuseOtherModel(context);
  if (await isUnpublished(context)) {
    context.log("nothing is published although rows are stored: this run publishes them");
    return true;
  }
  if (await hasTouched(context)) return true;
  const changed = await campaignsSincePublished(services.analytics, { signal });
  if (changed.length > 0) {
    context.log("campaigns were written since the last publish: this run builds indexes with them");
    return true;
  }
  const changes = await findSettingsChanges(services, { signal });
  for (const { reason } of changes) context.log(reason);
  if (changes.length > 0) return true;
  if (await hasStaleIntents(context)) {
    context.log(
      "the catalogue or the model has changed since the intents were learnt: this run learns them again",
    );
    return true;
  }
  if (unknown !== null) throw unknown;
  const lost = await findLosses(context, check);
  if (lost.length > 0) {
    const what = lost.map(({ reason }) => reason).join("; ");
    context.log(`rows are gone since the last check, so this run checks again: ${what}`);
  }
  if (lost.some(({ users }) => users)) {
    context.log("all users are derived again");
    for (const store of [services.documents, services.analytics]) await store.markAllDirty({ signal });
  }
  return lost.length > 0;
}

/**
 * Throws `Fail` if another model is set than answers come from: its vectors need a run of their own, which the error names. The
 * model is opened only if its name or its way with long texts has changed, as that may take seconds.
 */
async function refuseOtherModel(context: StepContext): Promise<void> {
  const { services, signal } = context;
  const published = await services.analytics.published({ signal });
  if (published === null) return;
  const before = await readDerivation(services, published, { signal });
  const { model, embed_long } = services.settings;
  if (before?.model === model && before.embed_long === embed_long) return;
  await openStore(context, (await services.embedder()).model);
}

/** Whether there is what could be published, and nothing is: rows that were written over HTTP, or sources, which are recorded with the publish that they led to. */
async function isUnpublished({ services, signal }: StepContext): Promise<boolean> {
  const { analytics } = services;
  if (await analytics.published({ signal }) !== null) return false;
  return (await analytics.sources({ signal })).length > 0 || await hasRows(services, { signal });
}

/** Whether any message, event or campaign is stored. */
export async function hasRows(
  { documents, analytics }: Pick<Services, "documents" | "analytics">,
  options: Abortable = {},
): Promise<boolean> {
  const { messages } = await documents.counts(options);
  if (messages > 0) return true;
  const { campaigns, events } = await analytics.counts(options);
  return campaigns + events > 0;
}

/** Whether an earlier run left users from whom nothing has been derived yet. */
async function hasTouched({ services, signal }: StepContext): Promise<boolean> {
  for (const store of [services.documents, services.analytics]) {
    if ((await store.listDirtyUsers({ after: null, limit: 1, signal })).length > 0) return true;
  }
  return false;
}

/** Whether the intents were learnt from another catalogue than there is now, or by another model than is published. */
async function hasStaleIntents({ services, signal }: StepContext): Promise<boolean> {
  const { analytics, documents, catalogue } = services;
  const published = await analytics.published({ signal });
  if (published === null) return false;
  const wanted = await catalogue({ sources: (await analytics.sources({ signal })).map(({ uri }) => uri) });
  if (wanted === null) return false;
  const kept = await readStoredSource({ documents, signal });
  return kept?.catalogue !== wanted.version || kept.model !== published.model;
}

/** Rows that are gone, and whether deriving all users again brings them back. */
interface Loss {
  readonly reason: string;
  readonly users: boolean;
}

/** Rows of the graph that no check fails for, as they may be none: what users want is derived from their messages. */
const DERIVED: ReadonlySet<string> = new Set(["expressed", "led_to", "targets"]);

/** What there is less of than when this dag last passed its task `check`, and what is published without the rows that it is made of. */
async function findLosses({ services, run, signal }: StepContext, check: string): Promise<Loss[]> {
  const { documents, analytics, graph, runs, clock } = services;
  const published = await analytics.published({ signal });
  if (published === null) return [];
  const { dag_id, run_id } = run;
  const which = { dag_id, run_id, task_id: check, now: clock.now() };
  const before = (await earlierSnapshots({ runs, published, ...which })).at(-1)?.stores;
  if (before === undefined) return [];
  const vectors = await services.vectors.forModel({ model: parseModelKey(published.model), signal });
  const now = await countStores({ documents, analytics, vectors, graph }, { signal });
  const losses = lostRows(before, now).map(({ store, name, left, expected }) => ({
    reason: `${store} has ${left} of ${expected} ${name}`,
    users: store === "graph" && DERIVED.has(name),
  }));
  const first = { limit: 1, signal };
  if (now.analytics.campaigns > 0 && (await analytics.popular({ ...published, ...first })).length === 0) {
    losses.push({ reason: "analytics has no popularity of what is published", users: false });
  }
  if (await hasNoWords(services, vectors, { signal })) {
    losses.push({ reason: "analytics has no words of what users said", users: true });
  }
  return losses;
}

/** Users in whom lost words show. */
const SAMPLE = 100;

/** Whether the words of users are gone, which are set together with their profiles. */
async function hasNoWords(
  { documents, analytics }: Services,
  vectors: VectorStore,
  { signal }: Abortable,
): Promise<boolean> {
  const messages = await documents.page({ after: null, limit: SAMPLE, signal });
  const ids = [...new Set(messages.map(({ user_id }) => user_id))];
  const [user_id] = (await vectors.get({ collection: "profiles", ids, signal })).keys();
  return user_id !== undefined && await analytics.profileWords({ user_id, signal }) === null;
}

/**
 * Whether messages keep what a classifier made of them although no catalogue is set any more. A catalogue that cannot be read fails
 * the task that classifies, which says why.
 */
export async function keepsOldIntents(
  { services: { documents, analytics, catalogue }, signal }: StepContext,
): Promise<boolean> {
  if (await documents.classifier({ signal }) === null) return false;
  const sources = (await analytics.sources({ signal })).map(({ uri }) => uri);
  const isSet = await catalogue({ sources }).then((found) => found !== null, () => true);
  return !isSet && (await documents.classifierCounts({ signal })).length > 0;
}
