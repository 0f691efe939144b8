import assert from "node:assert/strict";
import { ROOT } from "../fixtures/flow.ts";

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

/** Starts a task of deno.json as the head of a process group, over a data folder of its own. */
function startTask(data: string, args: readonly string[], env: Record<string, string>): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...args],
    cwd: ROOT,
    env: {
      NO_COLOR: "1",
      PARLEY_DATA: data,
      PARLEY_EMBEDDINGS: "test:64",
      PARLEY_ALLOW_TEST_EMBEDDER: "1",
      PARLEY_PORT: "0",
      ...env,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
}

/** What a task prints until it ends, after one Ctrl-C at its terminal once it has printed `pattern`. */
async function stopped(task: Deno.ChildProcess, pattern: RegExp): Promise<{ code: number; text: string }> {
  let text = "", sent = false;
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (sent || !pattern.test(text)) continue;
      sent = true;
      // A terminal signals the whole group: `deno task`, which passes it on, and what that has started.
      Deno.kill(-task.pid, "SIGINT");
    }
  };
  await Promise.all([read(task.stdout), read(task.stderr)]);
  return { code: (await task.status).code, text };
}

for (
  const [what, args, pattern, code, waits] of [
    ["start", ["start"], /curl -s/, 0, /Stopping: requests in progress finish first, and a run stops/],
    [
      "start, while it loads",
      ["start"],
      /embed: started/,
      130,
      /Stopping: (\w+, )*embed may take up to 10 s to stop/,
    ],
    ["serve", ["serve"], /answers at/, 0, /Stopping: requests in progress finish first\./],
    ["schedule", ["schedule"], /due next at/, 0, /Stopping: a run in progress stops within seconds/],
    [
      "pipeline",
      ["pipeline", "--messages", "MANY"],
      /embed: started/,
      130,
      /Stopping: (\w+, )*embed may take up to 10 s to stop; `deno task pipeline work` continues the run/,
    ],
  ] as const
) {
  Deno.test(`one Ctrl-C at the terminal of ${what} stops it in order, and it says what it waits for`, async () => {
    const data = `.parley/exit-${crypto.randomUUID()}`;
    await Deno.mkdir(`${ROOT}${data}`, { recursive: true });
    try {
      const many = `${ROOT}${data}/many.ndjson`;
      const env: Record<string, string> = /loads/.test(what) ? { PARLEY_MESSAGES: many } : {};
      const rows = Array.from(
        { length: 10_000 },
        (_, n) =>
          JSON.stringify({ user_id: `u${n % 500}`, message: `words ${n}`, timestamp: 1_770_000_000 + n }),
      );
      await Deno.writeTextFile(many, rows.join("\n"));
      const told = await stopped(
        startTask(data, args.map((arg) => arg === "MANY" ? many : arg), env),
        pattern,
      );
      assert.equal(told.code, code, told.text);
      assert.equal(told.text.match(/Stopping: /g)?.length, 1, told.text);
      assert.match(told.text, waits);
    } finally {
      await Deno.remove(`${ROOT}${data}`, { recursive: true });
    }
  });
}
