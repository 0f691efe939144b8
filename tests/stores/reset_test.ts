import assert from "node:assert/strict";
import { backup } from "../../commands/backup.ts";
import { reset } from "../../commands/reset.ts";
import { openCache } from "../../lib/stores/open.ts";
import { digests, type Flow, nightlyRun, SAMPLE, vectorsOf, withFlow, withStores } from "../fixtures/flow.ts";
import { quietly } from "../fixtures/quietly.ts";
import { freshServers, missingServers, type Setting } from "../fixtures/servers.ts";

const SETTINGS: Setting[] = [
  "PARLEY_DOCUMENTS",
  "PARLEY_VECTORS",
  "PARLEY_GRAPH",
  "PARLEY_ANALYTICS",
  "PARLEY_CACHE",
];

/** Rows that Parley keeps, of any kind. */
async function rowsOf({ services, runs }: Flow): Promise<number> {
  const { documents, analytics, graph } = services;
  const counts = [
    await documents.counts(),
    await analytics.counts(),
    await graph.counts(),
    await (await vectorsOf(services)).counts(),
  ];
  const others = [
    await analytics.sources(),
    await runs.runs({ limit: 9 }),
    await documents.quarantined({ limit: 9, offset: 0 }),
    await documents.classifierCounts(),
  ];
  const rows = [...counts.flatMap((each) => Object.values(each)), ...others.map(({ length }) => length)];
  return rows.reduce((sum, count) => sum + count, 0);
}

/** With all the servers of which an address is set, and at least one. */
const settings = SETTINGS.filter((setting) => missingServers([setting]).length === 0);

Deno.test({
  name: `backup names what servers keep, and reset --all removes it and nothing else, on ${
    settings.join(", ")
  }`,
  ignore: settings.length === 0,
  async fn() {
    const [ours, others] = [freshServers(settings), freshServers(settings)];
    try {
      await withFlow(async (neighbour) => {
        await nightlyRun(neighbour, SAMPLE);
        const untouched = await digests(neighbour);
        await withFlow(async (flow) => {
          assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
          const before = await digests(flow);
          const cache = await openCache(flow.config.cache);
          const theirs = await openCache(neighbour.config.cache);
          for (const each of [cache, theirs]) await each.set({ key: "k", value: "v", ttl_ms: 60_000 });
          const copied = await quietly(() => backup(flow.config, `${flow.input}/copy`));
          assert.equal(copied.value, settings.some((name) => name !== "PARLEY_CACHE") ? 4 : 0);
          const { value: code, said } = await quietly(() =>
            reset(flow.config, { sample: false, all: true, yes: true })
          );
          assert.equal(code, 0, said.join("\n"));
          if (settings.includes("PARLEY_CACHE")) assert.equal(await cache.get({ key: "k" }), null);
          assert.equal(await theirs.get({ key: "k" }), "v");
          await cache.close();
          await theirs.close();
          assert.deepEqual(await digests(neighbour), untouched);
          await withStores(flow.config, async (emptied) => {
            assert.equal(await rowsOf(emptied), 0);
            assert.equal(await emptied.services.analytics.published(), null);
            assert.equal((await nightlyRun(emptied, SAMPLE)).outcome, "success");
            assert.deepEqual(await digests(emptied), before);
          });
        }, ours.env);
      }, others.env);
    } finally {
      await ours.drop();
      await others.drop();
    }
  },
});
