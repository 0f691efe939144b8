import assert from "node:assert/strict";
import { nightlyRun, ROOT, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

/** Vectors get two fifths of its time, in which no SDK is loaded and nothing connected. */
const SERVE = {
  PARLEY_ANSWER_MS: "1000",
  PARLEY_PORT: "0",
  PARLEY_LOG: "off",
  PARLEY_EMBEDDINGS: "test:64",
  PARLEY_ALLOW_TEST_EMBEDDER: "1",
  NO_COLOR: "1",
};

const missing = missingServers(["PARLEY_VECTORS"]);
Deno.test({
  name: `serve is ready for the first question when it listens, also on Milvus${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(["PARLEY_VECTORS"]);
    try {
      await withFlow(async (flow) => {
        assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
        assert.deepEqual(await firstDegraded({ ...env, PARLEY_DATA: flow.config.data }), []);
      }, env);
    } finally {
      await drop();
    }
  },
});

Deno.test("serve starts although a store is down", () =>
  withFlow(async (flow) => {
    assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
    const env = { PARLEY_DATA: flow.config.data, PARLEY_VECTORS: "milvus://127.0.0.1:1" };
    assert.deepEqual(await firstDegraded(env), ["vectors"]);
  }));

/** What the very first answer of a process lacks. */
async function firstDegraded(env: Record<string, string>): Promise<string[]> {
  const child = new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-all", `${ROOT}main.ts`, "serve"],
    env: { ...SERVE, ...env },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const url = /http:\S+/.exec((await reader.read()).value ?? "")?.[0];
    const response = await fetch(`${url}/recommendations/keziah-boateng?k=3`);
    assert.equal(response.status, 200);
    return (await response.json()).degraded;
  } finally {
    child.kill("SIGTERM");
    await reader.cancel();
    await child.status;
  }
}
