import { KILLS, killsLoseNothing } from "../fixtures/kills.ts";
import { dropSchema, freshSchema, NEEDS_PGVECTOR, PGVECTOR } from "../fixtures/postgres.ts";
import { freshServers, missingServers, SERVERS, type Setting } from "../fixtures/servers.ts";

const SETTINGS = Object.keys(SERVERS) as Setting[];
const missing = missingServers(SETTINGS);
/** A busy machine with all servers on it may leave a process without a heartbeat for longer than an embedded one. */
const LEASE = { PARLEY_LEASE_MS: "3000" };
const what = `${KILLS} kills at any instant lose nothing and do nothing twice`;

Deno.test({
  name: `one PostgreSQL: ${what}${PGVECTOR === undefined ? `: ${NEEDS_PGVECTOR}` : ""}`,
  ignore: PGVECTOR === undefined,
  async fn() {
    const url = freshSchema(PGVECTOR!);
    try {
      await killsLoseNothing({ ...LEASE, PARLEY_STORES: url.href });
    } finally {
      await dropSchema(url);
    }
  },
});

Deno.test({
  name: `servers: ${what}${missing.length > 0 ? `: ${missing.join(", ")} not set` : ""}`,
  ignore: missing.length > 0,
  async fn() {
    const { env, drop } = freshServers(SETTINGS);
    try {
      await killsLoseNothing({ ...LEASE, ...env });
    } finally {
      await drop();
    }
  },
});
