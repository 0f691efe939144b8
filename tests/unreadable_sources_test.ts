/** A source that cannot be read, and rows that are gone while all sources are unchanged: what a run leaves, and who tells it. */
import assert from "node:assert/strict";
import { allDags } from "../commands/engine.ts";
import { loadConfig } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { DatabaseSync } from "../deps.ts";
import { type Anomalies, detectAnomalies } from "../lib/quality/anomalies.ts";
import { doctorReport } from "./fixtures/doctor.ts";
import { type Flow, nightlyRun, type Paths, runDag, withFlow, writeRows } from "./fixtures/flow.ts";
import { campaign, event, message } from "./fixtures/rows.ts";

/** What the overview, `GET /pipeline/anomalies` and the command `anomalies` show while these are the settings. */
function anomaliesOf({ config, services, runs }: Flow, env: Record<string, string>): Promise<Anomalies> {
  const dags = [...allDags({ ...config, sources: loadConfig(env).sources }).values()];
  return detectAnomalies({ runs, analytics: services.analytics, dags, clock: systemClock });
}

const unreadable = ({ open }: Anomalies) =>
  open.flatMap(({ code, severity, subject, text, figure }) =>
    code === "source_unreadable" && subject.kind === "source"
      ? [[
        severity,
        subject.rows,
        subject.path,
        figure,
        text.replace(/^A source of \w+ cannot be read: |: its .*$/g, ""),
      ]]
      : []
  );

/** Ways in which a source cannot be read, each with how its sentence ends. The path is beside the other sources. */
const KINDS_OF_FAULT: Record<string, [make: (path: string) => void, complaint: string]> = {
  "a file or folder that is gone": [() => {}, "does not exist"],
  "a folder without a source": [
    (path) => Deno.mkdirSync(path),
    "holds no .json, .jsonl, .ndjson, .csv or .tsv file, plain or .gz",
  ],
  "a link that leads nowhere": [
    (path) => Deno.symlinkSync("nowhere", path),
    "is a link to what does not exist",
  ],
  "a file that is no JSON": [
    (path) => Deno.writeTextFileSync(path, "<html>\n"),
    "is neither JSON nor CSV: expected a JSON array, JSON objects, or a CSV header that names user_id or campaign_id",
  ],
};

for (const [what, [make, complaint]] of Object.entries(KINDS_OF_FAULT)) {
  Deno.test(`${what} is critical, whether other sources changed or not, until it can be read`, () =>
    withFlow(async (flow) => {
      const path = `${flow.input}/events`;
      make(path);
      const messages = [writeRows(flow, "messages.ndjson", [message()])];
      const paths: Paths = { messages, events: [path] };
      const env = { PARLEY_MESSAGES: messages[0]!, PARLEY_EVENTS: path };
      const expected = [["critical", "events", path, 1, `${path} ${complaint}`]];
      const ingested = async () => {
        const { snapshot: { tasks } } = await nightlyRun(flow, paths);
        return tasks.find(({ task_id }) => task_id === "ingest")?.state;
      };
      assert.equal(await ingested(), "success", "others are new");
      assert.deepEqual(unreadable(await anomaliesOf(flow, env)), expected);
      assert.equal(await ingested(), "skipped", "others are unchanged");
      assert.deepEqual(unreadable(await anomaliesOf(flow, env)), expected);
      await nightlyRun(flow, { messages });
      assert.deepEqual(
        unreadable(await anomaliesOf(flow, env)),
        expected,
        "a run of other paths heals nothing",
      );
      assert.deepEqual(unreadable(await anomaliesOf(flow, {})), [], "it is no source any more");

      const { code, findings } = await doctorReport(flow.config, env);
      assert.equal(code, 1);
      assert.deepEqual(findings.filter(({ code }: { code: string }) => code === "source_unreadable"), [{
        code: "source_unreadable",
        severity: "critical",
        figure: 1,
        expected: 0,
        text: `${path} ${complaint}: repair it, or correct PARLEY_EVENTS`,
      }]);

      await Deno.remove(path, { recursive: true }).catch(() => {});
      Deno.writeTextFileSync(path, JSON.stringify(event()));
      await nightlyRun(flow, paths);
      const { past, ...now } = await anomaliesOf(flow, env);
      assert.deepEqual(unreadable({ past, ...now }), []);
      assert.deepEqual(past.map(({ code }) => code), ["source_unreadable"]);
    }));
}

Deno.test("a run none of whose sources can be read says which, too", () =>
  withFlow(async (flow) => {
    const path = `${flow.input}/none`;
    assert.equal((await nightlyRun(flow, { messages: [path], events: [path] })).outcome, "failed");
    const found = unreadable(await anomaliesOf(flow, {}));
    assert.deepEqual(found.map(([, rows]) => rows), ["messages", "events"]);
  }));

Deno.test("what is unreadable of a folder is one finding, with how much it is", () =>
  withFlow(async (flow) => {
    const folder = `${flow.input}/chats`;
    await Deno.mkdir(folder);
    writeRows(flow, "chats/good.ndjson", [message()]);
    for (const name of ["a.json", "b.json", "c.json"]) await Deno.symlink("nowhere", `${folder}/${name}`);
    await nightlyRun(flow, { messages: [folder] });
    assert.deepEqual(unreadable(await anomaliesOf(flow, {})), [[
      "critical",
      "messages",
      folder,
      3,
      `${folder}/a.json is a link to what does not exist, and 2 more of ${folder} cannot be read`,
    ]]);
  }));

for (
  const [table, file, sql, code] of [
    ["campaigns", "analytics.db", "DELETE FROM campaigns", "campaigns_emptied"],
    ["events", "analytics.db", "DELETE FROM events", "events_emptied"],
    ["profiles", "vectors", "DELETE FROM vectors WHERE collection = 'profiles'", "profiles_emptied"],
    [
      "vectors of messages",
      "vectors",
      "DELETE FROM vectors WHERE collection = 'messages'",
      "messages_without_vectors",
    ],
  ] as const
) {
  Deno.test(`${table} that are gone are critical, though all sources are unchanged, until they are read again`, () =>
    withFlow(async (flow) => {
      const paths = {
        messages: [writeRows(flow, "m.ndjson", [message()])],
        campaigns: [writeRows(flow, "c.ndjson", [campaign()])],
        events: [writeRows(flow, "e.ndjson", [event()])],
      };
      assert.equal((await nightlyRun(flow, paths)).outcome, "success");
      const folder = `${flow.config.data}/vectors`;
      const path = file === "vectors"
        ? `${folder}/${[...Deno.readDirSync(folder)].find(({ name }) => name.endsWith(".db"))!.name}`
        : `${flow.config.data}/${file}`;
      using database = new DatabaseSync(path);
      database.exec(sql);
      for (const night of ["first", "second"]) {
        const { outcome, snapshot: { run } } = await nightlyRun(flow, paths);
        assert.equal(outcome, "failed", `in the ${night} night`);
        const { open } = await anomaliesOf(flow, {});
        assert.ok(
          open.some((one) => one.code === code && one.severity === "critical" && one.run_id === run.run_id),
        );
      }
      const again = { ...paths, all: true };
      assert.equal((await runDag(flow, "nightly", again)).outcome, "success");
      assert.equal((await nightlyRun(flow, paths)).snapshot.tasks[0]?.state, "skipped");
      assert.deepEqual(
        (await anomaliesOf(flow, {})).open.filter(({ severity }) => severity === "critical"),
        [],
      );
    }));
}
