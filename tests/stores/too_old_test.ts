/** Servers that say they are older than they are. MongoDB's is in documents_mongodb_faults_test.ts, by a fake. */
import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import { openAnalytics, openDocuments, openGraph, openVectors } from "../../lib/stores/open.ts";
import {
  defaultPort,
  freshServers,
  missingServers,
  ON_POSTGRES,
  SERVERS,
  type Servers,
  type Setting,
} from "../fixtures/servers.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";

interface Case {
  readonly setting: Setting;
  readonly servers: Servers;
  readonly open: (url: URL) => Promise<{ health(): Promise<unknown>; close(): Promise<void> }>;
  /** The server's version string; `older` replaces its end. */
  readonly version: RegExp;
  readonly older: string;
  readonly sentence: RegExp;
}

const CASES: readonly Case[] = [
  ...([["PARLEY_DOCUMENTS", openDocuments], ["PARLEY_GRAPH", openGraph], [
    "PARLEY_ANALYTICS",
    openAnalytics,
  ]] as const)
    .map(([setting, open]) => ({
      setting,
      servers: ON_POSTGRES,
      open,
      version: /1[4-9](?=00\d\d)/,
      older: "13",
      sentence: /^PostgreSQL at \S+ is version 13: use 14 or newer$/,
    })),
  {
    setting: "PARLEY_VECTORS",
    servers: SERVERS,
    open: openVectors,
    version: /\bv?2\.\d(?=\.\d)/,
    older: "2.2",
    sentence: /^Milvus at \S+ is version v?2\.2\S+: version 2\.3 or newer is needed$/,
  },
  {
    setting: "PARLEY_GRAPH",
    servers: SERVERS,
    open: openGraph,
    version: /(?<=Neo4j\/)\d\.\d\d/,
    older: "4.44",
    sentence: /Neo4j 5\.23 or newer, and Neo4j\/4\.44\S* answers at \S+; upgrade the server$/,
  },
];

/** Puts one text of bytes in the place of another, of the same length. */
function rewriting(version: RegExp, older: string): (bytes: Uint8Array) => void {
  return (bytes) => {
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    const found = version.exec(text);
    if (found === null) return;
    const start = found.index + found[0].length - older.length;
    bytes.set(new TextEncoder().encode(older), start);
  };
}

for (const { setting, servers, open, version, older, sentence } of CASES) {
  const missing = missingServers([setting], servers);
  Deno.test({
    name: `${setting} at ${servers[setting]}: a server that is too old is named as such${
      missing.length > 0 ? `: ${missing} not set` : ""
    }`,
    ignore: missing.length > 0,
    async fn() {
      const { env, drop } = freshServers([setting], servers);
      const direct = new URL(env[setting]!.replace(/^neo4j:/, "bolt:"));
      const { url, proxy } = proxied(direct, defaultPort(direct), { change: rewriting(version, older) });
      const store = await open(url);
      try {
        const error = await store.health().then(() => assert.fail("it opened"), (error) => error);
        assert.ok(error instanceof ParleyError, String(error));
        assert.equal(error.code, "mismatch", error.message);
        assert.match(error.message, sentence);
        assert.ok(!Deno.inspect(error, { depth: 20 }).includes(`:${url.password}@`));
      } finally {
        await store.close();
        await proxy.close();
        await drop();
      }
    },
  });
}
