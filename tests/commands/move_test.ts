import assert from "node:assert/strict";
import { readEnvironment } from "../../lib/environment.ts";
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
    for (const url of ["mysql://u:secret-word@localhost/db", "postgres //u:secret-word@localhost/db"]) {
      await fails(["--to", url], 2, /^(?!.*secret-word).*is not a place to move between/s);
    }
    Deno.mkdirSync(`${folder}/.parley`);
    Deno.writeTextFileSync(`${folder}/.parley/move.json`, "{");
    await fails(["--to", to], 1, /its record cannot be read: delete .*move\.json/);
    const state = { done: {}, part: null, after: null, rows: 0 };
    Deno.writeTextFileSync(`${folder}/.parley/move.json`, JSON.stringify({ places: ["other"], state }));
    await fails(["--to", to], 1, /another move was interrupted/);
    Deno.removeSync(`${folder}/.parley/move.json`);
    assert.equal((await runHere(folder, ["move", "--to", to], { env })).code, 0);
    await fails(["--to", to], 1, /has documents already: empty it by `deno task reset --stores documents,/);
  }));

Deno.test("a target with data is emptied as move says, without harm to a source in the data folder, and moved to again", () =>
  withFolder(async (folder, env) => {
    assert.equal((await runHere(folder, ["move", "--to", "embedded"], { env })).code, 0);
    const to = settingsFile(folder, "new");
    const moveOn = () => runHere(folder, ["move", "--to", to, "--json"]);
    const first = await moveOn();
    assert.equal(first.code, 0, first.stderr);
    const [, args] = (await moveOn()).stderr.match(/`deno task (reset --stores [a-z,]+)`/)!;
    const target = readEnvironment({ file: to, process: {} }) as Record<string, string>;
    const emptied = await runHere(folder, [...args!.split(" "), "--yes"], { env: target });
    assert.equal(emptied.code, 0, emptied.stderr);
    assert.match(emptied.stdout, /^runs: nothing is left on sqlite:.*new/m);
    const repeated = await moveOn();
    assert.deepEqual([repeated.code, repeated.stdout], [0, first.stdout], repeated.stderr);
  }));

Deno.test("reset --stores removes these stores alone, and refuses other names", () =>
  withFolder(async (folder, env) => {
    assert.equal((await runHere(folder, ["move", "--to", "embedded"], { env })).code, 0);
    const removed = await runHere(folder, ["reset", "--stores", "graph,vectors", "--yes"]);
    assert.deepEqual(
      [removed.code, removed.stdout.match(/^\w+/gm)],
      [0, ["graph", "vectors"]],
      removed.stderr,
    );
    assert.deepEqual(databasesIn(`${folder}/.parley`), ["analytics.db", "documents.db", "runs.db"]);
    for (const args of [["--stores", "graphs"], ["--stores", "graph", "--all"], []]) {
      assert.equal((await runHere(folder, ["reset", ...args, "--yes"])).code, 2, args.join(" "));
    }
    assert.deepEqual(databasesIn(`${folder}/.parley`), ["analytics.db", "documents.db", "runs.db"]);
  }));

function databasesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".db")).sort();
}

Deno.test("move takes the data folder that a file of settings names", () =>
  withFolder(async (folder, env) => {
    const to = `${folder}/to.env`;
    Deno.writeTextFileSync(to, `PARLEY_DATA=${folder}/other\n`);
    const { code, stderr } = await runHere(folder, ["move", "--to", to], { env });
    assert.equal(code, 0, stderr);
    for (const name of ["documents", "graph", "analytics", "runs"]) {
      assert.ok(Deno.statSync(`${folder}/other/${name}.db`).size > 0, name);
    }
  }));

Deno.test("reset --all names databases of the folder that no setting names, such as the source of a move", () =>
  withFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/.parley`);
    for (const name of ["documents", "graph"]) Deno.writeTextFileSync(`${folder}/.parley/${name}.db`, "");
    const env = { PARLEY_DOCUMENTS: `sqlite:${folder}/elsewhere/documents.db` };
    const { code, stderr } = await runHere(folder, ["reset", "--all"], { env });
    assert.equal(code, 1);
    assert.match(stderr, /\.parley \(also documents\.db, which no setting names any more\), pass --yes/);
  }));

Deno.test("doctor says that a move was interrupted, and how to continue it", () =>
  withFolder(async (folder, env) => {
    Deno.mkdirSync(`${folder}/.parley`);
    Deno.writeTextFileSync(`${folder}/.parley/move.json`, "{}");
    const { code, stdout } = await runHere(folder, ["doctor"], { env });
    assert.equal(code, 1);
    assert.match(stdout, /`deno task move` was interrupted, .*run the same command again/);
  }));
