import assert from "node:assert/strict";
import { flowTemplate, loadSample } from "../fixtures/flow.ts";
import { runHere } from "../fixtures/commands.ts";
import { embeddedIn } from "../fixtures/move.ts";
import { settingsFile } from "../fixtures/stores.ts";

const withSample = flowTemplate(loadSample);

/** Gives a folder with the sample loaded, and the environment in which it is the data in use. */
const withFolder = (body: (folder: string, env: Record<string, string>) => Promise<void>) =>
  withSample(({ config, input }) => body(input, embeddedIn(config.data)));

Deno.test("move copies all stores to those of a file of settings, and back, and says so", () =>
  withFolder(async (folder, env) => {
    const to = settingsFile(folder, "new");
    const { code, stdout, stderr } = await runHere(folder, ["move", "--to", to], { env });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^documents +equal +\d+$/m);
    assert.match(stdout, /^runs +equal +\d+$/m);
    assert.match(stderr, /To use the new one, use the settings of .*new\.env, and start Parley/);
    assert.throws(() => Deno.statSync(`${folder}/.parley/move.json`), Deno.errors.NotFound);
    const back = settingsFile(folder, "back");
    const json = await runHere(folder, ["move", "--from", to, "--to", back, "--json"], { env });
    assert.equal(json.code, 0, json.stderr);
    const { roles } = JSON.parse(json.stdout);
    assert.ok(roles.every((role: { from: string; to: string }) => role.from === role.to));
  }));

Deno.test("move refuses a target with data, the same place, another place than known, and a second move", () =>
  withFolder(async (folder, env) => {
    const to = settingsFile(folder, "new");
    const fails = async (args: string[], expected: number, text: RegExp) => {
      const { code, stderr } = await runHere(folder, ["move", ...args], { env });
      assert.match(stderr, text);
      assert.equal(code, expected, stderr);
    };
    await fails(["--from", to, "--to", to], 2, /name the same stores/);
    await fails(["--to", `${folder}/none.env`], 2, /is not a place to move between/);
    await fails(["--to", "mysql://localhost"], 2, /is not a place to move between/);
    Deno.mkdirSync(`${folder}/.parley`);
    Deno.writeTextFileSync(`${folder}/.parley/move.json`, "{");
    await fails(["--to", to], 1, /its record cannot be read: delete .*move\.json/);
    const state = { done: {}, part: null, after: null, rows: 0 };
    Deno.writeTextFileSync(`${folder}/.parley/move.json`, JSON.stringify({ places: ["other"], state }));
    await fails(["--to", to], 1, /another move was interrupted/);
    Deno.removeSync(`${folder}/.parley/move.json`);
    assert.equal((await runHere(folder, ["move", "--to", to], { env })).code, 0);
    await fails(["--to", to], 1, /has documents already: empty it by `deno task reset --all`/);
  }));
