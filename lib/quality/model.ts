import { type ModelIdentity, modelKey, type Published } from "../core/types.ts";

/**
 * What is wrong, and what to do, where the vectors that are published were made by another model than the configured
 * one, whose URL is `embeddings`; else null.
 */
export function otherModel(
  o: { published: Published | null; model: ModelIdentity; embeddings: string },
): string | null {
  const configured = modelKey(o.model);
  if (o.published === null || o.published.model === configured) return null;
  return `what is published was embedded by ${o.published.model}, and PARLEY_EMBEDDINGS is ${configured}: ` +
    `\`deno task pipeline run reembed --param model=${o.embeddings}\` changes over to it, or set it back`;
}
