/** A server that falls silent for longer than its client waits for a sign of life, and forgets its connections. */
import assert from "node:assert/strict";
import { proxied, withAsker } from "../fixtures/faults.ts";
import { nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";

/** So much that no other store is late, however busy the machine; a call that finds Milvus silent waits for two fifths of it. */
const ANSWER_MS = 10_000;
/** gRPC gives a connection up after 15 s, and then waits forever for the one that it tries instead. */
const SILENT_MS = 17_000;

const missing = missingServers(["PARLEY_VECTORS"]);
Deno.test({
  name: `answers are whole again soon after Milvus was silent and never answers requests of that time${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(["PARLEY_VECTORS"]);
    const { url, proxy } = proxied(env.PARLEY_VECTORS!);
    try {
      await withFlow(async (flow) => {
        assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
        await withAsker({ config: flow.config, answer_ms: ANSWER_MS }, async (asker) => {
          proxy.hang(true);
          for (const end = performance.now() + SILENT_MS; performance.now() < end;) {
            assert.deepEqual((await asker.ask()).degraded, ["vectors"]);
            await new Promise((resume) => setTimeout(resume, 200));
          }
          proxy.strand();
          await asker.untilWhole();
        });
      }, { ...env, PARLEY_VECTORS: url });
    } finally {
      await proxy.close();
      await drop();
    }
  },
});
