import { sha256 } from "../core/hash.ts";
import { ParleyError } from "../core/errors.ts";
import { canonicalJson } from "../core/json.ts";
import { modelKey } from "../core/types.ts";
import type { Embedder } from "../embed/port.ts";
import type { ClassificationStore } from "../stores/documents/port.ts";
import type { VectorStore } from "../stores/vectors/port.ts";
import type { ClassifierMetrics } from "./calibrate.ts";
import { type Catalogue, MAX_EXAMPLES, MAX_TOTAL_EXAMPLES } from "./catalogue.ts";
import type { Example } from "./folds.ts";
import { fit } from "./fit.ts";
import { CLASSIFIER_VERSION, toStoredClassifier } from "./classifier_store.ts";

interface TrainOptions {
  readonly catalogue: Catalogue;
  readonly documents: Pick<ClassificationStore, "labelled" | "saveClassifier">;
  readonly vectors: VectorStore;
  readonly embedder: Embedder;
  readonly signal?: AbortSignal | undefined;
  /** Told what begins, in a line that quotes no text. */
  readonly log?: (line: string) => void;
  /** Told how far that is: texts that are embedded, then hundredths of the fit. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Texts that are embedded between two reports of progress. */
const BATCH = 256;
const PROGRESS_STEPS = 100;

export interface TrainResult {
  readonly key: string;
  readonly model: string;
  /** Examples of the catalogue, and messages with a given intent. */
  readonly examples: { readonly catalogue: number; readonly labelled: number };
  readonly figures: ClassifierMetrics;
}

/**
 * Fits a classifier to the catalogue's examples and to the newest messages that were given one of its intents, and
 * keeps it in the place of the one before. Equal input gives an equal classifier under an equal key.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { catalogue, embedder, signal, log = () => {}, onProgress = () => {} } = options;
  const model = modelKey(embedder.model);
  if (modelKey(options.vectors.model) !== model) {
    throw new ParleyError(
      "mismatch",
      `the vectors are of another model than ${model}, which embeds the catalogue`,
    );
  }
  const described = await catalogueExamples(options);
  const labelled = await messageExamples(options, new Set(described.map(({ key }) => key)));
  const examples = [...described, ...labelled.map(({ message_id: _, ...example }) => example)];
  log(`learning ${catalogue.intents.length} intents from ${examples.length} examples`);
  const onShare = (share: number) => onProgress(Math.round(PROGRESS_STEPS * share), PROGRESS_STEPS);
  const fitted = await fit({ examples, signal, onProgress: onShare });
  const key = keyOf(catalogue, model, examples);
  await options.documents.saveClassifier({
    classifier: toStoredClassifier({ key, model, catalogue: catalogue.version, fitted, examples: described }),
    examples: labelled.map(({ message_id }) => message_id),
    signal,
  });
  const counts = { catalogue: described.length, labelled: labelled.length };
  return { key, model, examples: counts, figures: fitted.figures };
}

/** Readable, so that each stored classification shows its version, catalogue and model. */
function keyOf(catalogue: Catalogue, model: string, examples: readonly Example[]): string {
  const learnt = examples.map(({ intent, key }) => [intent, key]).sort();
  const hash = sha256(canonicalJson(learnt)).slice(0, 16);
  return `intents${CLASSIFIER_VERSION}:${catalogue.version}:${hash}:${model}`;
}

async function catalogueExamples(
  { catalogue, embedder, signal, log = () => {}, onProgress = () => {} }: TrainOptions,
): Promise<Example[]> {
  const texts = catalogue.intents.flatMap(({ intent, examples }) =>
    examples.map((text) => ({ intent, text }))
  );
  log(`embedding ${texts.length} examples of the catalogue`);
  const trained: Example[] = [];
  for (let at = 0; at < texts.length; at += BATCH) {
    const batch = texts.slice(at, at + BATCH);
    const vectors = await embedder.embed({ texts: batch.map(({ text }) => text), ...signal && { signal } });
    batch.forEach(({ intent, text }, n) => trained.push({ intent, key: sha256(text), vector: vectors[n]! }));
    onProgress(trained.length, texts.length);
  }
  return trained;
}

/**
 * Of each intent the newest, as many as all intents may have alike, each text once. What has no vector yet, or an old
 * one, is left out.
 */
async function messageExamples(
  { catalogue, documents, vectors, signal }: TrainOptions,
  usedKeys: Set<string>,
): Promise<(Example & { message_id: string })[]> {
  const limit = Math.min(MAX_EXAMPLES, Math.floor(MAX_TOTAL_EXAMPLES / catalogue.intents.length));
  const trained: (Example & { message_id: string })[] = [];
  for (const { intent } of catalogue.intents) {
    const ids = await documents.labelled({ intent, limit, signal });
    const hashes = await vectors.hashes({ collection: "messages", ids, ...signal && { signal } });
    const rows = await vectors.get({ collection: "messages", ids, ...signal && { signal } });
    for (const message_id of ids) {
      const [key, vector] = [hashes.get(message_id), rows.get(message_id)];
      if (key === undefined || vector === undefined || usedKeys.has(key)) continue;
      usedKeys.add(key);
      trained.push({ intent, key, vector, message_id });
    }
  }
  return trained;
}
