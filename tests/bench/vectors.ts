/**
 * Writing, building and searching a vector store with made-up clustered vectors, and the recall of the 10 nearest against a
 * scan. Without a URL it is the embedded store. The vectors of a server, in PostgreSQL those of the URL's schema, are removed
 * before and after.
 *
 *     deno run --allow-read --allow-write --allow-env --allow-ffi --allow-net tests/bench/vectors.ts [rows] [dimension] [URL]
 */
import { clearServer, openVectors } from "../../lib/stores/open.ts";
import { clustered, profile, recallOf } from "../fixtures/vectors.ts";

const [count, dimension] = [Number(Deno.args[0] ?? 20_000), Number(Deno.args[1] ?? 384)];
const next = clustered({ dimension, clusters: 200, seed: 1 });
const rows = Array.from({ length: count }, (_, at) => profile(`u${at}`, next()));
const queries = Array.from({ length: 200 }, next);
const dir = await Deno.makeTempDir();
const url = new URL(Deno.args[2] ?? `sqlite:${dir}/vectors.db`);
const isServer = url.protocol !== "sqlite:";
const model = { name: "bench", revision: "0", dimension, pooling: "mean" } as const;

if (isServer) await clearServer.vectors(url);
const writing = await openVectors(url);
const store = await writing.forModel({ model });
await timed(`upsert ${count} rows`, () => store.upsert({ collection: "profiles", rows }));
await timed("upsert them again", () => store.upsert({ collection: "profiles", rows }));
await timed("build from the first row on", () => store.build({ version: 1 }));
const changed = rows.map((row, at) => at % 100 ? row : { ...row, vector: next(), content_hash: "changed" });
await store.upsert({ collection: "profiles", rows: changed });
await timed("build with 1 % changed", () => store.build({ version: 2 }));
await timed("digest", () => store.digest());
await timed("faults", () => store.faults({ limit: 10 }));
await writing.close();

const reading = await openVectors(url);
const reader = await reading.forModel({ model });
const search = (vector: Float32Array) => reader.search({ collection: "profiles", version: 2, vector, k: 10 });
await timed("first search, opening the index", () => search(queries[0]!));
const times: number[] = [];
for (const query of [...queries, ...queries, ...queries, ...queries, ...queries]) {
  const start = performance.now();
  await search(query);
  times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
const at = (share: number) => times[Math.floor(times.length * share)]!.toFixed(3);
console.log(`search: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms`);
console.log(`recall@10: ${await recallOf({ rows: changed, queries, k: 10 }, search)}`);
await reading.close();
if (isServer) await clearServer.vectors(url);
await Deno.remove(dir, { recursive: true });

async function timed(what: string, body: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  await body();
  const ms = performance.now() - start;
  console.log(`${what}: ${ms.toFixed(0)} ms (${(count / ms * 1000).toFixed(0)} rows/s)`);
}
