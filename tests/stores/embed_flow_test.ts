/** Vectors of 1,024 dimensions on the real servers: the same answers as from the embedded stores. */
import assert from "node:assert/strict";
import { answersOf } from "../fixtures/answers.ts";
import { digests, nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { TINY } from "../fixtures/models.ts";
import { freshServers, missingServers, type Setting } from "../fixtures/servers.ts";

const ALL: readonly Setting[] = [
  "PARLEY_DOCUMENTS",
  "PARLEY_VECTORS",
  "PARLEY_GRAPH",
  "PARLEY_ANALYTICS",
  "PARLEY_CACHE",
];
const USERS = ["keziah-boateng", "graham-pellow", "nobody"];
const missing = missingServers(ALL);
const name = "a model of 1,024 dimensions gives the same answers on servers as on the embedded stores";

/** What becomes of the sample. */
async function outcomeOf(env: Record<string, string>) {
  let outcome: { answers: Record<string, string[]>; vectors: string | undefined } | null = null;
  await withFlow(async (flow) => {
    const run = await nightlyRun(flow, SAMPLE);
    assert.equal(run.outcome, "success", run.snapshot.run.error ?? "");
    outcome = { answers: await answersOf(flow, USERS), vectors: (await digests(flow)).vectors };
  }, { ...env, PARLEY_EMBEDDINGS: `onnx:${TINY}` });
  return outcome;
}

if (missing.length > 0) {
  Deno.test({ name: `${name}: ${missing.join(", ")} not set`, ignore: true, fn() {} });
} else {
  Deno.test(name, async () => {
    const { env, drop } = freshServers(ALL);
    try {
      assert.deepEqual(await outcomeOf(env), await outcomeOf({}));
    } finally {
      await drop();
    }
  });
}
