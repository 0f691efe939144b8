/** The special tokens that a tokeniser puts around every text. */
interface SpecialTokens {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Text to tokens, with special tokens around them or without. */
type Encode = (text: string, options: { add_special_tokens: boolean }) => number[];

/** Finds out what a tokeniser puts around a text. */
export function specialTokens(encode: Encode): SpecialTokens {
  const bare = encode("a", { add_special_tokens: false });
  const framed = encode("a", { add_special_tokens: true });
  for (let at = 0; at + bare.length <= framed.length; at++) {
    if (bare.every((token, i) => framed[at + i] === token)) {
      return { before: framed.slice(0, at), after: framed.slice(at + bare.length) };
    }
  }
  throw new RangeError("the tokeniser changes a text with its special tokens");
}

/**
 * Cuts tokens into windows of `room` tokens that overlap by a quarter; the last ends with the text, so that all are full
 * and weigh the same. There are at most `most` of them: what comes after is left out. `lead` are the tokens with which
 * the text begins and which each window needs: its prompt.
 */
export function tokenWindows(options: {
  readonly tokens: readonly number[];
  readonly windowSize: number;
  readonly maxWindows: number;
  readonly promptTokens: readonly number[];
}): number[][] {
  const { tokens, windowSize, promptTokens } = options;
  if (tokens.length <= windowSize) return [[...tokens]];
  const width = windowSize - promptTokens.length;
  const last = tokens.length - width;
  const windows: number[][] = [];
  for (let at = promptTokens.length; windows.length < options.maxWindows; at += Math.ceil(width * 0.75)) {
    const start = Math.min(at, last);
    windows.push([...promptTokens, ...tokens.slice(start, start + width)]);
    if (start === last) break;
  }
  return windows;
}
