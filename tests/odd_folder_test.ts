import assert from "node:assert/strict";
import { until } from "./fixtures/commands.ts";
import { ROOT } from "./fixtures/flow.ts";
import { message } from "./fixtures/rows.ts";

/** All that is special in a URL, in a flag of Deno or to a shell. */
const NAME = "C# & what? 100% a%20b back\\slash, [é]";

const ENV = { NO_COLOR: "1", PARLEY_EMBEDDINGS: "test:64", PARLEY_ALLOW_TEST_EMBEDDER: "1" };

Deno.test("the program and its data may be in a folder whose name has # ? % \\ and a comma in it", async () => {
  const above = await Deno.makeTempDir();
  const folder = `${above}/${NAME}`;
  const run = async (task: string, ...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args: ["task", task, ...args],
      cwd: folder,
      env: ENV,
    }).output();
    const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
    assert.equal(code, 0, text);
    return text;
  };
  try {
    await Deno.mkdir(folder);
    const parts = [
      "commands",
      "lib",
      "tasks",
      "routes",
      "sample",
      "main.ts",
      "deps.ts",
      "deno.json",
      "deno.lock",
    ];
    await new Deno.Command("cp", { args: ["-r", ...parts.map((part) => ROOT + part), folder] }).output();
    await Deno.writeTextFile(`${folder}/m.ndjson`, JSON.stringify(message()));
    await start(folder);
    await run("pipeline", "--messages", "m.ndjson");
    assert.match(
      await run("doctor"),
      new RegExp(`sqlite:${RegExp.escape(folder)}/.parley/documents.db: \\d+ messages`),
    );
    const made = [...Deno.readDirSync(`${folder}/.parley`)].map(({ name }) => name);
    assert.ok(["documents.db", "artifacts", "vectors"].every((name) => made.includes(name)), made.join());
    assert.deepEqual(
      [...Deno.readDirSync(above)].map(({ name }) => name),
      [NAME],
      "nothing is made elsewhere",
    );
  } finally {
    await Deno.remove(above, { recursive: true });
  }
});

/** `start` loads the sample by a process of its own. */
async function start(folder: string): Promise<void> {
  const child = new Deno.Command("deno", {
    args: ["task", "start"],
    cwd: folder,
    env: { ...ENV, PARLEY_PORT: "0" },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const { text, rest } = await until(child.stdout, /^Parley answers at/m);
  assert.match(text, /^run nightly-\S+: success/m);
  child.kill("SIGTERM");
  await rest();
  assert.equal((await child.status).code, 0);
}
