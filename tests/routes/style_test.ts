import assert from "node:assert/strict";
import { ASSETS } from "../../routes/http/assets.ts";

Deno.test("the style is every file of its folder, and nothing else", async () => {
  const folder = new URL("../../routes/assets/style/", import.meta.url);
  let length = 0;
  for (const { name } of Deno.readDirSync(folder)) {
    const text = await Deno.readTextFile(new URL(name, folder));
    assert.ok(ASSETS.style.text.includes(text), `${name} is not served`);
    length += text.length;
  }
  assert.equal(ASSETS.style.text.length, length);
});
