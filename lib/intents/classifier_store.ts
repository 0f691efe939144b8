import { parseModelKey } from "../core/types.ts";
import type { ClassificationStore, StoredClassifier } from "../stores/documents/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";
import type { Calibration, ClassifierMetrics } from "./calibrate.ts";
import { classOffsetsOf, type FittedModel } from "./fit.ts";
import { type Matrix, matrixOf } from "../ml/matrix.ts";
import { whitenAll } from "../ml/whitening.ts";

/** Increases when equal examples would give another classifier, or its stored form changes. */
export const CLASSIFIER_VERSION = 5;

/** A classifier, with the model and catalogue that it was fitted on. */
export interface Classifier {
  /** Names version, catalogue, examples and model; stored with everything that it classifies. */
  readonly key: string;
  readonly model: string;
  readonly catalogue: string;
  readonly fitted: FittedModel;
}

/** A classifier as text. Numbers are base64 of their 32-bit floats. */
interface Body {
  readonly version: number;
  readonly model: string;
  readonly catalogue: string;
  readonly intents: readonly string[];
  readonly mean: string;
  readonly factor: string;
  readonly weights: string;
  readonly calibration: Calibration;
  readonly figures: ClassifierMetrics;
  /** Vectors of the catalogue's examples, and the class of each. */
  readonly examples: string;
  readonly classes: readonly number[];
}

interface StoredClassifierOptions extends Omit<Classifier, "fitted"> {
  readonly fitted: FittedModel;
  /** Of the catalogue alone: those of messages are looked up, so that an erased message is forgotten. */
  readonly examples: readonly { readonly intent: string; readonly vector: Float32Array }[];
}

export function toStoredClassifier(
  { key, model, catalogue, fitted, examples }: StoredClassifierOptions,
): StoredClassifier {
  const { intents, learnt, calibration, figures } = fitted;
  const dimension = learnt.examples.dimension;
  const body: Body = {
    version: CLASSIFIER_VERSION,
    model,
    catalogue,
    intents,
    mean: encodeFloats(learnt.whitening.mean),
    factor: encodeFloats(learnt.whitening.factor),
    weights: encodeFloats(learnt.weights),
    calibration,
    figures,
    examples: encodeFloats(matrixOf(examples.map(({ vector }) => vector), dimension).data),
    classes: examples.map(({ intent }) => intents.indexOf(intent)),
  };
  return { key, body: JSON.stringify(body) };
}

/** The catalogue and the model that the kept classifier was made from; null without one that this version reads. */
export async function readStoredSource(
  options: { documents: Pick<ClassificationStore, "classifier">; signal?: AbortSignal | undefined },
): Promise<Pick<Classifier, "model" | "catalogue"> | null> {
  return (await readStored(options))?.body ?? null;
}

async function readStored(
  { documents, signal }: Parameters<typeof readStoredSource>[0],
): Promise<{ key: string; body: Body } | null> {
  const stored = await documents.classifier({ signal });
  if (stored === null) return null;
  const body: Body = JSON.parse(stored.body);
  return body.version === CLASSIFIER_VERSION ? { key: stored.key, body } : null;
}

/**
 * The stored classifier, with the vectors of the messages it has learnt from; null without one that
 * this version reads.
 */
export async function openClassifier(
  options: {
    documents: Pick<ClassificationStore, "classifier" | "examples">;
    vectors: Pick<VectorStores, "forModel">;
    signal?: AbortSignal | undefined;
  },
): Promise<Classifier | null> {
  const stored = await readStored(options);
  if (stored === null) return null;
  const { key, body } = stored;
  const whitening = { mean: decodeFloats(body.mean), factor: decodeFloats(body.factor) };
  const { examples, classOffsets } = await loadExamples(options, key, body);
  const whitened = await whitenAll(whitening, examples, options.signal);
  const learnt = { whitening, weights: decodeFloats(body.weights), examples: whitened, classOffsets };
  const { model, catalogue, intents, calibration, figures } = body;
  return { key, model, catalogue, fitted: { intents, learnt, calibration, figures } };
}

/** Vectors read by one call. */
const BATCH = 500;

async function loadExamples(
  options: Parameters<typeof openClassifier>[0],
  key: string,
  body: Body,
): Promise<{ examples: Matrix; classOffsets: Int32Array }> {
  const own = decodeFloats(body.examples);
  const model = parseModelKey(body.model);
  const store = await options.vectors.forModel({ model, signal: options.signal });
  const examples = body.classes.map((k, n) => ({
    k,
    vector: own.subarray(n * model.dimension, (n + 1) * model.dimension) as ArrayLike<number>,
  }));
  const labelled = await options.documents.examples({ classifier: key, signal: options.signal });
  for (let at = 0; at < labelled.length; at += BATCH) {
    const batch = labelled.slice(at, at + BATCH);
    const ids = batch.map(({ message_id }) => message_id);
    const vectors = await store.get({ collection: "messages", ids, signal: options.signal });
    for (const { message_id, intent } of batch) {
      const [k, vector] = [body.intents.indexOf(intent), vectors.get(message_id)];
      if (k >= 0 && vector !== undefined) examples.push({ k, vector });
    }
  }
  const sorted = examples.map((example, n) => ({ ...example, n })).sort((a, b) => a.k - b.k || a.n - b.n);
  const classOffsets = classOffsetsOf(Int32Array.from(sorted, ({ k }) => k), body.intents.length);
  return { examples: matrixOf(sorted.map(({ vector }) => vector), model.dimension), classOffsets };
}

function encodeFloats(values: Float64Array): string {
  return new Uint8Array(Float32Array.from(values).buffer).toBase64();
}

function decodeFloats(text: string): Float64Array {
  return Float64Array.from(new Float32Array(Uint8Array.fromBase64(text).buffer));
}
