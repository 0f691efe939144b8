import assert from "node:assert/strict";
import { proxied } from "../fixtures/faults.ts";
import { nightlyRun, ROOT, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

const SERVE = {
  PARLEY_ANSWER_MS: "30000",
  PARLEY_PORT: "0",
  PARLEY_LOG: "off",
  PARLEY_EMBEDDINGS: "test:64",
  PARLEY_ALLOW_TEST_EMBEDDER: "1",
  NO_COLOR: "1",
};

const missing = missingServers(["PARLEY_VECTORS"]);
Deno.test({
  name: `serve is ready for the first question when it says where it listens, also on Milvus${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(["PARLEY_VECTORS"]);
    const { url, proxy } = proxied(env.PARLEY_VECTORS!);
    try {
      await withFlow(async (flow) => {
        assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
        const connected: number[] = [];
        const served = { PARLEY_DATA: flow.config.data, PARLEY_VECTORS: url };
        assert.deepEqual(await firstDegraded(served, () => connected.push(proxy.accepted())), []);
        assert.ok(connected[0]! > 0, "connected when it listens");
        assert.equal(proxy.accepted(), connected[0], "the first answer connects to nothing");
      }, env);
    } finally {
      await proxy.close();
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

/** What the very first answer of a process lacks, which is requested once `ready` knows that it listens. */
async function firstDegraded(
  env: Record<string, string>,
  ready: () => unknown = () => {},
): Promise<string[]> {
  const child = new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-all", `${ROOT}main.ts`, "serve"],
    env: { ...SERVE, ...env },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const url = /http:\S+/.exec((await reader.read()).value ?? "")?.[0];
    ready();
    const response = await fetch(`${url}/recommendations/keziah-boateng?k=3`);
    assert.equal(response.status, 200);
    return (await response.json()).degraded;
  } finally {
    child.kill("SIGTERM");
    await reader.cancel();
    await child.status;
  }
}
