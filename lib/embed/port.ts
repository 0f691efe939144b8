import type { Abortable, ModelIdentity } from "../core/types.ts";

export interface EmbedOptions extends Abortable {
  readonly texts: readonly string[];
  /**
   * Some models are trained with other words before a query (`query`, the default) than before what is
   * looked for (`document`). What users say is a query; a campaign is a document.
   */
  readonly as?: Purpose;
  /** Called with the number of distinct texts that are too long for the model, if any. */
  readonly onLong?: (count: number) => void;
}

export type Purpose = "query" | "document";

/** Text in, unit vectors out. */
export interface Embedder {
  readonly model: ModelIdentity;
  /**
   * One unit vector of length `model.dimension` a text, in order. The same text gives the same vector whatever it
   * came with. Throws `invalid` for a text that cannot be embedded and the signal's reason when aborted.
   */
  embed(options: EmbedOptions): Promise<Float32Array[]>;
  close(): Promise<void>;
}
