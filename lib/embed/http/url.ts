import { z } from "../../../deps.ts";
import { ParleyError } from "../../core/errors.ts";
import type { Purpose } from "../port.ts";

/** An embeddings endpoint as its URL describes it. */
export interface Endpoint {
  /** `openai`: what OpenAI's `POST /v1/embeddings` takes and gives. `tei`: Text Embeddings Inference's own API. */
  readonly api: "openai" | "tei";
  /** Where texts are sent; of `tei`, what its paths are appended to. Without our parameters. */
  readonly url: URL;
  /** How errors name it. */
  readonly host: string;
  /** The model's name at the endpoint; empty if the endpoint has only one model. */
  readonly model: string;
  /** The requested dimension; null for the model's own. */
  readonly dimensions: number | null;
  /** The revision that the URL names; null if it names none. */
  readonly revision: string | null;
  /** The most texts in a request, and the most requests at a time. */
  readonly batch: number;
  readonly concurrency: number;
  /** How long one try of one request may take. */
  readonly timeout_ms: number;
  /** Longest text in UTF-16 units that is sent; null for any. */
  readonly max_chars: number | null;
  /** The text before each input, by purpose. */
  readonly prompts: Readonly<Record<Purpose, string>>;
}

const wholeNumber = (max: number) =>
  z.coerce.number({ error: "is not a number" }).int("is not a whole number").min(1, "is below 1")
    .max(max, `is above ${max}`);

const Parameters = z.object({
  model: z.string().default(""),
  dimensions: wholeNumber(65_536).nullable().default(null),
  revision: z.string().regex(/^[^@]+$/, "must not be empty or have an @").nullable().default(null),
  batch: wholeNumber(2_048).default(32),
  concurrency: wholeNumber(256).default(4),
  timeout_ms: wholeNumber(600_000).default(30_000),
  max_chars: wholeNumber(2 ** 20).nullable().default(null),
  query_prefix: z.string().default(""),
  document_prefix: z.string().default(""),
});

/** Whether {@link parseEndpoint} knows a URL's scheme. */
export const isEndpoint = (url: string) => /^((openai|tei)\+)?https?:\/\//.test(url);

/** Scheme, host and port of an endpoint's URL; null for anything else. */
export const originOf = (url: string) => isEndpoint(url) ? withoutApi(url)?.origin ?? null : null;

const withoutApi = (url: string) => URL.parse(url.replace(/^(openai|tei)\+/, ""));

/**
 * Reads `https://host/v1/embeddings?model=NAME`, the same after `openai+`, or `tei+http://host:port`. Parameters that are
 * not ours stay in the URL. Throws `invalid` with a sentence that does not repeat the URL, which may hold a secret.
 */
export function parseEndpoint(text: string): Endpoint {
  const api = text.startsWith("tei+") ? "tei" : "openai";
  const url = withoutApi(text);
  if (url === null) throw urlError("is not a URL; it looks like https://host/v1/embeddings?model=NAME");
  if (url.username !== "" || url.password !== "") {
    throw urlError("has a key in it: put that into PARLEY_EMBEDDINGS_KEY");
  }
  const { query_prefix, document_prefix, ...parameters } = takeParameters(url);
  if (api === "openai" && parameters.model === "") {
    throw urlError("does not say which model: add ?model=NAME, or use tei+http://host:port");
  }
  url.pathname = pathOf(api, url.pathname);
  const prompts = { query: query_prefix, document: document_prefix };
  return { api, url, host: url.host, ...parameters, prompts };
}

/** Reads our parameters and takes them off the URL. */
function takeParameters(url: URL): z.output<typeof Parameters> {
  const names = Object.keys(Parameters.shape).filter((name) => url.searchParams.has(name));
  const parsed = Parameters.safeParse(
    Object.fromEntries(names.map((name) => [name, url.searchParams.get(name)])),
  );
  for (const name of names) url.searchParams.delete(name);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw urlError(`has a parameter ${issue?.path.join(".")} that ${issue?.message}`);
}

/** Takes the address of a server, of its version 1, or of the very endpoint. */
function pathOf(api: Endpoint["api"], path: string): string {
  const base = path.replace(/\/+$/, "");
  if (api === "tei") return base.replace(/\/embed$/, "");
  if (base.endsWith("/embeddings")) return base;
  return base === "" ? "/v1/embeddings" : `${base}/embeddings`;
}

function urlError(problem: string): ParleyError {
  return new ParleyError("invalid", `PARLEY_EMBEDDINGS ${problem}`);
}
