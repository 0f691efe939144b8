import { ParleyError } from "../core/errors.ts";
import type { OriginKey } from "../core/origin_key.ts";
import { openDeterministic } from "./deterministic_embedder.ts";
import { openHttp } from "./http/open_http.ts";
import { isEndpoint } from "./http/url.ts";
import { fetchModel, type Hub, isHubId } from "./onnx/fetch_model.ts";
import { openOnnx } from "./onnx/open_onnx.ts";
import type { Embedder } from "./port.ts";
import type { LongTexts } from "./texts.ts";
import { type Dtype, DTYPES } from "./onnx/weights.ts";

export interface EmbedderOptions {
  readonly url: string;
  /** Texts that an ONNX model embeds at once; one a core by default. */
  readonly sessions?: number;
  /** What becomes of texts that are too long; `truncate` by default. */
  readonly longTexts?: LongTexts;
  /** What an endpoint of its origin is shown. */
  readonly key?: OriginKey | null;
  /** Where models are fetched from; without it, none are fetched. */
  readonly hub?: Hub | null;
  /** Gets a sentence that the operator should read, such as why no key is sent. */
  readonly onNote?: (line: string) => void;
  /** Ends the opening, which may fetch a model or ask an endpoint. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens an embedder by URL:
 *
 * - `onnx:<folder>` runs a sentence-transformers folder with an ONNX export on this machine, and `onnx:<owner>/<model>`
 *   one of a hub, which is fetched once; `?dtype=` chooses among its weights, `?revision=` among a hub's revisions.
 * - `https://host/v1/embeddings?model=NAME` asks an OpenAI-compatible endpoint, `tei+http://host:port` Text Embeddings
 *   Inference.
 * - `test:<dimension>` hashes words.
 *
 * Local models load at the first text. Throws `invalid` for another scheme, and what {@link openOnnx}, {@link openHttp}
 * and {@link fetchModel} throw.
 */
export async function openEmbedder(options: EmbedderOptions): Promise<Embedder> {
  const longTexts = options.longTexts ?? "truncate";
  if (isEndpoint(options.url)) return await openHttp({ ...options, key: options.key ?? null, longTexts });
  const [, scheme, rest, query] = /^(onnx|test):(.*?)(\?(?:dtype|revision)=.*)?$/s.exec(options.url) ?? [];
  if (scheme === "test") return openDeterministic(rest! + (query ?? ""));
  if (scheme === "onnx" && rest !== "") {
    return await openLocal(options, { path: rest!, query: new URLSearchParams(query), longTexts });
  }
  throw noEmbedder("PARLEY_EMBEDDINGS");
}

/** Whether a URL has a form that {@link openEmbedder} takes. */
export const isEmbedder = (url: string) => isEndpoint(url) || /^(onnx:[^?]|test:)/.test(url);

/** For a URL of another form, which `what` holds. */
export function noEmbedder(name: string): ParleyError {
  return new ParleyError(
    "invalid",
    `${name} names no embedder; use onnx:<folder>, onnx:<owner>/<model>, ` +
      "https://<host>/v1/embeddings?model=<name>, tei+http://<host>:<port> or test:<dimension>",
  );
}

async function openLocal(
  options: EmbedderOptions,
  { path, query, longTexts }: { path: string; query: URLSearchParams; longTexts: LongTexts },
): Promise<Embedder> {
  const dtype = dtypeOf(query.get("dtype"));
  const folder = await folderOf(options, path, query.get("revision") ?? "main", dtype);
  return await openOnnx({
    folder,
    dtype,
    sessions: options.sessions ?? navigator.hardwareConcurrency,
    longTexts,
  });
}

/** A folder of that name goes before a model of the hub. */
async function folderOf(
  options: EmbedderOptions,
  path: string,
  revision: string,
  dtype: Dtype | null,
): Promise<string> {
  const local = await Deno.stat(path).then((stat) => stat.isDirectory, () => false);
  if (local || !options.hub || !isHubId(path)) return path;
  return await fetchModel(options.hub, { id: path, revision, dtype }, options.signal);
}

function dtypeOf(text: string | null): Dtype | null {
  const dtype = DTYPES.find((candidate) => candidate === text) ?? null;
  if (dtype !== null || text === null) return dtype;
  throw new ParleyError("invalid", `PARLEY_EMBEDDINGS has a dtype that is not one of ${DTYPES.join(", ")}`);
}
