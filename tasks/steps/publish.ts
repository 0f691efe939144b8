import { iso } from "../../lib/core/clock.ts";
import { type Abortable, type ModelIdentity, modelKey, type Published } from "../../lib/core/types.ts";
import { Fail } from "../../lib/dag/types.ts";
import type { SourceRecord } from "../../lib/stores/analytics/port.ts";
import type { VectorStore } from "../../lib/stores/vectors/port.ts";
import { FIELDS } from "../datasets.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";
import type { IngestedSource } from "./ingest.ts";
import { prune } from "./prune.ts";
import { forEachModel, vectorSet } from "./vector_store.ts";

/** Makes the new version the serving one, and drops versions that are old enough. */
export async function publish(
  context: StepContext,
  store: VectorStore,
  version: number,
  sources: readonly IngestedSource[],
): Promise<Published> {
  const { services, signal, log, run: { run_id } } = context;
  const { model } = store;
  const published = await publishVersion(services, { version, model, run_id, sources, log, signal });
  await prune(context);
  context.log(`data version ${published.version} is published`);
  recordPublish(context, store, version);
  return published;
}

/** What a publish is made of, and the row that it sets. */
export function recordPublish(context: StepContext, store: VectorStore, built: number): void {
  const { services } = context;
  const version = String(built);
  context.rows({ in: 1, out: 1 });
  context.reads({ ...services.dataset("analytics", "campaign_stats"), version });
  context.reads({ ...services.dataset("analytics", "item_weights"), version });
  context.reads({ ...vectorSet(context, store, "indexes"), version });
  context.writes({
    ...services.dataset("analytics", "published"),
    rows: 1,
    version,
    fields: FIELDS.published,
  });
}

/** Flips one row, together with the record of the sources; then drops what is older than the version before. */
export async function publishVersion(
  { analytics, vectors, clock }: Services,
  options: {
    version: number;
    model: ModelIdentity;
    run_id: string;
    sources: readonly Omit<SourceRecord, "run_id" | "at">[];
    /** Gets a line about each model whose vectors cannot be read. */
    log: (line: string) => void;
  } & Abortable,
): Promise<Published> {
  const { version, run_id, signal } = options;
  // It is made now, so that every backup has it: tombstones that come later are keyed by it.
  await analytics.secret({ signal });
  const at = iso(clock.now());
  const published = await analytics.publish({
    published: { version, run_id, model: modelKey(options.model), at },
    sources: options.sources.map(({ kind, uri, sha256, rows }) => ({ kind, uri, sha256, rows, run_id, at })),
    signal,
  });
  if (published.run_id !== run_id) {
    throw new Fail(`run ${published.run_id} has published version ${version} meanwhile: begin a new run`);
  }
  const versions = [published.version, ...published.previous === null ? [] : [published.previous]];
  await forEachModel(
    { vectors, published: published.model, log: options.log, signal },
    (store) => store.dropVersionsExcept({ versions, signal }),
  );
  return published;
}
