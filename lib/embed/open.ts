import { ParleyError } from "../core/errors.ts";
import { openDeterministic } from "./deterministic.ts";
import { openOnnx } from "./onnx.ts";
import type { Embedder } from "./port.ts";

/**
 * Opens an embedder by URL: `onnx:<folder>` runs a sentence-transformers folder with an ONNX export on this machine,
 * `test:<dimension>` hashes words. `sessions` is how many texts an ONNX model embeds at once; one a core by default.
 * Models load at the first text; throws `invalid` for another scheme and what {@link openOnnx} throws.
 */
export async function openEmbedder(o: { url: string; sessions?: number }): Promise<Embedder> {
  const split = o.url.indexOf(":");
  const scheme = o.url.slice(0, Math.max(split, 0));
  const rest = o.url.slice(split + 1);
  if (scheme === "onnx" && rest !== "") {
    return await openOnnx({ folder: rest, sessions: o.sessions ?? navigator.hardwareConcurrency });
  }
  if (scheme === "test") return openDeterministic(rest);
  throw new ParleyError("invalid", `no embedder opens ${o.url}; use onnx:<folder> or test:<dimension>`);
}
