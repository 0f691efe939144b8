/**
 * Compiles lib/ml/products.wat, the text form of WebAssembly, and writes the module's bytes to the file next to it.
 *
 *     deno task wasm
 */
import wabt from "wabt";

const SOURCE = new URL("../lib/ml/products.wat", import.meta.url);
const TARGET = new URL("../lib/ml/products_wasm.ts", import.meta.url);

export async function compile(): Promise<Uint8Array> {
  const { parseWat } = await wabt();
  return parseWat("products.wat", await Deno.readTextFile(SOURCE), { simd: true }).toBinary({}).buffer;
}

if (import.meta.main) {
  const text = (await compile()).toBase64();
  await Deno.writeTextFile(
    TARGET,
    `/** products.wat, compiled by \`deno task wasm\`. */\nexport const PRODUCTS_WASM =\n  "${text}";\n`,
  );
}
