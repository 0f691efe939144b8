import assert from "node:assert/strict";
import { builtInDags } from "../../commands/engine.ts";
import { loadConfig } from "../../lib/config.ts";
import { runHere, withFolder } from "../fixtures/commands.ts";
import { ROOT } from "../fixtures/flow.ts";

/** Whether Python takes all files of a folder; true without Python. */
async function compiles(folder: string): Promise<boolean> {
  try {
    const args = ["-m", "compileall", "-q", folder];
    return (await new Deno.Command("python3", { args, stdout: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

Deno.test("`airflow export` writes a DAG file for each dag, with what it declares as JSON, and names those that it cannot", () =>
  withFolder(async (folder) => {
    const parley = (...args: string[]) => {
      const env = { PARLEY_DAGS: `${ROOT}tests/fixtures/airflow_dags`, PARLEY_SCHEDULE: "off" };
      return runHere(folder, ["airflow", "export", "--out", `${folder}/airflow`, ...args], { env });
    };
    const { code, stdout, stderr } = await parley();
    assert.equal(code, 1, stderr);
    assert.match(stderr, /dag "mapped": task "each" has expand, which cannot be exported/);
    const files = stdout.trim().split("\n").map((path) => path.split("/").at(-1)!.slice(0, -3));
    const ids = [...builtInDags(loadConfig({})).keys(), "cases"];
    assert.deepEqual(files, ids.map((id) => `parley_${id}`));
    assert.match(stderr, /no schedule, because PARLEY_SCHEDULE is off/);
    assert.ok(await compiles(`${folder}/airflow`));
    const text = await Deno.readTextFile(`${folder}/airflow/parley_cases.py`);
    const { tasks, ...dag } = JSON.parse(/json\.loads\(r"""(.*?)"""\)/s.exec(text)![1]!);
    assert.equal(dag.doc_md, `Ends in "each" way, it's said \\ here.`);
    assert.deepEqual(Object.keys(dag.params), ["rows", "repaired"]);
    assert.equal(tasks.length, 9);
    assert.equal((await parley("--dag", "cases")).code, 0);
    const none = await parley("--dag", "nightli");
    assert.deepEqual([none.code, /did you mean "nightly"/.test(none.stderr)], [2, true]);
  }));
