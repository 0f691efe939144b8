import type { ParleyError } from "../../lib/core/errors.ts";
import { parseModelKey } from "../../lib/core/types.ts";
import type { TaskContext } from "../../lib/dag/types.ts";
import { keptFrom } from "../../lib/intents/kept.ts";
import { CHECK_TASK } from "../../lib/quality/findings.ts";
import { earlierSurveys } from "../../lib/quality/gate.ts";
import { countStores, lostRows } from "../../lib/quality/survey.ts";
import type { Services } from "../services.ts";
import { findSettingsChanges, readDerivation } from "./derivation.ts";
import { openStore } from "./store.ts";

/**
 * Whether a run that has read nothing new has something to do all the same; why is logged. Throws `unknown`, which says that
 * a store cannot be read, if that would have to be known, and `Fail` if another model is set than answers come from.
 */
export async function hasPendingWork(
  context: TaskContext<Services>,
  { unknown }: { unknown: ParleyError | null },
): Promise<boolean> {
  const { services, signal } = context;
  await refuseOtherModel(context);
  if (await hasTouched(context)) return true;
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
  const lost = await rowsLost(context);
  if (lost.length > 0) {
    context.log(`rows are gone since the last check, so this run checks again: ${lost.join("; ")}`);
  }
  return lost.length > 0;
}

/**
 * Throws `Fail` if another model is set than answers come from: its vectors need a run of their own, which the error names. The
 * model is opened only if its name or its way with long texts has changed, as that may take seconds.
 */
async function refuseOtherModel(context: TaskContext<Services>): Promise<void> {
  const { services, signal } = context;
  const published = await services.analytics.published({ signal });
  if (published === null) return;
  const before = await readDerivation(services, published, { signal });
  const { model, embed_long } = services.settings;
  if (before?.model === model && before.embed_long === embed_long) return;
  await openStore(context, (await services.embedder()).model);
}

/** Whether an earlier run left users from whom nothing has been derived yet. */
async function hasTouched({ services, signal }: TaskContext<Services>): Promise<boolean> {
  for (const store of [services.documents, services.analytics]) {
    if ((await store.touched({ after: null, limit: 1, signal })).length > 0) return true;
  }
  return false;
}

/** Whether the intents were learnt from another catalogue than there is now, or by another model than is published. */
async function hasStaleIntents({ services, signal }: TaskContext<Services>): Promise<boolean> {
  const { analytics, documents, catalogue } = services;
  const published = await analytics.published({ signal });
  if (published === null) return false;
  const wanted = await catalogue({ sources: (await analytics.sources({ signal })).map(({ uri }) => uri) });
  if (wanted === null) return false;
  const kept = await keptFrom({ documents, signal });
  return kept?.catalogue !== wanted.version || kept.model !== published.model;
}

/** Which tables have fewer rows than when this dag last passed its check. */
async function rowsLost({ services, run, signal }: TaskContext<Services>): Promise<string[]> {
  const { documents, analytics, graph, runs, clock } = services;
  const published = await analytics.published({ signal });
  if (published === null) return [];
  const { dag_id, run_id } = run;
  const which = { dag_id, run_id, task_id: CHECK_TASK, now: clock.now() };
  const before = (await earlierSurveys({ runs, published, ...which })).at(-1)?.stores;
  if (before === undefined) return [];
  const vectors = await services.vectors.of({ model: parseModelKey(published.model), signal });
  return lostRows(before, await countStores({ documents, analytics, vectors, graph }, { signal }));
}
