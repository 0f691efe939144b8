import assert from "node:assert/strict";
import { runHere, withFolder } from "../fixtures/commands.ts";

Deno.test("`dag new` writes a dag that other commands find, and overwrites none", () =>
  withFolder(async (folder) => {
    const env = { PARLEY_DAGS: `${folder}/dags` };
    const parley = (...args: string[]) => runHere(folder, args, { env });
    assert.equal((await parley("dag", "new", "stale_campaigns")).code, 0);
    const again = await parley("dag", "new", "stale_campaigns");
    assert.deepEqual([again.code, again.stderr], [
      2,
      `parley: ${folder}/dags/stale_campaigns.ts exists: choose another name\n`,
    ]);
    assert.equal((await parley("dag", "new", "../up")).code, 2);
    const { code, stdout, stderr } = await parley("pipeline", "run", "stale_campaigns");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /count +skipped/);
  }));

Deno.test("a file of own dags with an error is in the list, in anomalies and in doctor, and stops no run", () =>
  withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/dags`);
    await Deno.writeTextFile(`${folder}/dags/broken.ts`, "export default 1;");
    const parley = (...args: string[]) => runHere(folder, args, { env: { PARLEY_DAGS: `${folder}/dags` } });
    const list = await parley("pipeline", "list");
    assert.match(list.stdout, /^nightly /m);
    assert.match(list.stdout, /broken\.ts {2}cannot run: it exports no dag/);
    const anomalies = await parley("pipeline", "anomalies", "--json");
    assert.equal(anomalies.code, 1);
    const { open }: { open: { code: string; text: string }[] } = JSON.parse(anomalies.stdout);
    const found = open.find(({ code }) => code === "dags_unusable")!;
    assert.match(found.text, /^The dags of .*broken\.ts cannot run: it exports no dag/);
    assert.match((await parley("doctor")).stdout, /broken\.ts cannot run: it exports no dag/);
    const unknown = await parley("pipeline", "run", "brocken");
    assert.deepEqual([unknown.code, /broken\.ts cannot run/.test(unknown.stderr)], [2, true]);
  }));
