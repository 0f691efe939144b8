import type { ModelIdentity } from "../core/types.ts";

/** Text in, unit vectors out. */
export interface Embedder {
  readonly model: ModelIdentity;
  /**
   * One unit vector of length `model.dimension` a text, in order. The same text gives the same vector whatever it
   * came with. Throws `invalid` for a text that cannot be embedded and the signal's reason when aborted.
   */
  embed(o: { texts: readonly string[]; signal?: AbortSignal }): Promise<Float32Array[]>;
  close(): Promise<void>;
}
