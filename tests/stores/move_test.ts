import assert from "node:assert/strict";
import { move, NOT_BEGUN } from "../../lib/move/move.ts";
import { ROLES } from "../../lib/move/part.ts";
import { flowTemplate, loadSample } from "../fixtures/flow.ts";
import { embeddedIn, moveOneByOne } from "../fixtures/move.ts";
import { dropSchema, freshSchema, NEEDS_PGVECTOR, PGVECTOR } from "../fixtures/postgres.ts";
import { freshServers, missingServers } from "../fixtures/servers.ts";
import { withStoresOf } from "../fixtures/stores.ts";

const SETTINGS = ["PARLEY_GRAPH", "PARLEY_VECTORS", "PARLEY_DOCUMENTS", "PARLEY_ANALYTICS"] as const;
const missing = missingServers(SETTINGS);

Deno.test({
  name: `one store after the other moves to a server, and the next run fills it${
    missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
  }`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(SETTINGS);
    const folder = await Deno.makeTempDir({ prefix: "parley-move-" });
    try {
      await moveOneByOne(folder, env);
    } finally {
      await drop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

const needs = [...missing, ...PGVECTOR === undefined ? [NEEDS_PGVECTOR] : []];
const withSample = flowTemplate(loadSample);
const ALL = ["DOCUMENTS", "VECTORS", "GRAPH", "ANALYTICS", "RUNS"].map((role) => `PARLEY_${role}`);

Deno.test({
  name: `all data move from files to one PostgreSQL, to servers, to PostgreSQL and back, and stay equal${
    needs.length > 0 ? `: ${needs.join(", ")} not set` : ""
  }`,
  ignore: needs.length > 0,
  fn: () =>
    withSample(async ({ config, input }) => {
      const schemas = [1, 2].map(() => freshSchema(PGVECTOR!));
      const [first, second] = schemas.map(({ href }) => Object.fromEntries(ALL.map((name) => [name, href])));
      const { env, drop } = freshServers(SETTINGS);
      const servers = { ...env, PARLEY_RUNS: env.PARLEY_ANALYTICS! };
      const places = [embeddedIn(config.data), first!, servers, second!, embeddedIn(`${input}/back`)];
      const digests = new Set<string>();
      try {
        for (const [n, place] of places.slice(1).entries()) {
          await withStoresOf(places[n]!, (from) =>
            withStoresOf(place, async (to) => {
              const moved = await move({ from, to, roles: ROLES, state: NOT_BEGUN, onProgress: () => {} });
              for (const { role, from, to } of moved) assert.equal(to, from, `${role}, move ${n + 1}`);
              digests.add(JSON.stringify(moved.map(({ to }) => to)));
              const { version } = (await to.analytics.published())!;
              const [model] = await to.vectors.models();
              const vectors = await to.vectors.forModel({ model: model! });
              assert.deepEqual(await vectors.verify({ version }), []);
            }));
        }
        assert.equal(digests.size, 1);
      } finally {
        await drop();
        for (const url of schemas) await dropSchema(url);
      }
    }),
});
