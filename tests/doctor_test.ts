import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Config } from "../lib/config.ts";
import { doctorReport } from "./fixtures/doctor.ts";
import { nightlyRun, SAMPLE, withFlow } from "./fixtures/flow.ts";

type Store = { role: string; error: string | null };
const errorsOf = ({ stores }: { stores: Store[] }) =>
  Object.fromEntries(stores.filter(({ error }) => error !== null).map(({ role, error }) => [role, error]));

const EACH = ["documents", "analytics", "vectors", "graph"];

/** Registers a test over the sample, published. */
function sampleTest(name: string, body: (config: Config) => Promise<void>): void {
  Deno.test(name, () =>
    withFlow(async (flow) => {
      assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
      await body(flow.config);
    }));
}

sampleTest("doctor counts the stores that answer while another is down", async (config) => {
  const { code, counts, ...said } = await doctorReport(config, { PARLEY_GRAPH: "bolt://127.0.0.1:1" });
  assert.equal(code, 1);
  assert.match(errorsOf(said).graph!, /127\.0\.0\.1:1/);
  assert.deepEqual(Object.keys(counts), ["documents", "analytics", "vectors"]);
  assert.equal(counts.documents.messages, 426);
});

sampleTest("doctor names a store that answers and cannot be read, and counts the others", async (config) => {
  using documents = new DatabaseSync(`${config.data}/documents.db`);
  documents.exec("ALTER TABLE messages RENAME TO lost");
  const { code, counts, ...said } = await doctorReport(config);
  assert.equal(code, 1);
  assert.deepEqual(Object.keys(errorsOf(said)), ["documents"]);
  assert.match(errorsOf(said).documents!, /^it answers, but cannot be read: .*messages/);
  assert.deepEqual(Object.keys(counts), ["analytics", "vectors", "graph"]);
});

sampleTest("doctor finds stores that disagree", async (config) => {
  assert.deepEqual((await doctorReport(config)).findings, []);
  const lose = (file: string, sql: string) => {
    using database = new DatabaseSync(`${config.data}/${file}`);
    database.exec(sql);
  };
  const first = "(SELECT min(message_id) FROM messages)";
  lose("documents.db", `DELETE FROM messages WHERE message_id = ${first}`);
  const found = async () => {
    const { code, counts, findings: [{ code: what, severity, figure, expected }] } = await doctorReport(
      config,
    );
    assert.deepEqual(Object.keys(counts), EACH);
    return [code, severity, what, figure, expected];
  };
  assert.deepEqual(await found(), [0, "warning", "vectors_without_messages", 426, 425]);
  const file = Array.from(Deno.readDirSync(`${config.data}/vectors`), ({ name }) => name).find((name) =>
    name.endsWith(".db")
  );
  lose(`vectors/${file}`, "DELETE FROM vectors WHERE collection = 'messages' AND id < 'm-0004'");
  assert.deepEqual(await found(), [1, "critical", "messages_without_vectors", 423, 425]);
});

sampleTest("doctor says how much lineage waits, and where to without what is secret", async (config) => {
  assert.equal((await doctorReport(config)).lineage, null);
  const { lineage } = await doctorReport(config, {
    PARLEY_LINEAGE: "http://127.0.0.1:1/api/secret?api_key=secret",
    PARLEY_LINEAGE_KEY: "secret",
  });
  assert.equal(lineage.url, "http://127.0.0.1:1");
  assert.ok(lineage.unsent > 0);
});

Deno.test("doctor looks at the disk that the data folder is on, also before there is one", () =>
  withFlow(async ({ config }) => {
    const { bavail, bsize } = (await import("node:fs")).statfsSync(config.data);
    const free = bavail * bsize / 1e9;
    for (const data of [config.data, `${config.data}/not/yet`]) {
      const { disk_free_gb } = await doctorReport({ ...config, data });
      assert.ok(Math.abs(disk_free_gb - free) < 1, `${disk_free_gb} of ${free}`);
    }
  }));
