import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { checkDisks } from "../commands/doctor_setup.ts";
import { type Config, loadConfig } from "../lib/config.ts";
import { latencyOf } from "../commands/doctor_stores.ts";
import { openGraph, openRuns } from "../lib/stores/open.ts";
import { doctorReport } from "./fixtures/doctor.ts";
import { run, withFolder } from "./fixtures/commands.ts";
import { flowTemplate, loadSample, SAMPLE, withFlow } from "./fixtures/flow.ts";

type Store = { role: string; error: string | null };
const errorsOf = ({ stores }: { stores: Store[] }) =>
  Object.fromEntries(stores.filter(({ error }) => error !== null).map(({ role, error }) => [role, error]));

const EACH = ["documents", "analytics", "vectors", "graph"];

const withSample = flowTemplate(loadSample);

/** Registers a test over the sample, published. */
function sampleTest(name: string, body: (config: Config) => Promise<void>): void {
  Deno.test(name, () => withSample(({ config }) => body(config)));
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
  assert.match(errorsOf(said).documents!, /^it responds, but cannot be read: .*messages/);
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

sampleTest("doctor says what waits to be sent, and where to without what is secret", async (config) => {
  assert.equal((await doctorReport(config)).lineage, null);
  const { lineage, notifications } = await doctorReport(config, {
    PARLEY_NOTIFY_SLACK: "http://127.0.0.1:1/secret",
    PARLEY_LINEAGE: "http://127.0.0.1:1/api/secret?api_key=secret",
    PARLEY_LINEAGE_KEY: "secret",
  });
  assert.equal(lineage.url, "http://127.0.0.1:1");
  assert.ok(lineage.unsent > 0);
  assert.deepEqual(notifications, [{ sink: "slack", host: "127.0.0.1:1", pending: 0 }]);
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

Deno.test("checkDisks() finds each disk with little space that a store is on, once", () => {
  const config = loadConfig({
    PARLEY_DATA: "/tmp/not/yet",
    PARLEY_DOCUMENTS: "sqlite:/dev/shm/none/documents.db",
  });
  const disks = (little_gb: number) =>
    checkDisks(config, little_gb).map(({ text }) => /disk of (\S+):/.exec(text)?.[1]);
  assert.deepEqual(disks(0), []);
  assert.deepEqual(disks(Infinity), ["/tmp", "/dev/shm"]);
});

type Report = Awaited<ReturnType<typeof doctorReport>>;
const codesOf = ({ findings }: Report) => findings.map(({ code }: { code: string }) => code);

sampleTest(
  "doctor reports for each source whether it can be read, and its rows at the last run",
  async (config) => {
    const folder = `${config.data}/in`;
    await Deno.mkdir(folder);
    const path = (name: string) => `${folder}/${name}`;
    await Deno.writeTextFile(path("good.ndjson"), '{"user_id":"a"}\n{"user_id":"b"}\n');
    const sources = { PARLEY_MESSAGES: `${SAMPLE.messages},${folder}`, PARLEY_EVENTS: path("none.ndjson") };
    const told = await doctorReport(config, sources);
    assert.equal(told.code, 1);
    assert.deepEqual(codesOf(told), ["source_unreadable"]);
    assert.match(told.findings[0].text, /none\.ndjson does not exist: .*PARLEY_EVENTS/);
    const [sample, mine, events] = told.sources;
    assert.equal(sample.last_read.rows, 426);
    assert.deepEqual([mine.path, mine.last_read, events.kind], [folder, null, "events"]);

    const damaged: [string, string | Uint8Array, RegExp][] = [
      ["page.json", "<html>", /holds no rows of JSON or CSV/],
      ["cut.ndjson.gz", Uint8Array.of(0x1f, 0x8b, 1, 2), /is damaged or cut off as gzip/],
      ["list.json", '[{"user_id":"a"', /cut off|ends/],
    ];
    for (const [name, content, sentence] of damaged) {
      await Deno.writeFile(
        path(name),
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      );
      const { code, findings } = await doctorReport(config, { PARLEY_MESSAGES: folder });
      assert.deepEqual([code, findings.length], [1, 1], name);
      assert.match(findings[0].text, sentence);
      await Deno.remove(path(name));
    }
    const { sources: unknown } = await doctorReport({ ...config, data: `${folder}/other` }, {
      PARLEY_MESSAGES: SAMPLE.messages[0]!,
      PARLEY_ANALYTICS: "postgres://a:b@127.0.0.1:1/c",
    });
    assert.equal(unknown[0].last_read, "unknown");
    await Deno.symlink(path("gone"), path("link.ndjson"));
    assert.match(
      (await doctorReport(config, { PARLEY_MESSAGES: folder })).findings[0].text,
      /link to what does not exist/,
    );
    await Deno.remove(path("link.ndjson"));
    assert.equal((await doctorReport(config, { PARLEY_MESSAGES: folder })).code, 0);
  },
);

sampleTest("doctor reads the file of intents and looks for the inbox", async (config) => {
  const at = `${config.data}/intents.json`;
  const ask = () => doctorReport(config, { PARLEY_INTENTS: at, PARLEY_INBOX: `${config.data}/nowhere` });
  for (const content of [null, "[", '[{"intent":"one","examples":["a","b","c"]}]']) {
    if (content !== null) await Deno.writeTextFile(at, content);
    const told = await ask();
    assert.deepEqual(
      [told.code, codesOf(told)],
      [1, ["intents_unreadable", "inbox_unreadable"]],
      `${content}`,
    );
    assert.match(told.findings[0].text, /intents\.json/);
    assert.match(told.findings[1].text, /PARLEY_INBOX/);
  }
});

sampleTest("doctor reads the file of experiments", async (config) => {
  const at = `${config.data}/experiments.json`;
  for (const content of [null, "[", '{"experiments":[{"id":"a/b"}]}']) {
    if (content !== null) await Deno.writeTextFile(at, content);
    const told = await doctorReport(config, { PARLEY_EXPERIMENTS: at });
    assert.deepEqual([told.code, codesOf(told)], [1, ["experiments_unreadable"]], `${content}`);
    assert.match(told.findings[0].text, /experiments\.json/);
  }
  await Deno.writeTextFile(at, '{"experiments":[]}');
  assert.equal((await doctorReport(config, { PARLEY_EXPERIMENTS: at })).code, 0);
});

sampleTest("doctor says when the schedule is due, and whether a scheduler lives", async (config) => {
  const report = () => doctorReport(config, { PARLEY_SCHEDULE: "30 2 * * *" });
  const severities = ({ findings }: { findings: { code: string; severity: string }[] }) =>
    findings.map(({ code, severity }) => `${severity} ${code}`);
  const before = await report();
  assert.deepEqual([before.code, before.scheduler.status], [0, "none"]);
  assert.deepEqual(severities(before), ["warning scheduler_missing"]);
  assert.match(before.schedule.next, /T02:30:00\.000Z$/);
  assert.equal((await doctorReport(config)).schedule, null);
  const runs = await openRuns(config.runs);
  const lead = (now: number) => runs.lead({ owner: "one", now, ttl_ms: 5_000, lag_ms: 0 });
  await lead(Date.now());
  assert.equal((await report()).scheduler.status, "up");
  await lead(Date.now() - 3_600_000);
  await runs.close();
  const silent = await report();
  assert.deepEqual([silent.code, silent.scheduler.status], [1, "down"]);
  assert.deepEqual(severities(silent), ["critical scheduler_silent"]);
});

for (const [name, title] of [["item_weights", "item–item weights"], ["wording", "postings"]] as const) {
  sampleTest(`doctor finds a damaged file of ${title}`, async (config) => {
    using analytics = new DatabaseSync(`${config.data}/analytics.db`);
    const sql = "UPDATE files SET bytes = zeroblob(length(bytes)) WHERE name = ?";
    assert.ok(Number(analytics.prepare(sql).run(name).changes) > 0);
    const told = await doctorReport(config);
    assert.deepEqual([told.code, codesOf(told)], [1, ["damaged_file"]]);
    assert.match(told.findings[0].text, new RegExp(`${title} cannot be used: .*reembed`));
  });
}

sampleTest("doctor names a store that lost all that is published, as /readyz does", async (config) => {
  for (const file of ["graph.db", "graph.db-wal", "graph.db-shm"]) {
    await Deno.remove(`${config.data}/${file}`).catch(() => {});
  }
  await (await openGraph(config.graph)).close();
  const told = await doctorReport(config);
  assert.equal(told.code, 1);
  assert.deepEqual(Object.keys(errorsOf(told)), ["graph"]);
  assert.match(errorsOf(told).graph!, /is empty although .*PARLEY_GRAPH/);
});

Deno.test("latencyOf() is that of a store that has connected, and null once it does not answer", async () => {
  const health = { adapter: "a", version: "1", bytes: null };
  const answers = [400, 3, 5];
  assert.equal(
    await latencyOf({ health: () => Promise.resolve({ ...health, latency_ms: answers.shift()! }) }),
    5,
  );
  assert.equal(await latencyOf({ health: () => Promise.reject(new Error("gone")) }), null);
});

for (const role of [...EACH, "runs", "artifacts"]) {
  Deno.test(`doctor names ${role} at a place that Deno lets no task read, and reports the other stores`, () =>
    withFolder(async (folder) => {
      const url = `${role === "artifacts" ? "file" : "sqlite"}:/dev/shm/parley-not-allowed/d.db`;
      const env = { [`PARLEY_${role.toUpperCase()}`]: url };
      const { code, stdout, stderr } = await run(folder, "doctor", ["doctor"], { env });
      assert.deepEqual([code, stderr], [1, ""]);
      const failed = stdout.split("\n").filter((line) => line.startsWith("✖"));
      assert.equal(failed.length, 1, stdout);
      assert.match(
        failed[0]!,
        new RegExp(`^✖ ${role} .*: no permission to (open|write) /dev/shm/parley-not-allowed`),
      );
      assert.equal(stdout.match(/^✔/gm)?.length, 6, stdout);
      assert.match(stdout, /^ +disk /m);
    }));
}

Deno.test("doctor reports an erasure that no run has completed, and no id", () =>
  withSample(async ({ config, services }) => {
    const report = async (hours: number) => {
      const at = new Date(Date.now() - hours * 3_600_000).toISOString();
      await services.analytics.addPendingErasures({ users: [{ user_id: "keziah-boateng", at }] });
      const { findings } = await doctorReport(config);
      return findings.filter(({ code }: { code: string }) => code === "erasure_pending");
    };
    assert.deepEqual(await report(0.5), []);
    const [{ text }] = await report(2);
    assert.match(text, /^1 erasure began more than an hour ago .*deno task user erase/);
    assert.ok(!text.includes("keziah"));
  }));
