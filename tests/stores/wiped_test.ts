import assert from "node:assert/strict";
import { openServing } from "../../commands/services.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { createApp } from "../../routes/app.ts";
import { doctorReport } from "../fixtures/doctor.ts";
import { nightlyRun, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { freshServers, missingServers, ON_POSTGRES, SERVERS } from "../fixtures/servers.ts";

for (
  const [setting, store, servers] of [
    ["PARLEY_GRAPH", "graph", SERVERS],
    ["PARLEY_GRAPH", "graph", ON_POSTGRES],
    ["PARLEY_VECTORS", "vectors", SERVERS],
  ] as const
) {
  const missing = missingServers([setting], servers);
  Deno.test({
    name: `a wiped ${store} server (${
      servers[setting].replace("PARLEY_TEST_", "")
    }) is neither ready nor in order${missing.length > 0 ? `: ${missing.join(", ")} not set` : ""}`,
    ignore: missing.length > 0,
    async fn() {
      const { env, drop } = freshServers([setting], servers);
      await withFlow(async (flow) => {
        assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
        assert.equal((await doctorReport(flow.config, env)).code, 0);
        await drop();
        const { value: stores, close } = await openServing(flow.config);
        try {
          const app = await createApp({ stores, clock: systemClock, version: "test", keys: [], log: null });
          const ready = await (await app.request("/readyz")).json();
          assert.deepEqual([ready.status, ready.stores[store].status], ["degraded", "down"]);
          const told = await doctorReport(flow.config, env);
          const { error } = told.stores.find(({ role }: { role: string }) => role === store);
          assert.deepEqual([told.code, error], [1, ready.stores[store].error]);
          assert.match(error, /is empty although/);
        } finally {
          await close();
        }
      }, env).finally(drop);
    },
  });
}

const missing = missingServers(["PARLEY_ANALYTICS"]);
Deno.test({
  name: `files that do not exist next to a server are missing once a run has published${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(["PARLEY_ANALYTICS"]);
    await withFlow(async (flow) => {
      const missingStores = async () => {
        const { stores } = await doctorReport({ ...flow.config, data: `${flow.input}/other` }, env);
        return stores.filter(({ error }: { error: string | null }) => error !== null)
          .map(({ role }: { role: string }) => role);
      };
      assert.deepEqual(await missingStores(), []);
      assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
      assert.deepEqual(await missingStores(), ["documents", "vectors", "graph"]);
    }, env).finally(drop);
  },
});
