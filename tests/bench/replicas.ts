/**
 * Two API processes and two schedulers, on one PostgreSQL with a Redis and on five servers: what clients see while one process is
 * killed and while both are restarted in turn, how soon a write shows in the other's answers, and what the schedulers execute
 * when their leader is killed. Needs the servers that PARLEY_TEST_… name.
 *
 *     deno run --allow-all tests/bench/replicas.ts
 */
import { dropSchema, freshSchema, PGVECTOR } from "../fixtures/postgres.ts";
import { answers, disturb, killLeader, noticeMs, type Phase, withReplicas } from "../fixtures/replicas.ts";
import { freshServers, missingServers, type Setting } from "../fixtures/servers.ts";

const CLIENTS = 4;
const STEADY_MS = 10_000;
const WRITES = ["keziah-boateng", "graham-pellow", "leah-whitcombe", "pip-longstaff", "mara-lindqvist"];

function print(place: string, what: string, { requests, failures, p50_ms, p99_ms }: Phase): void {
  const cells = [
    place,
    what,
    requests,
    failures.length,
    `${p50_ms.toFixed(0)} ms`,
    `${p99_ms.toFixed(0)} ms`,
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

async function measure(place: string, env: Record<string, string>): Promise<void> {
  const notes: string[] = [];
  await withReplicas(env, async (replicas) => {
    const [one, other] = await answers(replicas);
    const equal = JSON.stringify(one) === JSON.stringify(other) ? "equal" : "different";
    const noticed: number[] = [];
    for (const user of WRITES) noticed.push(await noticeMs(replicas, user));
    const phases = await disturb(replicas, { clients: CLIENTS, steady_ms: STEADY_MS });
    for (const [what, phase] of Object.entries(phases)) print(place, what, phase);
    const minutes = await killLeader(replicas);
    const distinct = new Set(minutes).size;
    const lost = minutes.at(-1)! - minutes[0]! + 1 - distinct;
    notes.push(
      `${place}: answers ${equal}; writes seen after ${Math.max(...noticed).toFixed(0)} ms at most; ` +
        `${minutes.length} occurrences, ${lost} lost, ${minutes.length - distinct} doubled`,
    );
  });
  for (const note of notes) console.log(note);
}

console.log("| place | phase | requests | failures | p50 | p99 |");
console.log("| ----- | ----- | -------- | -------- | --- | --- |");
if (PGVECTOR !== undefined && missingServers(["PARLEY_CACHE"]).length === 0) {
  const url = freshSchema(PGVECTOR);
  const { env, drop } = freshServers(["PARLEY_CACHE"]);
  await measure("one PostgreSQL", { ...env, PARLEY_STORES: url.href });
  await dropSchema(url);
  await drop();
}
const FIVE: readonly Setting[] = [
  "PARLEY_DOCUMENTS",
  "PARLEY_VECTORS",
  "PARLEY_GRAPH",
  "PARLEY_ANALYTICS",
  "PARLEY_CACHE",
];
if (missingServers(FIVE).length === 0) {
  const { env, drop } = freshServers(FIVE);
  await measure("five servers", env);
  await drop();
}
