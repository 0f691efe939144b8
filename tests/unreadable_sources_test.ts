/** A source that cannot be read, and rows that are gone while all sources are unchanged: the records of a run, and the reports about them. */
import assert from "node:assert/strict";
import { builtInDags, engine, executeQueued } from "../commands/engine.ts";
import { runLog } from "../commands/logs.ts";
import { loadConfig } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createRun } from "../lib/dag/runs.ts";
import { DatabaseSync } from "../deps.ts";
import { acknowledge } from "../lib/monitoring/acknowledge.ts";
import { type Anomalies, detectAnomalies } from "../lib/monitoring/anomalies.ts";
import { doctorReport } from "./fixtures/doctor.ts";
import { type Flow, nightlyRun, type Paths, runDag, withFlow, writeRows } from "./fixtures/flow.ts";
import { campaign, event, message } from "./fixtures/rows.ts";

/** What the overview, `GET /pipeline/anomalies` and the command `anomalies` show while these are the settings. */
function anomaliesOf({ config, services, runs }: Flow, env: Record<string, string>): Promise<Anomalies> {
  const dags = [...builtInDags({ ...config, sources: loadConfig(env).sources }).values()];
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

/** Ways in which a source cannot be read, each with how its sentence ends. The path is next to the other sources. */
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
    "holds no rows of JSON or CSV: expected a JSON array, JSON objects, or a CSV header that names user_id or campaign_id",
  ],
};

Deno.test("the log says that a run left a source out, as an error, and that it was skipped if nothing else was new", () =>
  withFlow(async (flow) => {
    const messages = [writeRows(flow, "messages.ndjson", [message()])];
    const dag = builtInDags(flow.config).get("nightly")!;
    const logged = async (events: string[]) => {
      const lines: [string, string, unknown, unknown][] = [];
      const at = (level: string) => (text: string, fields: Record<string, unknown>) =>
        void lines.push([level, text, fields.outcome, fields.left_out]);
      const log = runLog({
        debug: at("debug"),
        info: at("info"),
        warning: at("warning"),
        error: at("error"),
      });
      const params = { messages, campaigns: [], events };
      await createRun({ dag, runs: flow.runs, clock: systemClock, params });
      await executeQueued(engine(flow), new AbortController().signal, { log });
      return lines.at(-1);
    };
    const why = "; `deno task pipeline status {run_id}` says why";
    const gone = "run {run_id} of {dag}: {outcome}, with 1 source left out" + why;
    assert.deepEqual(await logged([`${flow.input}/gone`]), ["error", gone, "success", 1]);
    assert.deepEqual(await logged([`${flow.input}/gone`]), ["error", gone, "skipped", 1]);
    assert.deepEqual(await logged([]), ["info", "run {run_id} of {dag}: {outcome}", "skipped", 0]);
  }));

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
        id: `source_unreadable:events_${path}`,
        acknowledged: null,
      }]);

      await Deno.remove(path, { recursive: true }).catch(() => {});
      Deno.writeTextFileSync(path, JSON.stringify(event()));
      await nightlyRun(flow, paths);
      const { past, ...now } = await anomaliesOf(flow, env);
      assert.deepEqual(unreadable({ past, ...now }), []);
      assert.deepEqual(past.map(({ code }) => code), ["source_unreadable"]);
    }));
}

Deno.test("a list that was cut off is critical in doctor, too, until a run has read it", () =>
  withFlow(async (flow) => {
    const path = writeRows(flow, "messages.json", []);
    const env = { PARLEY_MESSAGES: path };
    Deno.writeTextFileSync(path, `[${JSON.stringify(message())},`);
    await nightlyRun(flow, { messages: [path] });
    const { code, findings } = await doctorReport(flow.config, env);
    const id = `source_unreadable:messages_${path}`;
    assert.equal(code, 1);
    assert.ok(
      findings.some((each: { id: string; severity: string }) =>
        each.id === id && each.severity === "critical"
      ),
    );
    Deno.writeTextFileSync(path, JSON.stringify([message()]));
    await nightlyRun(flow, { messages: [path] });
    const repaired = await doctorReport(flow.config, env);
    assert.deepEqual([repaired.code, repaired.findings], [0, []]);
  }));

Deno.test("doctor does not count a source that is acknowledged, until the next incident", () =>
  withFlow(async (flow) => {
    const { runs } = flow;
    const good = writeRows(flow, "m.ndjson", [message()]);
    const path = `${flow.input}/events.ndjson`;
    const paths: Paths = { messages: [good], events: [path] };
    const env = { PARLEY_MESSAGES: good, PARLEY_EVENTS: path };
    await nightlyRun(flow, paths);
    const known = { runs, open: (await anomaliesOf(flow, env)).open, clock: systemClock };
    const id = `source_unreadable:events_${path}`;
    const { until } = await acknowledge({ ...known, id, by: "Ann", until: "8h" });
    const told = await doctorReport(flow.config, env);
    const inHand = (findings: { id: string; acknowledged: { by: string; until: string } | null }[]) =>
      findings.filter((each) => each.id === id).map((
        each,
      ) => [each.id, each.acknowledged?.by, each.acknowledged?.until]);
    assert.deepEqual([told.code, inHand(told.findings)], [0, [[id, "Ann", until]]]);
    Deno.writeTextFileSync(path, JSON.stringify(event()));
    await nightlyRun(flow, paths);
    Deno.removeSync(path);
    const repeated = await doctorReport(flow.config, env);
    assert.deepEqual([repeated.code, inHand(repeated.findings)], [1, [[id, undefined, undefined]]]);
    await nightlyRun(flow, paths);
    assert.equal((await doctorReport(flow.config, env)).code, 1);
  }));

Deno.test("a source that has lost all its rows is a warning until it has some, or is configured no more", () =>
  withFlow(async (flow) => {
    const path = writeRows(flow, "m.ndjson", [message({ message_id: "a" }), message({ message_id: "b" })]);
    const env = { PARLEY_MESSAGES: path };
    const paths = { messages: [path] };
    const found = async (set: Record<string, string>) =>
      (await anomaliesOf(flow, set)).open.filter(({ code }) => code === "source_emptied")
        .map(({ severity, figure, expected }) => [severity, figure, expected]);
    await nightlyRun(flow, paths);
    assert.deepEqual(await found(env), []);
    Deno.writeTextFileSync(path, "");
    for (const night of ["first", "second"]) {
      await nightlyRun(flow, paths);
      assert.deepEqual(await found(env), [["warning", 0, 2]], `in the ${night} night`);
    }
    assert.equal((await doctorReport(flow.config, env)).sources[0].last_read.rows, 0);
    await nightlyRun(flow, { messages: [writeRows(flow, "other.ndjson", [message({ message_id: "c" })])] });
    assert.deepEqual(await found({}), []);
    writeRows(flow, "m.ndjson", [message()]);
    await nightlyRun(flow, paths);
    assert.deepEqual(await found(env), []);
  }));

Deno.test("doctor counts what a path holds now, not what a folder of its name held", () =>
  withFlow(async (flow) => {
    const path = `${flow.input}/m.ndjson`;
    Deno.mkdirSync(path);
    writeRows(flow, "m.ndjson/a.ndjson", [message({ message_id: "a" }), message({ message_id: "b" })]);
    const rows = async () =>
      (await doctorReport(flow.config, { PARLEY_MESSAGES: path })).sources[0].last_read.rows;
    await nightlyRun(flow, { messages: [path] });
    assert.equal(await rows(), 2);
    Deno.removeSync(path, { recursive: true });
    writeRows(flow, "m.ndjson", [message({ message_id: "c" })]);
    await nightlyRun(flow, { messages: [path] });
    assert.equal(await rows(), 1);
  }));

Deno.test("a run without any source is a warning that names the settings", () =>
  withFlow(async (flow) => {
    await nightlyRun(flow, { messages: [writeRows(flow, "m.ndjson", [message()])] });
    assert.equal((await nightlyRun(flow, {})).snapshot.tasks[0]?.state, "skipped");
    const unscheduled = { ...flow, config: { ...flow.config, schedule: null } };
    const { health } = await anomaliesOf(unscheduled, {});
    assert.deepEqual([health.status, health.anomaly_id], ["warning", "no_sources:nightly"]);
    assert.match(health.next_step, /PARLEY_MESSAGES, PARLEY_CAMPAIGNS, PARLEY_EVENTS/);
    assert.equal(
      (await anomaliesOf(unscheduled, { PARLEY_MESSAGES: "m.ndjson" })).health.status,
      "nothing_new",
    );
  }));

Deno.test("a run none of whose sources can be read says which, too", () =>
  withFlow(async (flow) => {
    const path = `${flow.input}/none`;
    assert.equal((await nightlyRun(flow, { messages: [path], events: [path] })).outcome, "failed");
    const found = unreadable(await anomaliesOf(flow, {}));
    assert.deepEqual(found.map(([, rows]) => rows), ["messages", "events"]);
  }));

Deno.test("unreadable files of a folder are one finding, with their number", () =>
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
      const repeated = { ...paths, all: true };
      assert.equal((await runDag(flow, "nightly", repeated)).outcome, "success");
      assert.equal((await nightlyRun(flow, paths)).snapshot.tasks[0]?.state, "skipped");
      assert.deepEqual(
        (await anomaliesOf(flow, {})).open.filter(({ severity }) => severity === "critical"),
        [],
      );
    }));
}
