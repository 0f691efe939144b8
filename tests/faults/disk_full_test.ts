import assert from "node:assert/strict";
import { digests, type Flow, flowTemplate, loadSample, ROOT, SAMPLE, withFlow } from "../fixtures/flow.ts";

const SOURCES = Object.entries(SAMPLE).flatMap(([kind, [path]]) => [`--${kind}`, path!]);
const SAYS = /could not be written \(.+\): make room on its disk, then try again/;

/** `parley pipeline …` where no file may grow beyond so many KB: writing further fails as it does on a full disk. */
async function pipeline(
  { config }: Flow,
  args: readonly string[],
  kb: number | "unlimited",
): Promise<{ code: number; stderr: string }> {
  // The unit is 512 bytes. The signal that comes with the error would end the process.
  const limit = `trap '' XFSZ; ulimit -f ${kb === "unlimited" ? kb : 2 * kb}; exec "$@"`;
  const deno = ["deno", "run", "--quiet", "--no-check", "--allow-all", `${ROOT}main.ts`, "pipeline"];
  const env = {
    PARLEY_DATA: config.data,
    PARLEY_EMBEDDINGS: "test:64",
    PARLEY_LEASE_MS: "500",
    NO_COLOR: "1",
  };
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", limit, "sh", ...deno, ...args],
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

const withSample = flowTemplate(loadSample);

for (
  const [kb, where] of [[250, "an artifact"], [400, "the stores, those of the runs among them"]] as const
) {
  Deno.test({
    name:
      `a nightly run for which the disk has no room for ${where} says so, and ends well when there is room again`,
    ignore: Deno.build.os === "windows",
    async fn() {
      let undisturbed: Record<string, string> = {};
      await withSample(async (flow) => {
        undisturbed = await digests(flow);
      });
      await withFlow(async (flow) => {
        const full = await pipeline(flow, SOURCES, kb);
        assert.equal(full.code, 1, full.stderr);
        assert.match(full.stderr, SAYS);
        assert.doesNotMatch(full.stderr, /^ +at /m, "a stack is no sentence");
        assert.equal(await flow.services.analytics.published(), null);
        const repeated = await pipeline(flow, SOURCES, "unlimited");
        assert.equal(repeated.code, 0, repeated.stderr);
        assert.equal((await flow.services.analytics.published())!.version, 1);
        assert.deepEqual(await digests(flow), undisturbed);
      });
    },
  });
}
