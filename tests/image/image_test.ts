/**
 * Does what the Dockerfile says in a plain directory, since no container engine is needed to find a missing file, a package that is not
 * in it, or a write outside the volume. Needs root, because it starts the result as another user.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { until } from "../fixtures/commands.ts";
import { ROOT } from "../fixtures/flow.ts";

interface Instruction {
  readonly name: string;
  readonly text: string;
}

const KNOWN = [
  ...[
    "FROM",
    "WORKDIR",
    "ENV",
    "COPY",
    "RUN",
    "USER",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
  ],
  "CMD",
];

/** The instructions of each stage. */
function readStages(): Instruction[][] {
  const lines = Deno.readTextFileSync(`${ROOT}Dockerfile`).replaceAll(/^#.*\n/gm, "").replaceAll(
    /\\\n\s*/g,
    " ",
  );
  const stages: Instruction[][] = [];
  for (const line of lines.split("\n").filter((each) => each !== "")) {
    const [, name = "", text = ""] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    assert.ok(KNOWN.includes(name), `an instruction that this test does not know: ${line}`);
    if (name === "FROM") stages.push([]);
    stages.at(-1)!.push({ name, text });
  }
  return stages;
}

async function run(command: string, args: string[], options: Deno.CommandOptions = {}): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, ...options, stdout: "null" }).output();
  assert.ok(success, `${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** Makes below `root` what the stage makes below `/`. */
async function build(stage: readonly Instruction[], root: string): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  let workdir = root;
  for (const { name, text } of stage) {
    if (name === "WORKDIR") await Deno.mkdir(workdir = `${root}${text}`, { recursive: true });
    else if (name === "ENV") {
      for (const [, key, value] of text.matchAll(/(\w+)=(\S+)/g)) {
        env[key!] = key === "DENO_DIR" ? `${root}${value}` : value!;
      }
    } else if (name === "COPY") await copy(text.split(" "), workdir);
    else if (name === "RUN") await run("sh", ["-c", text], { cwd: workdir, env });
    else assert.equal(name, "FROM");
  }
  return env;
}

async function copy(paths: string[], workdir: string): Promise<void> {
  const to = paths.pop()!;
  for (const path of paths) {
    const isFolder = (await Deno.stat(`${ROOT}${path}`)).isDirectory;
    const target = to.endsWith("/")
      ? `${workdir}/${to}${isFolder ? "." : path.split("/").at(-1)}`
      : `${workdir}/${to}`;
    await Deno.mkdir(dirname(target), { recursive: true });
    await run("cp", ["-r", `${ROOT}${path}${isFolder ? "/." : ""}`, isFolder ? `${target}/` : target]);
  }
}

const USER = 1993;
const PORT = 8_461;
const KEY = "a-key-of-an-image-test-0123456789";

Deno.test({
  name: "the image's files answer without a network, as another user, with nothing writable but the volume",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const [building, final] = readStages();
    const root = await Deno.makeTempDir({ prefix: "parley-image-" });
    try {
      const env = await build(building!, root);
      const of = (name: string) => final!.find((each) => each.name === name)!.text;
      assert.deepEqual([of("USER"), of("VOLUME"), of("STOPSIGNAL")], [
        `${USER}:${USER}`,
        "/app/.parley",
        "SIGTERM",
      ]);
      assert.deepEqual([of("ENTRYPOINT"), of("CMD")], ['["deno", "task", "--quiet"]', '["start"]']);
      await run("chmod", ["-R", "a-w,a+rX", root]);
      await run("chmod", ["u+w", `${root}/app/.parley`]);
      const size = await folderSize(`${root}/deno-dir`);
      assert.ok(size < 400e6, `${(size / 1e6).toFixed()} MB of packages`);
      const child = new Deno.Command("setpriv", {
        args: [`--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "deno", "task", "--quiet", "start"],
        cwd: `${root}/app`,
        clearEnv: true,
        env: {
          ...env,
          PATH: Deno.env.get("PATH")!,
          PARLEY_PORT: String(PORT),
          PARLEY_API_KEYS: `read:${KEY}`,
          PARLEY_HOST: "127.0.0.1",
          // A download fails.
          HTTPS_PROXY: "http://127.0.0.1:9",
          NO_PROXY: "127.0.0.1",
        },
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const url = `http://127.0.0.1:${PORT}`;
      const { rest } = await until(child.stdout, /recommendations\//);
      const headers = { authorization: `Bearer ${KEY}` };
      const answer = await (await fetch(`${url}/recommendations/keziah-boateng?k=3`, { headers })).json();
      assert.deepEqual([answer.items.length, answer.degraded], [3, []]);
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
      child.kill("SIGTERM");
      await rest();
      assert.equal((await child.status).code, 0);
    } finally {
      await run("chmod", ["-R", "u+w", root]);
      await Deno.remove(root, { recursive: true });
    }
  },
});

async function folderSize(path: string): Promise<number> {
  const { stdout } = await new Deno.Command("du", { args: ["-sb", path] }).output();
  return Number.parseInt(new TextDecoder().decode(stdout));
}
