import { CallError } from "./call.ts";
import type { Client } from "./client.ts";
import { type LongTexts, MAX_WINDOWS, meanOf } from "../texts.ts";

/** A text's vector, and whether the text was too long for the model. */
interface EmbeddedText {
  readonly vector: Float32Array;
  readonly long: boolean;
}

/** How the texts of one call are sent. */
interface SendOptions {
  readonly client: Client;
  readonly dimension: number;
  /** The prompt before each text and each window. */
  readonly prompt: string;
  /** UTF-16 units beyond which a text is too long without asking. */
  readonly max_chars: number;
  readonly long: LongTexts;
  readonly signal: AbortSignal;
}

/** A text that is refused although it is as short as this is not refused for its length. */
const SHORT = 128;
/** How much of a text each of its halves has, and how far after a window the next begins: they overlap by a tenth. */
const HALF = 0.55;
const STEP = 0.9;

/**
 * Embeds texts with one request where the endpoint takes them, and otherwise finds the ones that it refuses: those are
 * too long, and are cut or read in parts. Throws what {@link Client.embed} throws.
 */
export async function send(texts: readonly string[], by: SendOptions): Promise<EmbeddedText[]> {
  if (texts.length === 1) return [await sendOne(texts[0]!, by)];
  try {
    return (await ask(texts, by)).map((vector) => ({ vector, long: false }));
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  const half = Math.ceil(texts.length / 2);
  return [...await send(texts.slice(0, half), by), ...await send(texts.slice(half), by)];
}

async function sendOne(text: string, by: SendOptions): Promise<EmbeddedText> {
  if (text.length > by.max_chars) return await sendLong(text, by);
  try {
    const [vector] = await ask([text], by);
    return { vector: vector!, long: false };
  } catch (error) {
    if (!isRefusal(error) || text.length <= SHORT) throw error;
    return await sendLong(text, by);
  }
}

async function sendLong(text: string, by: SendOptions): Promise<EmbeddedText> {
  const vector = by.long === "windows" ? await inWindows(text, by) : await cut(text, by);
  return { vector, long: true };
}

/** The vector of as much of the beginning as fits. The endpoint knows best, where it can be asked to cut. */
async function cut(text: string, by: SendOptions): Promise<Float32Array> {
  const beginning = text.slice(0, Math.min(by.max_chars, text.length));
  if (by.client.truncates) return (await ask([beginning], by, true))[0]!;
  const length = beginning.length < text.length ? beginning.length : Math.ceil(text.length / 2);
  return (await sendOne(text.slice(0, length), by)).vector;
}

/**
 * The mean of the vectors of overlapping windows, each weighted by its length. What the endpoint refuses is halved, and so are
 * all windows of the text after it. Another text starts from the beginning: its vector must not depend on which came before.
 */
async function inWindows(text: string, by: SendOptions): Promise<Float32Array> {
  const vectors: Float32Array[] = [];
  const lengths: number[] = [];
  let size = Math.min(by.max_chars, Math.ceil(text.length * HALF));
  for (let at = 0; vectors.length < MAX_WINDOWS;) {
    const start = Math.min(at, text.length - size);
    const window = text.slice(start, start + size).trim();
    const made = await askFitting(window, by);
    if (made === null) {
      size = Math.ceil(size * HALF);
      continue;
    }
    vectors.push(...made);
    lengths.push(...made.map(() => window.length));
    if (start + size >= text.length) break;
    at = start + Math.ceil(size * STEP);
  }
  return meanOf(vectors, lengths);
}

/** The vector of a window, none where that is blank; null where it is too long. */
async function askFitting(window: string, by: SendOptions): Promise<Float32Array[] | null> {
  if (window === "") return [];
  try {
    return await ask([window], by);
  } catch (error) {
    if (!isRefusal(error) || window.length <= SHORT) throw error;
    return null;
  }
}

function ask(texts: readonly string[], by: SendOptions, truncate = false): Promise<Float32Array[]> {
  const { client, dimension, prompt, signal } = by;
  return client.embed(texts.map((text) => prompt + text), { dimension, truncate, signal });
}

function isRefusal(error: unknown): boolean {
  return error instanceof CallError && error.refused;
}
