import assert from "node:assert/strict";
import { ROOT } from "../fixtures/flow.ts";

const PATH = "tests/lib/core/text_test.ts";

Deno.test("`deno test -P PATH` runs those tests alone", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-P", "--no-check", PATH],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.equal(code, 0, text);
  assert.deepEqual([...new Set(text.match(/\.\/tests\/\S+_test\.ts/g))], [`./${PATH}`]);
});
