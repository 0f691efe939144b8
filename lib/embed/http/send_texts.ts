import { CallError } from "./caller.ts";
import type { Client } from "./client.ts";
import { type LongTexts, MAX_WINDOWS } from "../texts.ts";
import { meanVector } from "../vectors.ts";

/** A text's vector, and whether the text was too long for the model. */
interface EmbeddedText {
  readonly vector: Float32Array;
  readonly tooLong: boolean;
}

/** How the texts of one call are sent. */
interface SendOptions {
  readonly client: Client;
  readonly dimension: number;
  /** The prompt before each text and each window. */
  readonly prompt: string;
  /** UTF-16 units beyond which a text is too long without asking. */
  readonly max_chars: number;
  readonly longTexts: LongTexts;
  readonly signal: AbortSignal;
}

/** A refused text of at most this length is not refused for its length. */
const MIN_SPLIT_LENGTH = 128;
/** How much of a text each of its halves has, and how far after a window the next begins: they overlap by a tenth. */
const HALF_SHARE = 0.55;
const WINDOW_STEP = 0.9;

/**
 * Embeds texts with one request where the endpoint takes them, and otherwise finds the ones that it refuses: those are
 * too long, and are cut or read in parts. Throws what {@link Client.embed} throws.
 */
export async function sendTexts(texts: readonly string[], options: SendOptions): Promise<EmbeddedText[]> {
  if (texts.length === 1) return [await sendOne(texts[0]!, options)];
  try {
    return (await request(texts, options)).map((vector) => ({ vector, tooLong: false }));
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  const half = Math.ceil(texts.length / 2);
  return [...await sendTexts(texts.slice(0, half), options), ...await sendTexts(texts.slice(half), options)];
}

async function sendOne(text: string, options: SendOptions): Promise<EmbeddedText> {
  if (text.length > options.max_chars) return await sendLong(text, options);
  try {
    const [vector] = await request([text], options);
    return { vector: vector!, tooLong: false };
  } catch (error) {
    if (!isRefusal(error) || text.length <= MIN_SPLIT_LENGTH) throw error;
    return await sendLong(text, options);
  }
}

async function sendLong(text: string, options: SendOptions): Promise<EmbeddedText> {
  const vector = options.longTexts === "windows"
    ? await embedWindows(text, options)
    : await embedBeginning(text, options);
  return { vector, tooLong: true };
}

/** The vector of as much of the beginning as fits. The endpoint knows best, where it can be asked to cut. */
async function embedBeginning(text: string, options: SendOptions): Promise<Float32Array> {
  const beginning = text.slice(0, Math.min(options.max_chars, text.length));
  if (options.client.truncates) return (await request([beginning], options, true))[0]!;
  const length = beginning.length < text.length ? beginning.length : Math.ceil(text.length / 2);
  return (await sendOne(text.slice(0, length), options)).vector;
}

/**
 * The mean of the vectors of overlapping windows, each weighted by its length. What the endpoint refuses is halved, and so are
 * all windows of the text after it. Another text starts from the beginning: its vector must not depend on which came before.
 */
async function embedWindows(text: string, options: SendOptions): Promise<Float32Array> {
  const vectors: Float32Array[] = [];
  const lengths: number[] = [];
  let size = Math.min(options.max_chars, Math.ceil(text.length * HALF_SHARE));
  for (let at = 0; vectors.length < MAX_WINDOWS;) {
    const start = Math.min(at, text.length - size);
    const window = text.slice(start, start + size).trim();
    const windowVectors = await embedIfFits(window, options);
    if (windowVectors === null) {
      size = Math.ceil(size * HALF_SHARE);
      continue;
    }
    vectors.push(...windowVectors);
    lengths.push(...windowVectors.map(() => window.length));
    if (start + size >= text.length) break;
    at = start + Math.ceil(size * WINDOW_STEP);
  }
  return meanVector(vectors, lengths);
}

/** The vector of a window, none where that is blank; null where it is too long. */
async function embedIfFits(window: string, options: SendOptions): Promise<Float32Array[] | null> {
  if (window === "") return [];
  try {
    return await request([window], options);
  } catch (error) {
    if (!isRefusal(error) || window.length <= MIN_SPLIT_LENGTH) throw error;
    return null;
  }
}

function request(texts: readonly string[], options: SendOptions, truncate = false): Promise<Float32Array[]> {
  const { client, dimension, prompt, signal } = options;
  return client.embed(texts.map((text) => prompt + text), { dimension, truncate, signal });
}

function isRefusal(error: unknown): boolean {
  return error instanceof CallError && error.refused;
}
