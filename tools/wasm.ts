/**
 * Compiles the files in the text form of WebAssembly, and writes each module's bytes to a file next to it.
 *
 *     deno task wasm
 */
import wabt from "wabt";

const ROOT = new URL("../", import.meta.url);

/** Source files, each with the file of its module and the name that this exports. */
export const MODULES = [
  { source: "lib/ml/products.wat", target: "lib/ml/products_wasm.ts", name: "PRODUCTS_WASM" },
  {
    source: "lib/stores/vectors/sqlite/scan.wat",
    target: "lib/stores/vectors/sqlite/scan_wasm.ts",
    name: "SCAN_WASM",
  },
] as const;

/** The text of the target of one of {@link MODULES}. */
export async function compile({ source, name }: typeof MODULES[number]): Promise<string> {
  const { parseWat } = await wabt();
  const text = await Deno.readTextFile(new URL(source, ROOT));
  const bytes = parseWat(source, text, { simd: true }).toBinary({}).buffer;
  const file = source.split("/").at(-1);
  return `/** ${file}, compiled by \`deno task wasm\`. */\nexport const ${name} =\n  "${bytes.toBase64()}";\n`;
}

if (import.meta.main) {
  for (const module of MODULES) {
    await Deno.writeTextFile(new URL(module.target, ROOT), await compile(module));
  }
}
