import { createHash, z } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import type { ModelIdentity } from "../core/types.ts";

/** What the files of a sentence-transformers folder with an ONNX export say about how to use the model. */
export interface ModelLayout {
  /** The folder that holds the model's folder, without a trailing slash. */
  readonly parent: string;
  /** The name of the model's folder. */
  readonly name: string;
  readonly dtype: "q8" | "fp32";
  readonly onnx: string;
  readonly dimension: number;
  readonly pooling: "mean" | "cls";
  /** Longest input in tokens, special tokens included; what is longer is cut at its end. */
  readonly max_tokens: number;
  /** Whether texts are lower-cased before they are tokenised. */
  readonly lowercase: boolean;
}

const Modules = z.array(z.object({ path: z.string(), type: z.string() }));
const Pooling = z.object({
  word_embedding_dimension: z.number().int().positive(),
  pooling_mode_cls_token: z.boolean().default(false),
  pooling_mode_mean_tokens: z.boolean().default(false),
}).catchall(z.unknown());
const SentenceBert = z.object({ max_seq_length: z.number().nullish(), do_lower_case: z.boolean().nullish() });
const Tokenizer = z.object({ model_max_length: z.number().nullish() });
const Config = z.object({ max_position_embeddings: z.number().nullish() });

const ONNX = [["q8", "model_quantized.onnx"], ["fp32", "model.onnx"]] as const;

/**
 * Reads a model folder's own description. `not_found` where a file is missing, `invalid` where one cannot be read,
 * `unsupported` for a model that needs more than cls or mean pooling and normalisation.
 */
export async function readLayout(folder: string): Promise<ModelLayout> {
  const path = await realFolder(folder);
  const split = path.lastIndexOf("/");
  const sentence = await readJson(`${path}/sentence_bert_config.json`, SentenceBert);
  return {
    parent: path.slice(0, split),
    name: path.slice(split + 1),
    ...await findOnnx(path),
    ...await readPooling(path),
    max_tokens: await readMaximum(path, sentence.max_seq_length ?? null),
    lowercase: sentence.do_lower_case ?? false,
  };
}

/** Names the model by its folder and the hash of its weights; reads the whole ONNX file. */
export async function identify(layout: ModelLayout): Promise<ModelIdentity> {
  const hash = createHash("sha256");
  using file = await Deno.open(layout.onnx);
  for await (const bytes of file.readable) hash.update(bytes);
  return {
    name: layout.name,
    revision: hash.digest("hex").slice(0, 16),
    dimension: layout.dimension,
    pooling: layout.pooling,
  };
}

async function realFolder(folder: string): Promise<string> {
  try {
    return (await Deno.realPath(folder)).replaceAll("\\", "/");
  } catch (cause) {
    throw missing(folder, cause);
  }
}

function missing(path: string, cause: unknown): ParleyError {
  if (cause instanceof Deno.errors.NotCapable) {
    return new ParleyError("denied", `no permission to read the embedding model's ${path}`, { cause });
  }
  return new ParleyError("not_found", `the embedding model's ${path} cannot be read`, { cause });
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  const text = await Deno.readTextFile(path).catch((cause) => {
    throw missing(path, cause);
  });
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ParleyError("invalid", `${path} does not describe a sentence-transformers model`, { cause });
  }
}

async function findOnnx(folder: string): Promise<Pick<ModelLayout, "dtype" | "onnx">> {
  for (const [dtype, name] of ONNX) {
    const onnx = `${folder}/onnx/${name}`;
    const found = await Deno.stat(onnx).then((stat) => stat.isFile, () => false);
    if (found) return { dtype, onnx };
  }
  throw new ParleyError(
    "not_found",
    `${folder}/onnx holds neither ${ONNX.map(([, name]) => name).join(" nor ")}`,
  );
}

async function readPooling(folder: string): Promise<Pick<ModelLayout, "dimension" | "pooling">> {
  const modules = await readJson(`${folder}/modules.json`, Modules);
  const kinds = modules.map((module) => module.type.split(".").at(-1)).join(" ");
  if (kinds !== "Transformer Pooling Normalize" && kinds !== "Transformer Pooling") {
    throw new ParleyError("unsupported", `${folder} needs the modules ${kinds}; Parley has pooling only`);
  }
  const pooling = await readJson(`${folder}/${modules[1]?.path}/config.json`, Pooling);
  const modes = Object.keys(pooling).filter((key) =>
    key.startsWith("pooling_mode_") && pooling[key] === true
  );
  const mode = modes.length === 1 && POOLING_MODES[modes[0] ?? ""];
  if (!mode) throw new ParleyError("unsupported", `${folder} pools by ${modes.join(" and ") || "nothing"}`);
  return { dimension: pooling.word_embedding_dimension, pooling: mode };
}

const POOLING_MODES: Readonly<Record<string, "cls" | "mean">> = {
  pooling_mode_cls_token: "cls",
  pooling_mode_mean_tokens: "mean",
};

async function readMaximum(folder: string, sequence: number | null): Promise<number> {
  const tokenizer = await readJson(`${folder}/tokenizer_config.json`, Tokenizer);
  const positions = (await readJson(`${folder}/config.json`, Config)).max_position_embeddings;
  const maximum = Math.min(sequence ?? Infinity, tokenizer.model_max_length ?? Infinity);
  if (maximum <= (positions ?? Infinity) && maximum < Infinity) return maximum;
  throw new ParleyError(
    "invalid",
    `${folder} does not say its longest input: set max_seq_length in sentence_bert_config.json`,
  );
}
