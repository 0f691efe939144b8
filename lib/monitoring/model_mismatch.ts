import { type ModelIdentity, modelKey, type Published } from "../core/types.ts";

/**
 * What is wrong, and what to do, where the vectors that are published were made by another model than the configured
 * one, which the param `model` calls `name`; else null.
 */
export function modelMismatch(
  options: { published: Published | null; model: ModelIdentity; name: string },
): string | null {
  const configured = modelKey(options.model);
  if (options.published === null || options.published.model === configured) return null;
  return `what is published was embedded by ${options.published.model}, and PARLEY_EMBEDDINGS is ${configured}: ` +
    `\`deno task pipeline run reembed --param model=${options.name}\` changes over to it, or set it back`;
}
