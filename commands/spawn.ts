import { relative } from "../deps.ts";
import type { Config } from "../lib/config.ts";

/**
 * Runs `parley pipeline …` as a separate process, with the permissions of the task `pipeline`, so that its
 * synchronous work never stalls the API. Aborting asks it to stop; returns its exit code. It does not outlive this process.
 */
export async function spawnPipeline(
  config: Pick<Config, "data" | "worker_permissions">,
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
    // From here on, since a comma in the folders above would end the path.
    `--allow-write=${relative(Deno.cwd(), config.data) || "."}`,
    ...config.worker_permissions,
  ];
  const child = new Deno.Command("deno", {
    args: ["run", "--quiet", ...permissions, main, "pipeline", ...args],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const kill = (name: Deno.Signal) => {
    try {
      child.kill(name);
    } catch (error) {
      // It ended on its own a moment ago.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  };
  const stop = () => kill("SIGTERM");
  const end = () => kill("SIGKILL");
  signal?.addEventListener("abort", stop);
  globalThis.addEventListener("unload", end);
  try {
    return (await child.status).code;
  } finally {
    signal?.removeEventListener("abort", stop);
    globalThis.removeEventListener("unload", end);
  }
}
