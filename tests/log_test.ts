import assert from "node:assert/strict";

const LOG = JSON.stringify(new URL("../lib/telemetry/log.ts", import.meta.url));
const EXIT = JSON.stringify(new URL("../commands/exit.ts", import.meta.url));

/** The messages that a process has left in the file that is its standard error. */
async function logged(code: string): Promise<{ code: number; messages: string[] }> {
  const folder = await Deno.makeTempDir({ prefix: "parley-log-" });
  try {
    await Deno.writeTextFile(
      `${folder}/main.ts`,
      `import { openLog } from ${LOG};
       import { shutdownSignal } from ${EXIT};
       const log = (await openLog("info"))("test");
       const info = (message: string) => log.info(message, {});
       const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
       ${code}`,
    );
    const config = new URL("../deno.json", import.meta.url).pathname;
    const args = ["run", "--quiet", "--no-check", "--config", config, "--allow-all", `${folder}/main.ts`];
    const child = await new Deno.Command("bash", {
      args: ["-c", `exec "$@" 2>${folder}/log`, "bash", Deno.execPath(), ...args],
    }).output();
    const lines = (await Deno.readTextFile(`${folder}/log`)).split("\n");
    assert.equal(lines.pop(), "", "the last line is whole");
    return { code: child.code, messages: lines.map((line) => JSON.parse(line).message) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (
  const [how, code, end] of [
    ["runs to its end", 0, `info("last");`],
    ["exits", 3, `info("last"); Deno.exit(3);`],
    [
      "is asked to end",
      0,
      `shutdownSignal().signal.onabort = () => { info("last"); Deno.exit(0); };
       Deno.kill(Deno.pid, "SIGTERM");
       await pause(60_000);`,
    ],
    [
      "is ended by a second Ctrl-C",
      130,
      `shutdownSignal();
       Deno.kill(Deno.pid, "SIGINT");
       await pause(1_500);
       info("last");
       Deno.kill(Deno.pid, "SIGINT");
       await pause(60_000);`,
    ],
  ] as const
) {
  Deno.test(`the log's last line is on disk when a process ${how}`, async () =>
    assert.deepEqual(await logged(`info("first"); ${end}`), { code, messages: ["first", "last"] }));
}

Deno.test("the log leaves out what is below its level, and fills in details once", async () => {
  const { messages } = await logged(`
    log.debug("hidden", {});
    log.info("{a} of {b}", { a: "{b}", b: 2 });`);
  assert.deepEqual(messages, ["{b} of 2"]);
});

Deno.test("a line of the log waits for others 100 ms at most, and a warning not at all", async () => {
  const read = "Deno.statSync(Deno.mainModule.slice(7).replace('main.ts', 'log')).size";
  const { messages } = await logged(`
    const sizes: number[] = [];
    info("one"); sizes.push(${read});
    log.warning("two", {}); sizes.push(${read});
    info("three"); sizes.push(${read});
    await pause(1_000); sizes.push(${read});
    log.error("{sizes}", { sizes: JSON.stringify(sizes) });`);
  assert.deepEqual(messages.slice(0, 3), ["one", "two", "three"]);
  const [none, both, same, all] = JSON.parse(JSON.parse(`"${messages[3]}"`));
  assert.ok(none === 0 && both > 0 && same === both && all > both, messages[3]);
});
