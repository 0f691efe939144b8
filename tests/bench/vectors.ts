/**
 * Writing, building and searching a vector store with made-up clustered vectors, and the recall of the 10, 20 and 40 nearest
 * against a scan. Without a URL it is the embedded store. The vectors of a server, in PostgreSQL those of the URL's schema, are removed
 * before and after.
 *
 *     deno run --allow-read --allow-write --allow-env --allow-net tests/bench/vectors.ts [rows] [dimension] [URL]
 */
import process from "node:process";
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
if (!isServer) {
  for (const { name, bytes } of filesIn(dir)) {
    console.log(`${name}: ${(bytes / count).toFixed(0)} bytes a vector`);
  }
}

const reading = await openVectors(url);
const reader = await reading.forModel({ model });
const search = (k: number) => (vector: Float32Array) =>
  reader.search({ collection: "profiles", version: 2, vector, k });
await timed("first search, opening the index", () => search(10)(queries[0]!));
for (const k of [10, 20, 40]) {
  const times: number[] = [];
  const used = process.cpuUsage();
  for (let round = 0; round < 5; round++) {
    for (const query of queries) {
      const start = performance.now();
      await search(k)(query);
      times.push(performance.now() - start);
    }
  }
  const { user, system } = process.cpuUsage(used);
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]!.toFixed(3);
  console.log(
    `k = ${k}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, CPU ${
      ((user + system) / 1_000 / times.length).toFixed(3)
    } ms; recall ${await recallOf({ rows: changed, queries: queries.slice(0, 50), k }, search(k))}`,
  );
}
await reading.close();
if (isServer) await clearServer.vectors(url);
await Deno.remove(dir, { recursive: true });

function filesIn(folder: string): { name: string; bytes: number }[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}/${name}`) : [{ name, bytes: Deno.statSync(`${folder}/${name}`).size }]
  );
}

async function timed(what: string, body: () => Promise<unknown>): Promise<void> {
  const [start, used] = [performance.now(), process.cpuUsage()];
  await body();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(used);
  console.log(
    `${what}: ${ms.toFixed(0)} ms, CPU ${((user + system) / 1_000).toFixed(0)} ms (${
      (count / ms * 1000).toFixed(0)
    } rows/s)`,
  );
}
