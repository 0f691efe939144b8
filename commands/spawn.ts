import type { Config } from "../lib/config.ts";

/**
 * Runs `parley pipeline …` as a process of its own, with the permissions of the task `pipeline`, so that its
 * synchronous work never stalls the API. Aborting asks it to stop; returns its exit code.
 */
export async function spawnPipeline(
  config: Config,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<number> {
  const main = decodeURIComponent(new URL("../main.ts", import.meta.url).pathname);
  const permissions = [
    "--allow-net",
    "--allow-env",
    "--allow-ffi",
    "--allow-sys=osRelease,uid",
    "--allow-read",
    `--allow-write=${config.data}`,
  ];
  const child = new Deno.Command("deno", {
    args: ["run", "--quiet", ...permissions, main, "pipeline", ...args],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const stop = () => {
    try {
      child.kill("SIGTERM");
    } catch (error) {
      // It ended on its own a moment ago.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  };
  signal?.addEventListener("abort", stop);
  try {
    return (await child.status).code;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
