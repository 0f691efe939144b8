import type { z } from "../../deps.ts";
import { percent } from "../../lib/core/text.ts";
import type { Catalogue } from "../../lib/intents/catalogue.ts";
import { type Classifier, openClassifier } from "../../lib/intents/classifier_store.ts";
import { type ClassifiedCounts, classifyMessages } from "../../lib/intents/classify_messages.ts";
import { train as fitAndKeep, type TrainResult } from "../../lib/intents/train.ts";
import { type ModelIdentity, modelKey } from "../../lib/core/types.ts";
import { Fail } from "../../lib/dag/types.ts";
import type { CLASSIFY_OUTPUT } from "../../lib/monitoring/task_outputs.ts";
import type { VectorStore } from "../../lib/stores/vectors/port.ts";
import { FIELDS } from "../datasets.ts";
import type { StepContext } from "../step.ts";
import type { IngestedSource } from "./ingest.ts";
import { openStore, vectorSet } from "./vector_store.ts";

export type TrainOutput = { readonly model: ModelIdentity; readonly trained: TrainResult };
type ClassifyOutput = ClassifiedCounts & z.infer<typeof CLASSIFY_OUTPUT>;

const NOTHING: ClassifyOutput = { classifier: null, classified: 0, out_of_scope: 0, changed: 0, waiting: 0 };

/** Fits the classifier again to the catalogue and to the intents given on messages by now. */
export async function train(context: StepContext): Promise<TrainOutput> {
  const catalogue = await catalogueOf(context, []);
  if (catalogue === null) {
    throw new Fail(
      "there is no catalogue of intents: set PARLEY_INTENTS to one; `deno task pipeline discover` helps",
    );
  }
  const { model } = await context.services.embedder();
  return { model, trained: await trainBy(context, catalogue, await openStore(context, model)) };
}

/**
 * Classifies the messages that have no given intent and that the classifier has not seen. It first fits a classifier
 * if none exists for this catalogue and model. A killed attempt continues where it stopped.
 */
export async function classify(
  context: StepContext,
  store: VectorStore,
  sources: readonly IngestedSource[],
): Promise<ClassifyOutput> {
  const { services: { documents }, signal } = context;
  const catalogue = await catalogueOf(context, sources);
  if (catalogue === null) {
    context.log("there is no catalogue of intents (PARLEY_INTENTS): nothing is classified");
    return NOTHING;
  }
  const classifier = await current(context, catalogue, store);
  const onPage = ({ classified, waiting }: ClassifiedCounts) =>
    context.progress({ done: classified + waiting, total: null });
  const done = await classifyMessages({ classifier, documents, vectors: store, signal, onPage });
  report(context, store, classifier, done);
  return { classifier: classifier.key, ...done };
}

/** The catalogue for all data that there is: of earlier runs, and of this one. */
async function catalogueOf(
  { services: { analytics, catalogue }, signal }: StepContext,
  sources: readonly IngestedSource[],
): Promise<Catalogue | null> {
  const before = await analytics.sources({ signal });
  return await catalogue({ sources: [...before, ...sources].map(({ uri }) => uri) });
}

async function current(
  context: StepContext,
  catalogue: Catalogue,
  store: VectorStore,
): Promise<Classifier> {
  const { services: { documents, vectors }, signal } = context;
  const open = () => openClassifier({ documents, vectors, signal });
  const kept = await open();
  if (kept?.catalogue === catalogue.version && kept.model === modelKey(store.model)) return kept;
  await trainBy(context, catalogue, store);
  const made = await open();
  if (made === null) throw new Fail("the classifier that was just kept is gone: begin a new run");
  return made;
}

async function trainBy(
  context: StepContext,
  catalogue: Catalogue,
  vectors: VectorStore,
): Promise<TrainResult> {
  const { services, signal } = context;
  const { documents } = services;
  const trained = await fitAndKeep({
    catalogue,
    documents,
    vectors,
    embedder: await services.embedder(),
    signal,
    log: (line) => context.log(line),
    onProgress: (done, total) => context.progress({ done, total }),
  });
  context.progress({ done: 0, total: null });
  const { examples, figures } = trained;
  context.log(
    `learnt ${catalogue.intents.length} intents from ${examples.catalogue} examples and ${examples.labelled} ` +
      `labelled messages; on held-out texts: accuracy ${percent(figures.accuracy)}, calibration error ` +
      `${percent(figures.ece)}, AUROC of out of scope ${percent(figures.auroc)}`,
  );
  context.version("catalogue", catalogue.version);
  context.reads(services.dataset("documents", "messages"));
  context.writes({ ...services.dataset("documents", "classifiers"), rows: 1, version: trained.key });
  return trained;
}

function report(
  context: StepContext,
  store: VectorStore,
  classifier: Classifier,
  done: ClassifiedCounts,
): void {
  const { services } = context;
  const { classified, out_of_scope, changed, waiting } = done;
  const rest = waiting === 0 ? "" : `; ${waiting} wait for their vectors`;
  context.log(
    `${classified} messages classified, ${out_of_scope} of them out of scope, ${changed} other than before${rest}`,
  );
  context.version("classifier", classifier.key);
  context.version("model", classifier.model);
  context.rows({ in: classified + waiting, out: classified });
  context.reads(vectorSet(context, store, "messages"));
  context.writes({
    ...services.dataset("documents", "classifications"),
    rows: classified,
    version: classifier.key,
    fields: FIELDS.classifications,
    quality: { ...done },
  });
}
