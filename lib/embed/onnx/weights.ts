import { createHash } from "../../../deps.ts";
import { ParleyError } from "../../core/errors.ts";

/** What ends the name of an ONNX file, by the type of its numbers; the first that a folder holds is taken. */
const SUFFIXES = { q8: "_quantized", fp32: "", int8: "_int8", uint8: "_uint8", fp16: "_fp16" } as const;
export type Dtype = keyof typeof SUFFIXES;
export const DTYPES = Object.keys(SUFFIXES) as Dtype[];

/** Which of a model's ONNX files is used. */
export interface Weights {
  readonly dtype: Dtype;
  /** Its path in the model's folder; empty for the folder itself. */
  readonly subfolder: "onnx" | "";
  /** Its path. */
  readonly onnx: string;
}

/** ONNX files that may be there, best first, as paths within the model's folder. */
export function candidates(dtype: Dtype | null): { file: string; dtype: Dtype; subfolder: "onnx" | "" }[] {
  const dtypes = dtype === null ? DTYPES : [dtype];
  return (["onnx", ""] as const).flatMap((subfolder) =>
    dtypes.map((dtype) => ({
      file: `${subfolder === "" ? "" : `${subfolder}/`}model${SUFFIXES[dtype]}.onnx`,
      dtype,
      subfolder,
    }))
  );
}

/** The weights to use: of that dtype, or the first that exist. `not_found` if no weights exist. */
export async function findWeights(folder: string, dtype: Dtype | null): Promise<Weights> {
  for (const { file, ...rest } of candidates(dtype)) {
    const onnx = `${folder}/${file}`;
    if (await isFile(onnx)) return { ...rest, onnx };
  }
  const files = candidates(dtype).map(({ file }) => file).join(", ");
  throw new ParleyError("not_found", `${folder} holds no ONNX weights: it should have one of ${files}`);
}

/** Parts of the weights that are files next to the ONNX file: large models have one. */
export const externalOf = (onnx: string) => `${onnx}_data`;

/** First 16 hex digits of the SHA-256 of the weights; reads them all. */
export const hashWeights = (onnx: string) => hashFiles([onnx, externalOf(onnx)]);

/** First 16 hex digits of the SHA-256 of files, one after another; leaves out what is not there. */
export async function hashFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    if (!await isFile(path)) continue;
    using file = await Deno.open(path);
    for await (const bytes of file.readable) hash.update(bytes);
  }
  return hash.digest("hex").slice(0, 16);
}

export function isFile(path: string): Promise<boolean> {
  return Deno.stat(path).then((stat) => stat.isFile, () => false);
}
