import assert from "node:assert/strict";

const CODE = `
  import { shutdownSignal } from ${JSON.stringify(new URL("../../commands/exit.ts", import.meta.url))};
  const { signal } = shutdownSignal();
  console.log("ready");
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  console.log("stopped in order");
  Deno.exit(0);`;

/** What a process printed and its exit code, given SIGINT after so many milliseconds each. */
async function interrupted(times: readonly number[]): Promise<{ code: number; text: string }> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, CODE);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--config", config, "--allow-all", path],
    stdout: "piped",
  }).spawn();
  let text = "";
  const read = (async () => {
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (text === "") { for (const ms of times) setTimeout(() => child.kill("SIGINT"), ms); }
      text += part;
    }
  })();
  const { code } = await child.status;
  await read;
  await Deno.remove(path);
  return { code, text };
}

Deno.test("shutdownSignal() takes one Ctrl-C that arrives twice for one", async () => {
  assert.deepEqual(await interrupted([0, 50, 100]), { code: 0, text: "ready\nstopped in order\n" });
});

Deno.test("shutdownSignal() ends the process at once at a second Ctrl-C", async () => {
  assert.deepEqual(await interrupted([0, 1_000]), { code: 130, text: "ready\n" });
});
