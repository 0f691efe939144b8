/**
 * Runs the contract suites on every adapter whose server PARLEY_TEST_… names, and counts: adapters × cases. A case
 * belongs to a contract where both adapters of a port have it.
 *
 *     deno run --allow-all tests/bench/contracts.ts
 */
import { existsSync } from "node:fs";
import { ROOT } from "../fixtures/flow.ts";

/** Each port's embedded and server adapter, as the tests name them, and the files that run them. */
const PORTS = [
  ["SqliteDocuments", "lib/stores/documents/sqlite", "MongoDocuments", "stores/documents_mongodb"],
  ["SqliteDocuments", "lib/stores/documents/sqlite", "PostgresDocuments", "stores/documents_postgres"],
  ["SqliteVectors", "lib/stores/vectors", "MilvusVectors", "stores/vectors_milvus"],
  ["SqliteVectorStores", "lib/stores/vectors", "MilvusVectorStores", "stores/vectors_milvus"],
  ["SqliteVectors", "lib/stores/vectors", "PostgresVectors", "stores/vectors_postgres"],
  ["SqliteVectorStores", "lib/stores/vectors", "PostgresVectorStores", "stores/vectors_postgres"],
  ["SqliteGraph", "lib/stores/graph/sqlite", "Neo4jGraph", "stores/graph_neo4j"],
  ["SqliteGraph", "lib/stores/graph/sqlite", "PostgresGraph", "stores/graph_postgres"],
  ["SqliteAnalytics", "lib/stores/analytics/sqlite", "PostgresAnalytics", "stores/analytics_postgres"],
  ["SqliteRuns", "lib/stores/runs", "PostgresRuns", "stores/runs_postgres"],
  ["MemoryCache", "lib/stores/cache", "RedisCache", "stores/cache_redis"],
] as const;

type Result = "passed" | "failed" | "skipped";

/** The result of every test of these files, by name. */
async function results(files: readonly string[]): Promise<Map<string, Result>> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  await new Deno.Command("deno", {
    args: ["test", "--quiet", "--no-check", "--allow-all", `--junit-path=${report}`, ...files],
    cwd: ROOT,
    stdout: "null",
    stderr: "null",
  }).output();
  const xml = await Deno.readTextFile(report);
  await Deno.remove(report);
  const cases = xml.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g);
  return new Map([...cases].map(([, name, body = ""]) => {
    const result = body.includes("<failure") ? "failed" : body.includes("<skipped") ? "skipped" : "passed";
    return [name!, result];
  }));
}

/** The cases of one adapter, by what follows its name. */
function casesOf(adapter: string, all: ReadonlyMap<string, Result>): Map<string, Result> {
  const own = [...all].filter(([name]) => new RegExp(`^${adapter}\\b`).test(name));
  return new Map(own.map(([name, result]) => [name.slice(adapter.length), result]));
}

const names = PORTS.flatMap(([, one, , other]) => [one, other, `${other}_faults`]);
const files = new Set(names.map((name) => `tests/${name}_test.ts`));
const all = await results([...files].filter((file) => existsSync(ROOT + file)));
console.log("| contract of | adapter | cases | passed | skipped | failed | tests of its own |");
console.log("| ----------- | ------- | ----: | -----: | ------: | -----: | ---------------: |");
const printed = new Set<string>();
for (const [embedded, , server] of PORTS) {
  const both = [embedded, server].map((adapter) => casesOf(adapter, all));
  const shared = [...both[0]!.keys()].filter((name) => both[1]!.has(name));
  for (const [i, adapter] of [embedded, server].entries()) {
    const count = (result: Result) => shared.filter((name) => both[i]!.get(name) === result).length;
    const port = embedded.replace(/^(Sqlite|Memory)/, "");
    const own = both[i]!.size - shared.length;
    const cells = [port, adapter, shared.length, count("passed"), count("skipped"), count("failed"), own];
    const line = `| ${cells.join(" | ")} |`;
    // An embedded adapter has a contract with each server adapter.
    if (!printed.has(line)) console.log(line);
    printed.add(line);
  }
}
