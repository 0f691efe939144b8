import { ParleyError } from "../core/errors.ts";
import type { ModelIdentity } from "../core/types.ts";
import type { Embedder } from "./port.ts";
import { checkTexts } from "./texts.ts";

const NAME = "test";
/** Its number is raised whenever the same text would get another vector. */
const REVISION = "hashing-1";
/** What a pair of neighbouring words weighs relative to a single word. */
const PAIR_WEIGHT = 0.5;

/**
 * An embedder without a model, for tests and load: signed feature hashing of lower-cased words and of neighbouring
 * pairs, normalised, so that texts which share words have similar vectors. A text without letters or digits counts
 * as one word. See Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009).
 */
export class DeterministicEmbedder implements Embedder {
  readonly model: ModelIdentity;

  constructor(dimension: number) {
    this.model = { name: NAME, revision: REVISION, dimension, pooling: "mean" };
  }

  embed(options: { texts: readonly string[]; signal?: AbortSignal }): Promise<Float32Array[]> {
    return new Promise((resolve) => {
      options.signal?.throwIfAborted();
      checkTexts(options.texts);
      resolve(options.texts.map((text) => hashText(text, this.model.dimension)));
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Whether a model key names such an embedder, of whichever revision. */
export const isDeterministic = (key: string) => key.startsWith(`${NAME}@hashing-`);

/** Opens `test:<dimension>`. */
export function openDeterministic(dimension: string): DeterministicEmbedder {
  if (!/^[1-9]\d{0,3}$/.test(dimension)) {
    throw new ParleyError("invalid", `test:${dimension} is not an embedder; give a dimension of 1 to 9999`);
  }
  return new DeterministicEmbedder(Number(dimension));
}

function hashText(text: string, dimension: number): Float32Array {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text.trim()];
  const sums = new Float64Array(dimension);
  words.forEach((word, at) => {
    add(sums, word, 1);
    if (at > 0) add(sums, `${words[at - 1]} ${word}`, PAIR_WEIGHT);
  });
  const norm = Math.hypot(...sums);
  if (norm > 0) return Float32Array.from(sums, (value) => value / norm);
  // Features of opposite sign met in every place: the text then counts as one feature, which nothing can cancel.
  add(sums, words.join(" "), 1);
  return Float32Array.from(sums);
}

function add(sums: Float64Array, feature: string, weight: number): void {
  const hash = fnv1a(feature);
  const index = (hash >>> 1) % sums.length;
  sums[index] = (sums[index] ?? 0) + (hash & 1 ? weight : -weight);
}

/** 32-bit FNV-1a over UTF-16 code units, with a final mix because its low bits alone are weak. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
