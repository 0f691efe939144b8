import assert from "node:assert/strict";
import { withFolder } from "../fixtures/commands.ts";
import { ROOT } from "../fixtures/flow.ts";

Deno.test("`deno task test PATH…` runs the tests of those files once, except ignored ones, and fails if one fails", () =>
  withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/deep/ignored`, { recursive: true });
    const write = (path: string, body: string) =>
      Deno.writeTextFile(`${folder}/${path}`, `Deno.test("${path}", () => { ${body} });`);
    for (let n = 0; n < 40; n++) await write(`${n}_test.ts`, "");
    await write("deep/bad_test.tsx", 'throw new Error("bad");');
    await write("deep/ignored/any_test.ts", "");
    await write("deep/fixture.ts", "");
    const run = async (...args: string[]) => {
      const { code, stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "test", ...args],
        cwd: ROOT,
        env: { NO_COLOR: "1" },
      }).output();
      return { code, said: new TextDecoder().decode(stdout) };
    };
    const ignore = `--ignore=${folder}/deep/ignored`;
    const all = await run(ignore, folder);
    assert.notEqual(all.code, 0);
    assert.match(all.said, /\| 40 passed \| 1 failed/);
    assert.match(
      all.said,
      /^deep\/bad_test\.tsx => .*\/deep\/bad_test\.tsx:1:6$/m,
      "a failure names its file",
    );
    const some = await run(ignore, `${folder}/7_test.ts`, `${folder}/8_test.ts`, "--filter=7_");
    assert.equal(some.code, 0, some.said);
    assert.match(some.said, /\| 1 passed \| 0 failed .*1 filtered out/);
    assert.notEqual((await run(ignore, `${folder}/deep/ignored`)).code, 0, "no test was found");
  }));
