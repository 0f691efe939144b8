import { z } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import { type Source, SOURCES, type Sources } from "./answer.ts";
import { decodeVersionFile, encodeVersionFile, magicOf, type VersionFileFormat } from "./version_file.ts";

/** The weights of sources that a data version's answers are scored with. */
export interface Ranker {
  /** As `WEIGHTS`, which count if a version has none: 0 or more, popularity above 0; only their ratios matter. */
  readonly weights: Sources;
  /** The data version that they were learnt for, which may be an earlier one; null for the fixed ones. */
  readonly learnt_for: number | null;
  /** When weights were last learnt and compared with those before; null if they never were. */
  readonly comparison: Comparison | null;
}

export interface Comparison {
  /** The model of the vectors, as a key. */
  readonly model: string;
  /** How many events were stored. */
  readonly events: number;
  /** Why the learnt weights do not count; null if they do. */
  readonly held_back: HeldBack | null;
}

export interface HeldBack {
  /** By how much NDCG@10 changed, with its 95 % interval. */
  readonly difference: { readonly mean: number; readonly low: number; readonly high: number };
  /** On how many queries. */
  readonly queries: number;
  /** An ISO time. */
  readonly since: string;
}

/** The name of their file in a data version. They are fitted over users and hold no data of a single one. */
export const RANKER_FILE = "ranker";

const FORMAT: VersionFileFormat = { title: "ranking weights", magic: magicOf("PRK", 1), arrays: [] };

const WEIGHT = z.number().min(0);
const RANKER = z.strictObject({
  weights: z.strictObject(
    Object.fromEntries(
      SOURCES.map((source) => [source, source === "popularity" ? z.number().positive() : WEIGHT]),
    ) as Record<Source, typeof WEIGHT>,
  ),
  learnt_for: z.int().min(1).nullable(),
  comparison: z.strictObject({
    model: z.string(),
    events: z.int().min(0),
    held_back: z.strictObject({
      difference: z.strictObject({ mean: z.number(), low: z.number(), high: z.number() }),
      queries: z.int().min(0),
      since: z.iso.datetime(),
    }).nullable(),
  }).nullable().default(null),
});

export function encodeRanker(ranker: Ranker): Uint8Array {
  return encodeVersionFile(FORMAT, { arrays: [], texts: [], json: ranker });
}

/** The ranker in a file. Throws `mismatch` if the file has another format or is damaged, or its weights are not those of the sources. */
export async function decodeRanker(file: Uint8Array): Promise<Ranker> {
  const { json } = await decodeVersionFile(FORMAT, file);
  const { data, error } = RANKER.safeParse(json);
  if (data !== undefined) return data;
  throw new ParleyError("mismatch", `the file of ${FORMAT.title} cannot be used: ${z.prettifyError(error)}`);
}
