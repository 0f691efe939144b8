/** The commands on servers, each with no more permissions than its line in deno.json gives. */
import assert from "node:assert/strict";
import { ALL_SETTINGS } from "../fixtures/faults.ts";
import { ROOT } from "../fixtures/flow.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

function command(task: string, args: readonly string[], env: Record<string, string>): Deno.Command {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const permissions = tasks[task].command.split(" ").filter((word: string) => word.startsWith("--allow-"));
  return new Deno.Command("deno", {
    args: ["run", "--quiet", "--no-prompt", ...permissions, `${ROOT}main.ts`, ...args],
    cwd: env.FOLDER!,
    env: { NO_COLOR: "1", PARLEY_EMBEDDINGS: "test:64", PARLEY_ALLOW_TEST_EMBEDDER: "1", ...env },
    stdout: "piped",
    stderr: "inherit",
  });
}

/** The question that `start` suggests once it answers. */
async function askedFor(stdout: ReadableStream<Uint8Array>): Promise<string> {
  let said = "";
  for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    const [, url] = /"(http[^"]+)"/.exec(said) ?? [];
    if (url !== undefined) return url;
  }
  throw new Error(`start ended and had said: ${said}`);
}

const missing = missingServers(ALL_SETTINGS);
Deno.test({
  name: `start loads the sample into all servers, and doctor finds them in order${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env: urls, drop } = freshServers(ALL_SETTINGS);
    const env = {
      ...urls,
      FOLDER: await Deno.makeTempDir({ prefix: "parley-commands-" }),
      PARLEY_PORT: "0",
      PARLEY_ANSWER_MS: "30000",
    };
    try {
      const child = command("start", ["start"], env).spawn();
      try {
        const url = await askedFor(child.stdout);
        const response = await fetch(url);
        const text = await response.text();
        assert.equal(response.status, 200, text);
        const { items, degraded } = JSON.parse(text);
        assert.deepEqual([items.length > 0, degraded], [true, []]);
      } finally {
        child.kill("SIGTERM");
        assert.equal((await child.status).code, 0);
      }
      const { code, stdout } = await command("doctor", ["doctor"], { ...env, PARLEY_SCHEDULE: "off" })
        .output();
      const told = new TextDecoder().decode(stdout);
      assert.equal(code, 0, told);
      assert.match(told, /mongodb[^]*postgres[^]*Everything is in order/);
    } finally {
      await Deno.remove(env.FOLDER, { recursive: true });
      await drop();
    }
  },
});
