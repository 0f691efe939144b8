import type { Config } from "../lib/config.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { parseUrl } from "../lib/core/parse_url.ts";
import { ELLIPSIS, showUrl } from "../lib/core/show_url.ts";
import { originOf } from "../lib/embed/http/url.ts";
import { type EmbedderOptions, isEmbedder, noEmbedder } from "../lib/embed/open.ts";

type Models = Pick<Config, "embeddings" | "models">;

/** How runs, pages and messages name a model: its URL, and `…` in the place of what may be secret. */
export const modelName = (url: URL): string => showUrl(url);

/** The names of the models in PARLEY_EMBEDDINGS and PARLEY_MODELS, the former first. */
export function configuredModels(config: Models): string[] {
  return [...byName(config).keys()];
}

function byName({ embeddings, models }: Models): Map<string, URL> {
  // Of two that are named alike, the first.
  return new Map([embeddings, ...models].reverse().map((url) => [modelName(url), url] as const).reverse());
}

/** The name of the model that the param `model` holds, checked as the setting is; a relative folder is seen from here. */
export function resolveModel(config: Models, text: string): string {
  const name = "the param model";
  if (!isEmbedder(text)) throw noEmbedder(name);
  const problems: string[] = [];
  const url = parseUrl(name, text, Deno.cwd(), problems);
  if (problems.length > 0) throw new ParleyError("invalid", problems.join("; "));
  const shown = modelName(url);
  const models = byName(config);
  if (models.has(text)) return text;
  if (models.get(shown)?.href === url.href || !holdsSecret(url)) return shown;
  throw new ParleyError(
    "invalid",
    `${name} has more in its URL than may be stored with a run and shown: set PARLEY_MODELS to that URL, and the ` +
      `param to ${shown}`,
  );
}

function holdsSecret(url: URL): boolean {
  return url.username !== "" || url.password !== "" || url.hash !== "" || modelName(url).includes(ELLIPSIS);
}

/** The URL that a model is opened by, given its name. Throws `invalid` if the settings must have it and do not. */
export function modelUrl(config: Models, name: string): string {
  const url = byName(config).get(name);
  if (url !== undefined) return openedBy(url);
  if (!name.includes(ELLIPSIS)) return name;
  throw new ParleyError("invalid", `the model ${name} is in neither PARLEY_EMBEDDINGS nor PARLEY_MODELS`);
}

/** Without the escapes that a URL puts into a path. */
function openedBy({ protocol, pathname, search, href }: URL): string {
  return protocol === "onnx:" ? `${protocol}${decodeURIComponent(pathname)}${search}` : href;
}

/** The options to open a model, by default the configured one. A key is sent only to the endpoint that is configured with it. */
export function embedderOptions(config: Config, name = modelName(config.embeddings)): EmbedderOptions {
  const { embeddings_key: secret, embeddings } = config;
  return {
    url: modelUrl(config, name),
    sessions: config.embed_sessions,
    longTexts: config.embed_long,
    key: secret === null ? null : { secret, origin: originOf(embeddings.href) },
    hub: { ...config.hub, cache: `${config.data}/models` },
  };
}
