import { hash } from "../../../deps.ts";
import { type OriginKey, withholds } from "../../core/origin_key.ts";
import type { Abortable, ModelIdentity, Pooling } from "../../core/types.ts";
import { TeiInfo } from "./api.ts";
import { withheldNote } from "./caller.ts";
import { Client } from "./client.ts";
import { sendTexts } from "./send_texts.ts";
import { type Endpoint, parseEndpoint } from "./url.ts";
import { mapConcurrent } from "../../core/map_concurrent.ts";
import type { Embedder, EmbedOptions } from "../port.ts";
import { checkTexts, type LongTexts } from "../texts.ts";

/** UTF-16 units in a request that has more than one text. */
const MAX_REQUEST_CHARACTERS = 65_536;
/** The revision of an endpoint that states none: changes behind such an endpoint are not detected. */
const UNKNOWN_REVISION = "unstated";

/**
 * Opens an embeddings endpoint by a URL that {@link parseEndpoint} reads. TEI is asked for its model, and any endpoint for
 * its dimension unless the URL says how many to give. `key` goes into the header `authorization`, to its own origin alone; `onNote` gets a
 * sentence if it belongs to another. Needs
 * network permission only. Throws `invalid` for the URL, and what {@link Client.embed} throws.
 */
export async function openHttp(
  options:
    & { url: string; key: OriginKey | null; longTexts: LongTexts; onNote?: (line: string) => void }
    & Abortable,
): Promise<Embedder> {
  const endpoint = parseEndpoint(options.url);
  if (withholds(options.key, endpoint.url)) options.onNote?.(withheldNote(endpoint.host));
  const client = new Client(endpoint, options.key);
  const info = endpoint.api === "tei" ? await teiInfo(client, options) : null;
  const model: ModelIdentity = {
    name: endpoint.model || info!.model_id,
    revision: revisionOf(endpoint, info?.model_sha ?? null),
    dimension: endpoint.dimensions ?? await client.dimension(options),
    pooling: poolingOf(info?.model_type.embedding.pooling ?? null, options.longTexts),
  };
  const batch = Math.min(endpoint.batch, info?.max_client_batch_size ?? Infinity);
  return new HttpEmbedder(model, client, { ...endpoint, batch }, options.longTexts);
}

async function teiInfo({ caller }: Client, { signal }: Abortable): Promise<TeiInfo> {
  const parsed = TeiInfo.safeParse(await caller.call({ path: "/info", signal }));
  if (parsed.success) return parsed.data;
  throw caller.invalidAnswer("does not say in /info which embedding model it has");
}

/** As the URL says, or the endpoint; followed by a hash of what else in the URL changes vectors. */
function revisionOf({ revision, max_chars, prompts }: Endpoint, sha: string | null): string {
  const stated = revision ?? sha?.slice(0, 16) ?? UNKNOWN_REVISION;
  if (max_chars === null && prompts.query === "" && prompts.document === "") return stated;
  const changes = JSON.stringify([max_chars, prompts.query, prompts.document]);
  return `${stated}+${hash("sha256", changes).slice(0, 8)}`;
}

function poolingOf(reported: string | null, longTexts: LongTexts): Pooling {
  const pooling = reported === "cls" || reported === "mean" ? reported : "remote";
  return longTexts === "windows" ? `${pooling}+windows` : pooling;
}

class HttpEmbedder implements Embedder {
  constructor(
    readonly model: ModelIdentity,
    private readonly client: Client,
    private readonly endpoint: Endpoint,
    private readonly longTexts: LongTexts,
  ) {}

  async embed(options: EmbedOptions): Promise<Float32Array[]> {
    options.signal?.throwIfAborted();
    checkTexts(options.texts);
    const { client, longTexts, model: { dimension }, endpoint: { prompts, concurrency, max_chars } } = this;
    const sendOptions = {
      client,
      dimension,
      prompt: prompts[options.as ?? "query"],
      max_chars: max_chars ?? Infinity,
      longTexts,
    };
    const vectors = new Map<string, Float32Array>();
    let count = 0;
    await mapConcurrent({
      items: this.requests(options.texts.map((text) => text.trim())),
      concurrency,
      signal: options.signal,
      work: async (texts, signal) => {
        const embedded = await sendTexts(texts, { ...sendOptions, signal });
        texts.forEach((text, at) => vectors.set(text, embedded[at]!.vector));
        count += embedded.filter(({ tooLong }) => tooLong).length;
      },
    });
    if (count > 0) options.onLong?.(count);
    return options.texts.map((text) => vectors.get(text.trim())!);
  }

  /** The distinct texts, such of like length together, so that the endpoint pads little. */
  private requests(texts: readonly string[]): string[][] {
    const { batch, max_chars } = this.endpoint;
    const requests: string[][] = [];
    let size = 0;
    for (const text of [...new Set(texts)].toSorted((a, b) => a.length - b.length)) {
      const last = requests.at(-1);
      const fits = last && last.length < batch && size + text.length <= MAX_REQUEST_CHARACTERS;
      if (fits && text.length <= (max_chars ?? Infinity)) last.push(text);
      else requests.push([text]);
      size = text.length + (requests.at(-1) === last ? size : 0);
    }
    return requests;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
