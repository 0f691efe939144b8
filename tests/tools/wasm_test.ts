import assert from "node:assert/strict";
import { compile, MODULES } from "../../tools/wasm.ts";

for (const module of MODULES) {
  Deno.test(`${module.target} has what ${module.source} compiles to`, async () => {
    const text = await Deno.readTextFile(new URL(`../../${module.target}`, import.meta.url));
    assert.equal(text, await compile(module), "run deno task wasm");
  });
}
