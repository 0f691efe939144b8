import { z } from "../../../deps.ts";
import type { Call } from "./caller.ts";
import type { Endpoint } from "./url.ts";

/** How one kind of endpoint is asked. */
export interface Api {
  /** Whether it can truncate long texts on request. */
  readonly truncates: boolean;
  request(texts: readonly string[], truncate: boolean): Call;
  /** The vectors of an answer in the order of the texts; null for an answer that cannot be understood. */
  read(answer: unknown): readonly (readonly number[])[] | null;
}

export function apiOf(endpoint: Endpoint): Api {
  return endpoint.api === "tei" ? tei(endpoint) : openai(endpoint);
}

const Vector = z.array(z.number());
const OpenAiAnswer = z.object({ data: z.array(z.object({ index: z.number(), embedding: Vector })) });

/** See OpenAI's API reference, "Create embeddings". What is too long for the model is refused, or cut in silence. */
function openai({ model, dimensions }: Endpoint): Api {
  const rest = { model, encoding_format: "float", ...dimensions === null ? {} : { dimensions } };
  return {
    truncates: false,
    request: (texts) => ({ body: { ...rest, input: texts } }),
    read: (answer) => {
      const { data } = OpenAiAnswer.safeParse(answer);
      const rows = data?.data.toSorted((a, b) => a.index - b.index);
      return rows?.every(({ index }, at) => index === at) ? rows.map(({ embedding }) => embedding) : null;
    },
  };
}

const TeiAnswer = z.array(Vector);

/** See the OpenAPI description of Text Embeddings Inference, `/embed`. */
function tei({ dimensions }: Endpoint): Api {
  const rest = { normalize: true, ...dimensions === null ? {} : { dimensions } };
  return {
    truncates: true,
    request: (texts, truncate) => ({ path: "/embed", body: { ...rest, inputs: texts, truncate } }),
    read: (answer) => TeiAnswer.safeParse(answer).data ?? null,
  };
}

/** What Parley needs of `GET /info`. */
export const TeiInfo = z.object({
  model_id: z.string().min(1),
  model_sha: z.string().nullish(),
  model_type: z.object({ embedding: z.object({ pooling: z.string() }) }),
  max_client_batch_size: z.number().int().positive().nullish(),
});
export type TeiInfo = z.output<typeof TeiInfo>;
