import assert from "node:assert/strict";
import { until, withFolder } from "../fixtures/commands.ts";

const SPAWN = new URL("../../commands/spawn.ts", import.meta.url).href;
const CONFIG = new URL("../../lib/config.ts", import.meta.url).href;

/** Starts the pipeline on a pipe without a writer, and ends it on request. */
const PARENT = `
import { spawnPipeline } from "${SPAWN}";
import { loadConfig } from "${CONFIG}";
void spawnPipeline(loadConfig({}), ["--messages", "silent"]);
await Deno.stdin.read(new Uint8Array(1));
Deno.exit(130);
`;

Deno.test("spawnPipeline() leaves no process behind if this one is ended at once", () =>
  withFolder(async (folder) => {
    await new Deno.Command("mkfifo", { args: [`${folder}/silent`] }).output();
    Deno.writeTextFileSync(`${folder}/parent.ts`, PARENT);
    const parent = new Deno.Command("deno", {
      args: ["run", "--quiet", "--no-check", "--allow-all", "--config", configFile(), "parent.ts"],
      cwd: folder,
      env: { PARLEY_EMBEDDINGS: "test:64" },
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const { rest } = await until(parent.stderr, /ingest: started/);
    const writer = parent.stdin.getWriter();
    await writer.write(new Uint8Array(1));
    assert.equal((await parent.status).code, 130);
    // What both write to is closed once the child has ended too.
    const { promise, resolve } = Promise.withResolvers<string>();
    const timer = setTimeout(() => resolve("the child is still there"), 30_000);
    assert.equal(await Promise.race([rest().then(() => "closed"), promise]), "closed");
    clearTimeout(timer);
    await writer.close().catch(() => {}); // The reader is gone, and with it the pipe.
  }));

/** Runs the dag below in a process of its own, and ends as that does. */
const RUNS_OWN = `
import { spawnPipeline } from "${SPAWN}";
import { loadConfig } from "${CONFIG}";
Deno.exit(await spawnPipeline(loadConfig(Deno.env.toObject()), ["run", "own"]));
`;
const WRITES = (path: string) =>
  `import { defineDag, Fail } from "parley";
const run = () => Deno.writeTextFile(${
    JSON.stringify(path)
  }, "x").catch((error) => { throw new Fail(error.name); });
export default defineDag({ id: "own", tasks: [{ id: "a", run }] });
`;

Deno.test("spawnPipeline() grants what PARLEY_WORKER_PERMISSIONS adds, and nothing more", () =>
  withFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/dags`);
    Deno.writeTextFileSync(`${folder}/dags/own.ts`, WRITES(`${folder}/reports/a.txt`));
    Deno.mkdirSync(`${folder}/reports`);
    Deno.writeTextFileSync(`${folder}/parent.ts`, RUNS_OWN);
    for (const [permissions, code] of [["", 1], [`--allow-write=${folder}/reports`, 0]] as const) {
      const { code: found, stderr } = await new Deno.Command("deno", {
        args: ["run", "--quiet", "--no-check", "--allow-all", "--config", configFile(), "parent.ts"],
        cwd: folder,
        env: {
          PARLEY_DATA: `${folder}/data`,
          PARLEY_DAGS: `${folder}/dags`,
          PARLEY_EMBEDDINGS: "test:64",
          PARLEY_WORKER_PERMISSIONS: permissions,
        },
      }).output();
      assert.equal(found, code, new TextDecoder().decode(stderr));
    }
    assert.equal(Deno.readTextFileSync(`${folder}/reports/a.txt`), "x");
  }));

function configFile(): string {
  return decodeURIComponent(new URL("../../deno.json", import.meta.url).pathname);
}
