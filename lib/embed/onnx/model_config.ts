import { z } from "../../../deps.ts";
import { ParleyError } from "../../core/errors.ts";
import type { Purpose } from "../port.ts";
import { type Dtype, findWeights, isFile, type Weights } from "./weights.ts";

/** What the files of a sentence-transformers folder with an ONNX export say about how to use the model. */
export interface ModelConfig extends Weights {
  /** The folder that holds the model's folder, without a trailing slash. */
  readonly parent: string;
  /** The name of the model's folder. */
  readonly name: string;
  readonly dimension: number;
  readonly pooling: "mean" | "cls";
  /** Longest input in tokens, special tokens included. */
  readonly max_tokens: number;
  /** Whether texts are lower-cased before they are tokenised. */
  readonly lowercase: boolean;
  /** The prompt before each text; empty for most models. */
  readonly prompts: Readonly<Record<Purpose, string>>;
}

const Modules = z.array(z.object({ path: z.string(), type: z.string() }));
const Pooling = z.object({
  word_embedding_dimension: z.number().int().positive(),
  pooling_mode_cls_token: z.boolean().default(false),
  pooling_mode_mean_tokens: z.boolean().default(false),
  include_prompt: z.boolean().default(true),
}).catchall(z.unknown());
const SentenceBert = z.object({ max_seq_length: z.number().nullish(), do_lower_case: z.boolean().nullish() });
const Tokenizer = z.object({ model_max_length: z.number().nullish() });
const Config = z.object({ max_position_embeddings: z.number().nullish() });
const Prompts = z.object({
  prompts: z.record(z.string(), z.string()).nullish(),
  default_prompt_name: z.string().nullish(),
});

/**
 * Reads a model folder's own description, with the weights of that dtype where one is given. `not_found` where a file is
 * missing, `invalid` where one cannot be read, `unsupported` for a model that needs more than cls or mean pooling and
 * normalisation.
 */
export async function readModelConfig(folder: string, dtype: Dtype | null = null): Promise<ModelConfig> {
  const path = await realFolder(folder);
  const split = path.lastIndexOf("/");
  const sentence = await readJson(`${path}/sentence_bert_config.json`, SentenceBert);
  const prompts = await readPrompts(path);
  return {
    parent: path.slice(0, split),
    name: path.slice(split + 1),
    ...await findWeights(path, dtype),
    ...await readPooling(path, Object.values(prompts).some((prompt) => prompt !== "")),
    max_tokens: await readMaximum(path, sentence.max_seq_length ?? null),
    lowercase: sentence.do_lower_case ?? false,
    prompts,
  };
}

/** The folder that holds how the model pools, as its `modules.json` says. */
export async function poolingFolder(folder: string): Promise<string> {
  const modules = await readJson(`${folder}/modules.json`, Modules);
  const kinds = modules.map((module) => module.type.split(".").at(-1)).join(" ");
  if (kinds !== "Transformer Pooling Normalize" && kinds !== "Transformer Pooling") {
    throw new ParleyError("unsupported", `${folder} needs the modules ${kinds}; Parley has pooling only`);
  }
  return modules[1]!.path;
}

async function realFolder(folder: string): Promise<string> {
  try {
    return (await Deno.realPath(folder)).replaceAll("\\", "/");
  } catch (cause) {
    throw fileError(folder, cause);
  }
}

function fileError(path: string, cause: unknown): ParleyError {
  if (cause instanceof Deno.errors.NotCapable) {
    return new ParleyError("denied", `no permission to read the embedding model's ${path}`, { cause });
  }
  if (cause instanceof Deno.errors.NotFound) {
    const hint = "look at the folder that PARLEY_EMBEDDINGS, or a run's param model, names";
    return new ParleyError("not_found", `the embedding model's ${path} does not exist: ${hint}`);
  }
  return new ParleyError("not_found", `the embedding model's ${path} cannot be read`, { cause });
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  const text = await Deno.readTextFile(path).catch((cause) => {
    throw fileError(path, cause);
  });
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ParleyError("invalid", `${path} does not describe a sentence-transformers model`, { cause });
  }
}

async function readPooling(
  folder: string,
  hasPrompts: boolean,
): Promise<Pick<ModelConfig, "dimension" | "pooling">> {
  const pooling = await readJson(`${folder}/${await poolingFolder(folder)}/config.json`, Pooling);
  const modes = Object.keys(pooling).filter((key) =>
    key.startsWith("pooling_mode_") && pooling[key] === true
  );
  const mode = modes.length === 1 && POOLING_MODES[modes[0] ?? ""];
  if (!mode) throw new ParleyError("unsupported", `${folder} pools by ${modes.join(" and ") || "nothing"}`);
  if (hasPrompts && !pooling.include_prompt) {
    throw new ParleyError("unsupported", `${folder} leaves its prompts out of pooling; Parley cannot`);
  }
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

/** Names that models give to the prompts of one purpose, the usual first. */
const PROMPT_NAMES: Readonly<Record<Purpose, readonly string[]>> = {
  query: ["query"],
  document: ["document", "passage"],
};

/** As sentence-transformers reads them; a model without that file has none. */
async function readPrompts(folder: string): Promise<Record<Purpose, string>> {
  const path = `${folder}/config_sentence_transformers.json`;
  if (!await isFile(path)) return { query: "", document: "" };
  const { prompts, default_prompt_name } = await readJson(path, Prompts);
  const promptFor = (purpose: Purpose) =>
    [...PROMPT_NAMES[purpose], default_prompt_name ?? ""].map((name) => prompts?.[name])
      .find((prompt) => prompt !== undefined) ?? "";
  return { query: promptFor("query"), document: promptFor("document") };
}
