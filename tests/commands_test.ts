import assert from "node:assert/strict";
import { writeSample } from "../commands/sample.ts";
import { sourcesToLoad } from "../commands/start.ts";
import { openServices } from "../commands/services.ts";
import { loadConfig } from "../lib/config.ts";
import type { Services } from "../tasks/services.ts";
import { command, run, runHere, until, withFolder } from "./fixtures/commands.ts";
import { doctorReport } from "./fixtures/doctor.ts";
import { copyFolder } from "./fixtures/flow.ts";
import { quietly } from "./fixtures/quietly.ts";
import { campaign, message } from "./fixtures/rows.ts";

const ROWS = ["one", "two", "three"].map((text, n) =>
  JSON.stringify({ user_id: `u${n}`, message: text, timestamp: "2026-05-01T00:00:00Z" })
).join("\n");

Deno.test("pipeline reads standard input, prints a summary as JSON, and skips unchanged sources", () =>
  withFolder(async (folder) => {
    const piped = await run(folder, "pipeline", ["pipeline", "--messages", "-", "--json"], { input: ROWS });
    assert.equal(piped.code, 0, piped.stderr);
    assert.match(
      piped.stderr,
      /^documents: messages: 3 inserted, 0 changed, 0 same$/m,
      "the tasks' logs are shown",
    );
    const summary = JSON.parse(piped.stdout);
    assert.equal(summary.state, "success");
    assert.equal(summary.stages.find(({ stage }: { stage: string }) => stage === "documents").rows_out, 3);
    Deno.writeTextFileSync(`${folder}/messages.ndjson`, ROWS);
    const args = ["pipeline", "--messages", `${folder}/messages.ndjson`];
    assert.equal((await runHere(folder, args)).code, 0);
    const unchanged = await runHere(folder, args);
    assert.equal(unchanged.code, 0, unchanged.stderr);
    assert.match(unchanged.stdout, /ingest +skipped/);
  }));

Deno.test("a failed run exits with 1, and quarantine lists why without the row's text", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(
      `${folder}/bad.ndjson`,
      '{"user_id":"u","message":"a secret","timestamp":"never"}\n',
    );
    const failed = await runHere(folder, ["pipeline", "--messages", `${folder}/bad.ndjson`]);
    assert.equal(failed.code, 1);
    const [, run_id] = /run (nightly-\S+): failed/.exec(failed.stdout) ?? [];
    const status = await runHere(folder, ["pipeline", "status", run_id!]);
    assert.match(status.stdout, /^validate: all rows are bad/m, "it says why, also without a terminal");
    const listed = await runHere(folder, ["pipeline", "quarantine"]);
    assert.match(listed.stdout, /bad\.ndjson:1 .*timestamp/);
    for (const { stdout, stderr } of [failed, listed]) assert.doesNotMatch(stdout + stderr, /a secret/);
    assert.match((await run(folder, "pipeline", ["pipeline", "quarantine", "--raw"])).stdout, /a secret/);
  }));

Deno.test("a source that is left out is named once and fails the command, and the others are loaded", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/good.ndjson`, ROWS);
    const args = ["pipeline", "--messages", `${folder}/good.ndjson`, `${folder}/none.ndjson`];
    for (const rows of ["ingest +success +3 +3", "ingest +skipped"]) {
      const { code, stdout, stderr } = await runHere(folder, args);
      assert.equal(code, 1, stderr);
      assert.match(stdout, new RegExp(`^${rows} `, "m"));
      assert.equal(stdout.match(/^Left out: \S*\/none\.ndjson does not exist$/mg)?.length, 1);
    }
    const told = await runHere(folder, ["pipeline", "anomalies"]);
    assert.equal(told.code, 1);
    assert.match(
      told.stdout,
      /^critical +messages \S*\/none\.ndjson since .*: \S*\/none\.ndjson does not exist: /m,
    );
    const fixed = await runHere(folder, ["pipeline", "--messages", `${folder}/good.ndjson`]);
    assert.equal(fixed.code, 0, fixed.stdout);
    assert.equal((await runHere(folder, ["pipeline", "anomalies"])).code, 0);
  }));

Deno.test("wrong usage and configuration exit with 2 and say everything that is wrong", () =>
  withFolder(async (folder) => {
    assert.equal((await runHere(folder, ["pipeline", "--nonsense"])).code, 2);
    const nothing = await runHere(folder, ["pipeline"]);
    assert.equal(nothing.code, 2);
    assert.match(nothing.stderr, /there is no source/);
    const env = { PARLEY_PORT: "70000", PARLEY_HOST: "0.0.0.0", PARLEY_TYPO: "1" };
    const wrong = await runHere(folder, ["serve"], { env });
    assert.equal(wrong.code, 2);
    for (const name of ["PARLEY_PORT", "PARLEY_HOST", "PARLEY_TYPO"]) {
      assert.match(wrong.stderr, new RegExp(name));
    }
    const elsewhere = await run(folder, "pipeline", ["pipeline", "--messages", "x"], {
      env: { PARLEY_DATA: "/tmp/parley-not-allowed" },
    });
    assert.equal(elsewhere.code, 2);
    assert.match(elsewhere.stderr, /--allow-write=\/tmp\/parley-not-allowed/);
  }));

Deno.test("nothing is served from the test embedder unless that is wanted", () =>
  withFolder(async (folder) => {
    for (const verb of ["start", "serve", "schedule"]) {
      const refused = await runHere(folder, [verb], { env: { PARLEY_ALLOW_TEST_EMBEDDER: "0" } });
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /PARLEY_EMBEDDINGS=test:64 .* PARLEY_ALLOW_TEST_EMBEDDER=1/);
    }
    // A process with another configured model still serves the published version.
    Deno.writeTextFileSync(`${folder}/messages.ndjson`, ROWS);
    assert.equal((await runHere(folder, ["pipeline", "--messages", `${folder}/messages.ndjson`])).code, 0);
    const env = { PARLEY_ALLOW_TEST_EMBEDDER: "0", PARLEY_EMBEDDINGS: "", PARLEY_PORT: "0" };
    for (const verb of ["start", "serve"]) {
      const refused = await runHere(folder, [verb], { env });
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(
        refused.stderr,
        /by test@hashing-1\/64\/mean, .* reembed --param model=onnx:.*bge-small-en-v1\.5`, .*=1$/m,
      );
    }
  }));

Deno.test("--help works everywhere", () =>
  withFolder(async (folder) => {
    const asProcess = await run(folder, "pipeline", ["--help"]);
    assert.deepEqual(asProcess, await runHere(folder, ["--help"]));
    for (const verb of [[], ["start"], ["serve"], ["schedule"], ["pipeline"], ["backup"], ["reset"]]) {
      const { code, stdout } = await runHere(folder, [...verb, "--help"]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^${["Usage: parley", ...verb].join(" ")} `));
    }
  }));

Deno.test("summary and anomalies say how the pipeline fares; a critical one exits with 1", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/messages.ndjson`, ROWS);
    const env: Record<string, string> = {};
    const pipeline = (...args: string[]) => runHere(folder, ["pipeline", ...args], { env });
    const nightly = (file: string) => pipeline("--messages", `${folder}/${file}`);
    assert.match((await pipeline("summary")).stdout, /Nothing is published yet[^]*nightly since .*: no runs/);
    assert.equal((await nightly("messages.ndjson")).code, 0);
    assert.match((await pipeline("summary")).stdout, /documents +success +1 +100\.0 %/);
    const summary = JSON.parse((await pipeline("summary", "--days", "2", "--json")).stdout);
    assert.equal(summary.dags[0].runs, 1);
    const unscheduled = await pipeline("anomalies");
    assert.deepEqual(unscheduled.code, 0, unscheduled.stderr);
    assert.match(
      unscheduled.stdout,
      /^! No scheduler is running, so no run starts by itself\.\nwarning +scheduler since/,
    );
    Deno.writeTextFileSync(`${folder}/.env`, "PARLEY_SCHEDULE=off\n");
    const fine = await run(folder, "pipeline", ["pipeline", "anomalies"]);
    assert.equal(fine.code, 0, fine.stderr);
    assert.match(fine.stdout, /^✔ Everything is fine\.\nThe last run of nightly succeeded at \S+\.\n$/);
    env.PARLEY_SCHEDULE = "off";
    assert.equal((await nightly("messages.ndjson")).code, 0);
    assert.match((await pipeline("anomalies")).stdout, /^· Nothing new: every source is unchanged\./);
    assert.equal((await nightly("missing.ndjson")).code, 1);
    const wrong = await pipeline("anomalies");
    assert.equal(wrong.code, 1);
    assert.match(
      wrong.stdout,
      /^✖ A source of messages cannot be read: \S*missing\.ndjson does not exist\.\n/,
    );
    assert.match(wrong.stdout, /^critical +nightly\/ingest since .*deno task pipeline retry nightly-/m);
    const { open } = JSON.parse((await pipeline("anomalies", "--json")).stdout);
    assert.deepEqual(open.map(({ code }: { code: string }) => code), ["run_failed", "source_unreadable"]);
    const ids = open.map(({ id }: { id: string }) => id);
    assert.equal((await pipeline("anomalies", "ack", ids[0], "--until", "soon")).code, 2);
    for (const id of ids) {
      assert.equal((await pipeline("anomalies")).code, 1);
      assert.ok(wrong.stdout.includes(`[${id}]`));
      const known = await pipeline("anomalies", "ack", id, "--until", "8h", "--by", "Ann", "--json");
      assert.deepEqual([known.code, JSON.parse(known.stdout).by], [0, "Ann"], known.stderr);
    }
    const acknowledged = await pipeline("anomalies");
    assert.equal(acknowledged.code, 0);
    assert.match(acknowledged.stdout, /\[acknowledged by Ann until /);
    assert.equal((await pipeline("anomalies", "unack", ids[0])).code, 0);
    assert.equal((await pipeline("anomalies")).code, 1);
    assert.equal((await pipeline("summary", "--days", "0")).code, 2);
  }));

Deno.test("runs can be listed, looked at, retried, pruned, and a single task run from outside", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/messages.ndjson`, ROWS);
    const pipeline = (...args: string[]) => runHere(folder, ["pipeline", ...args]);
    const json = async (...args: string[]) => {
      const { code, stdout, stderr } = await pipeline(...args, "--json");
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout);
    };
    assert.match((await pipeline("run", "--dry-run", "--messages", "x")).stdout, /ingest → validate/);
    const dry = await pipeline("run", "nightly", "--dry-run", "--param", 'messages=["x"]');
    assert.match(dry.stdout, /"messages":\["x"\],"campaigns":\[\]/);
    assert.equal((await pipeline("run", "--dry-run", "--param", "messages=7")).code, 2);
    const evaluated = await json(
      "run",
      "evaluate",
      "--dry-run",
      "--events",
      `${folder}/e.ndjson`,
      "--param",
      "seed=3",
    );
    const { messages, events, seed } = evaluated.params;
    assert.deepEqual([messages, events, seed], [[], [`${folder}/e.ndjson`], 3]);
    const refused = await pipeline("run", "intents", "--dry-run", "--events", "e.ndjson");
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /the dag "intents" has no param "messages"/);
    assert.deepEqual((await json("run", "--dry-run", "--messages", "x")).levels.slice(0, 2), [["ingest"], [
      "validate",
    ]]);
    assert.deepEqual(await json("runs"), { runs: [] });
    const ran = await json("--messages", `${folder}/messages.ndjson`);
    assert.deepEqual((await json("runs")).runs.map(({ run_id }: { run_id: string }) => run_id), [ran.run_id]);
    assert.match((await pipeline("runs")).stdout, /^run +dag +state .*\n\S+ +nightly +success +manual /);
    assert.equal((await json("status", ran.run_id)).stages.length, 13);
    const logged = (await pipeline("logs", ran.run_id, "--json")).stdout.trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.ok(
      logged.some(({ task_id, line }) => task_id === "publish" && line === "data version 1 is published"),
    );
    const { lineage } = await json("lineage", ran.run_id);
    assert.ok(lineage.some(({ task_id }: { task_id: string }) => task_id === "publish"));
    assert.deepEqual(await json("quarantine"), { quarantined: 0, reasons: [], rows: [] });
    const retried = await json("retry", ran.run_id, "--task", "derive", "--downstream");
    assert.equal(
      retried.stages.map(({ attempts }: { attempts: number }) => attempts).join(),
      "1,1,1,1,1,1,1,1,1,2,2,2,2",
    );
    await json("pause", "nightly");
    assert.equal((await json("list")).dags[0].paused, true);
    await json("unpause", "nightly");
    assert.deepEqual(await json("cancel", ran.run_id), { run_id: ran.run_id, asked: false });

    const order = ["--dag", "nightly", "--run-id", "outside__2026-05-01T00:00:00+00:00"];
    const result = `${folder}/.parley/results/ingest.json`;
    const ingest = ["run-task", ...order, "--task", "ingest", "--output"];
    const skipped = await run(folder, "pipeline", ["pipeline", ...ingest, ".parley/results/ingest.json"]);
    assert.equal(skipped.code, 99, skipped.stderr);
    assert.equal(JSON.parse(Deno.readTextFileSync(result)).state, "skipped");
    await Deno.writeTextFile(`${folder}/new.ndjson`, JSON.stringify(message({ message_id: "new" })));
    const none = `${folder}/none.ndjson`;
    const partly = await runHere(
      folder,
      ["pipeline", ...ingest.with(ingest.indexOf(order[3]!), "outside-left-out"), result],
      { env: { PARLEY_MESSAGES: `${folder}/new.ndjson,${none}` } },
    );
    assert.equal(partly.code, 0, partly.stderr);
    assert.match(partly.stderr, /\nLeft out: \S+none\.ndjson does not exist\n/);
    const { output } = JSON.parse(Deno.readTextFileSync(result));
    assert.deepEqual([output.sources.length, output.failed.length], [1, 1]);
    const forGood: [string[], RegExp, Record<string, string>?][] = [
      [["--task", "valdate"], /no task "valdate" \(did you mean "validate"\?\)/],
      [["--task", "publish"], /task publish of run outside\S+ needs check, which has not ended/],
      [
        ["--task", "ingest", "--output", "elsewhere/result.json"],
        /--output elsewhere\/result\.json cannot be written/,
      ],
      [["--task", "ingest", "--from", "2026-05-01"], /--from and --to belong together/],
      [["--task", "ingest", "--from", "2026-05-02", "--to", "2026-05-01"], /--from 2026-05-02 is after --to/],
      [["--task", "ingest", "--param", 'messages=["/etc/hosts"]'], /messages of nightly is not one of those/],
      [["--task", "ingest", "--lineage-parent", "a/b"], /--lineage-parent "a\/b" is not namespace\/job\/run/],
      [["--task", "ingest", "--run-id", ""], /--run-id is blank/],
      [["--task", "ingest", "--run-id", "a/b"], /--run-id contains a \//],
      [["--task", "ingest", "--run-id", ":".repeat(86)], /--run-id is longer than 255 characters once/],
      [[], /required option '--task <id>'/],
      [["--task", "ingest"], /PARLEY_TIMEZONE/, { PARLEY_TIMEZONE: "Mars" }],
    ];
    for (const [args, sentence, env = {}] of forGood) {
      const run_id = `${order[3]}-for-good`;
      const task = ["pipeline", "run-task", "--dag", "nightly", "--run-id", run_id, ...args];
      // Outside of the folder a process may not write.
      const { code, stderr } = args.includes("--output")
        ? await run(folder, "pipeline", task)
        : await runHere(folder, task, { env });
      assert.equal(code, 98, stderr);
      assert.match(stderr, sentence);
    }
    const failing = ["run-task", "--dag", "nightly", "--run-id", "outside-2"];
    const fail = () =>
      runHere(folder, ["pipeline", ...failing, "--task", "ingest"], { env: { PARLEY_MESSAGES: none } });
    assert.equal((await fail()).code, 98);
    const opened = await pipeline("retry", "outside-2");
    assert.equal(opened.code, 0, opened.stderr);
    assert.match(opened.stdout, /^open again, for the external engine of run outside-2: ingest, /);
    Deno.writeTextFileSync(none, ROWS);
    const fixed = await fail();
    assert.equal(fixed.code, 0, fixed.stderr);
    const down = { env: { PARLEY_RUNS: "postgres://user:password@127.0.0.1:1/none" } };
    assert.equal(
      (await runHere(folder, ["pipeline", "run-task", ...order, "--task", "ingest"], down)).code,
      1,
    );
    assert.equal((await pipeline("status", "no-such-run")).code, 1);
    assert.match(
      (await pipeline("quarantine", "--run", "no-such-run")).stderr,
      /there is no run no-such-run;/,
    );
    assert.equal((await pipeline("quarantine", "--run", ran.run_id)).code, 0);
    const { code, stderr } = await pipeline("runs", "--dag", "nightli");
    assert.equal(code, 2);
    assert.match(stderr, /there is no dag "nightli" \(did you mean "nightly"\?\)/);
    assert.match((await pipeline("runs", "--dag", "reembed")).stdout, /^There are no runs of reembed yet; /);
    const fine = await pipeline("retry", ran.run_id);
    assert.equal(fine.code, 2);
    assert.match(fine.stderr, /no task of run nightly-\S+ failed; `--task` selects a task/);
    const mistyped = await pipeline("retry", ran.run_id, "--task", "ingets");
    assert.match(mistyped.stderr, /no task "ingets" \(did you mean "ingest"\?\)/);
    assert.equal((await pipeline("prune", "--older-than", "soon")).code, 2);
  }));

Deno.test("run-task does all that a run can without a source, and the task that ends the run exits with 98", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/good.ndjson`, ROWS);
    const output = `${folder}/.parley/result.json`;
    const env = { PARLEY_MESSAGES: `${folder}/good.ndjson,${folder}/none.ndjson` };
    const leftOut = /^Left out: \S+none\.ndjson does not exist$/m;
    const task = (run_id: string, id: string) =>
      runHere(folder, [
        "pipeline",
        "run-task",
        ...["--dag", "nightly", "--run-id", run_id, "--task", id, "--output", output],
      ], { env });
    const result = () => JSON.parse(Deno.readTextFileSync(output));
    const dag = await runHere(folder, ["pipeline", "--dry-run", "--json"], { env });
    const ids: string[] = JSON.parse(dag.stdout).levels.flat();
    for (const id of ids) {
      const { code, stderr } = await task("outside", id);
      assert.equal(code, id === "publish" ? 98 : 0, `${id}: ${stderr}`);
      assert.equal(leftOut.test(stderr), id === "publish" || id === "ingest", `${id}: ${stderr}`);
      assert.equal(result().state, "success");
      assert.match(result().left_out.join(), /none\.ndjson does not exist$/);
    }
    const recorded = await runHere(folder, ["pipeline", "status", "outside", "--json"]);
    assert.equal(JSON.parse(recorded.stdout).state, "success");
    const idle = await task("unchanged", "ingest");
    assert.equal(idle.code, 98, idle.stderr);
    assert.match(idle.stderr, leftOut);
    assert.equal(result().state, "skipped");
    Deno.writeTextFileSync(`${folder}/none.ndjson`, ROWS);
    for (const id of ids) assert.equal((await task("outside", id)).code, 0);
    assert.deepEqual(result().left_out, []);
  }));

Deno.test("doctor says what answers and what to do, without credentials", () =>
  withFolder(async (folder) => {
    const well = await run(folder, "doctor", ["doctor", "--json"]);
    assert.equal(well.code, 0, well.stderr);
    const { stores, findings } = JSON.parse(well.stdout);
    assert.deepEqual([stores.length, findings.map(({ code }: { code: string }) => code)], [7, [
      "scheduler_missing",
    ]]);
    const unscheduled = await runHere(folder, ["doctor"], { env: { PARLEY_SCHEDULE: "off" } });
    assert.match(unscheduled.stdout, /Everything is in order\./);
    const env = { PARLEY_DOCUMENTS: "nosuch://somebody:secret@127.0.0.1:1/db" };
    const ill = await runHere(folder, ["doctor"], { env });
    assert.equal(ill.code, 1);
    assert.match(ill.stdout, /documents +nosuch:.*which no adapter opens; known: sqlite:/);
    assert.doesNotMatch(ill.stdout + ill.stderr, /secret/);
  }));

Deno.test("doctor says that another model is set than the published one, and run reembed that the setting follows", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/messages.ndjson`, ROWS);
    assert.equal((await runHere(folder, ["pipeline", "--messages", `${folder}/messages.ndjson`])).code, 0);
    const env = { PARLEY_EMBEDDINGS: "test:32", PARLEY_SCHEDULE: "off" };
    const ill = await runHere(folder, ["doctor", "--json"], { env });
    assert.equal(ill.code, 1);
    const { findings, counts } = JSON.parse(ill.stdout);
    assert.deepEqual(findings.map(({ code }: { code: string }) => code), ["other_model"]);
    assert.match(
      findings[0].text,
      /\/64\/mean, and .*\/32\/mean: `deno task pipeline run reembed --param model=test:32`/,
    );
    assert.equal(counts.vectors.messages, 3);
    const changed = await runHere(folder, ["pipeline", "run", "reembed", "--param", "model=test:32"]);
    assert.equal(changed.code, 0, changed.stderr);
    assert.match(changed.stdout, /Set PARLEY_EMBEDDINGS=test:32: .*\n`.*model=test:64` goes back/);
    assert.match(changed.stdout, /the next nightly run learns the intents again, and .*run intents/);
    assert.equal((await runHere(folder, ["doctor"], { env })).code, 0);
    const wrong = await runHere(folder, ["pipeline", "run", "reembed", "--param", "model=nothing"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /the param model names no embedder; use onnx:/);
  }));

Deno.test("start loads the sample, answers, and stops in order; a second start has nothing to load", () =>
  withFolder(async (folder) => {
    const env = { PARLEY_PORT: "0" };
    for (const first of [true, false]) {
      const child = command(folder, "start", ["start"], { env }).spawn();
      await child.stdin.close();
      const errors = child.stderr.pipeTo(new WritableStream());
      const { text, rest } = await until(child.stdout, /curl -s/);
      assert.equal(/loads the bundled sample/.test(text), first);
      const [, url] = /"(http[^"]+)"/.exec(text) ?? [];
      const answer = await (await fetch(url!)).json();
      assert.equal(answer.strategy, "personal");
      const { open, past } = await (await fetch(new URL("/pipeline/anomalies", url))).json();
      assert.deepEqual([open, past], [[], []]);
      const page = await (await fetch(new URL("/", url), { headers: { accept: "text/html" } })).text();
      assert.match(page.replaceAll(/<[^>]*>/g, " "), /Shown this week\s+[1-9]/);
      child.kill("SIGINT");
      await Promise.all([rest(), errors]);
      assert.equal((await child.status).code, 0);
    }
    Deno.writeTextFileSync(`${folder}/own.ndjson`, ROWS);
    const own = await runHere(folder, ["pipeline", "--messages", `${folder}/own.ndjson`]);
    assert.match(own.stdout, /The sample is still in the stores .* `deno task reset --sample`/);
    const backup = await runHere(folder, ["backup"]);
    assert.equal(backup.code, 0, backup.stderr);
    const [, copy] = /copied to (\S+);/.exec(backup.stdout) ?? [];
    const restored = `${folder}/restored`;
    await Deno.mkdir(restored);
    await Deno.rename(copy!, `${restored}/.parley`);
    assert.match(
      (await runHere(restored, ["reset", "--sample"])).stdout,
      /426 messages of 60 sample users and 50 campaigns are removed/,
    );
    await Deno.rename(`${restored}/.parley/parley-sample`, `${restored}/x`).then(
      () => assert.fail("its files are gone too"),
      (error) => assert.ok(error instanceof Deno.errors.NotFound),
    );
  }));

Deno.test("start does not mix the sample with data of one's own, from a run that failed or was killed", () =>
  withFolder(async (folder) => {
    const loads = async () => {
      const config = loadConfig({ PARLEY_DATA: `${folder}/.parley`, PARLEY_EMBEDDINGS: "test:64" });
      const { value: sources, said } = await quietly(() => sourcesToLoad(config));
      assert.equal(sources === null, /the sample is not mixed with your data/.test(said.join()));
      return sources !== null;
    };
    const starts = async () => {
      const child = command(folder, "start", ["start"], { env: { ...LEASE, PARLEY_PORT: "0" } }).spawn();
      await child.stdin.close();
      const errors = child.stderr.pipeTo(new WritableStream());
      const { text, rest } = await until(child.stdout, /curl -s/);
      child.kill("SIGINT");
      await Promise.all([rest(), errors]);
      assert.equal((await child.status).code, 0);
      const loaded = [...Deno.readDirSync(`${folder}/.parley`)].some(({ name }) =>
        name.startsWith("parley-sample")
      );
      assert.equal(loaded, /loads the bundled sample/.test(text));
      assert.equal(loaded, !/the sample is not mixed with your data/.test(text));
      return loaded;
    };
    Deno.writeTextFileSync(`${folder}/bad.ndjson`, "{}\n");
    const nightly = (file: string) => runHere(folder, ["pipeline", "--messages", `${folder}/${file}`]);
    assert.equal((await nightly("bad.ndjson")).code, 1);
    assert.equal(await loads(), false, "after a run that failed before it wrote anything");

    await Deno.remove(`${folder}/.parley`, { recursive: true });
    assert.equal((await nightly("none.ndjson")).code, 1);
    assert.equal(await loads(), false, "after a run whose source does not exist");

    Deno.writeTextFileSync(`${folder}/own.ndjson`, ROWS);
    for (const task of ["ingest", "documents"]) {
      await Deno.remove(`${folder}/.parley`, { recursive: true });
      await killedIn(folder, task, ["--messages", "own.ndjson"]);
      assert.equal(await loads(), false, `after a run that was killed in ${task}`);
    }
    assert.equal(await starts(), false);

    await Deno.remove(`${folder}/.parley`, { recursive: true });
    await killedIn(folder, "graph", await sampleArgs(folder));
    assert.equal(await loads(), true, "after a run of the sample that was killed with rows stored");
    assert.equal(await starts(), true);

    await Deno.remove(`${folder}/.parley`, { recursive: true });
    const config = loadConfig({ PARLEY_DATA: `${folder}/.parley` });
    const opened = await openServices(config);
    await opened.value.documents.upsert({ messages: [message()] });
    await opened.close();
    assert.equal(await loads(), false, "with rows of an unknown run");
    assert.equal((await runHere(folder, ["reset", "--all", "--yes"])).code, 0);
    assert.equal(await loads(), true);
  }));

/** The arguments with which `start` loads the sample. */
async function sampleArgs(folder: string): Promise<string[]> {
  const sources = await writeSample({ data: `${folder}/.parley`, now: Date.now() });
  return Object.entries(sources).flatMap(([kind, paths]) => [`--${kind}`, ...paths]);
}

/** How long a killed process's run waits for others. */
const LEASE = { PARLEY_LEASE_MS: "500" };

/** Starts a nightly run and kills it as soon as a task has started. */
async function killedIn(folder: string, task: string, args: string[]): Promise<void> {
  const child = command(folder, "pipeline", ["pipeline", ...args], { env: LEASE }).spawn();
  await child.stdin.close();
  const { rest } = await until(child.stderr, new RegExp(`${task}: started`));
  child.kill("SIGKILL");
  await Promise.all([rest(), child.stdout.cancel()]);
  await child.status;
}

Deno.test("an interrupted run of the sample is cancelled once there are sources of one's own", (t) =>
  withFolder(async (folder) => {
    const [data, interrupted, path] = ["/.parley", "/interrupted", "/own.ndjson"].map((name) =>
      folder + name
    ) as [string, string, string];
    await killedIn(folder, "ingest", await sampleArgs(folder));
    await Deno.rename(data, interrupted);
    Deno.writeTextFileSync(path, ROWS);
    // The killed process's lease ends meanwhile; `work` does not wait for it.
    await new Promise((resolve) => setTimeout(resolve, 600));
    for (
      const [how, given, args, expected] of [
        ["on the command line", "--messages", ["pipeline"], [["success", "cancelled"], 3]],
        ["in the settings", "PARLEY_MESSAGES", ["pipeline"], [["success", "cancelled"], 3]],
        ["in the settings of a scheduler", "PARLEY_MESSAGES", ["pipeline", "work"], [["cancelled"], 0]],
      ] as const
    ) {
      await t.step(how, async () => {
        copyFolder(interrupted, data);
        const [sources, env] = given === "--messages"
          ? [[given, path], LEASE]
          : [[], { ...LEASE, [given]: path }];
        // What `work` logs goes past the console.
        const own = how.endsWith("scheduler")
          ? await run(folder, "pipeline", [...args], { env })
          : await runHere(folder, [...args, ...sources], { env });
        assert.match(
          own.stderr,
          /run nightly-\S+ was interrupted while it loaded the sample; it is cancelled/,
        );
        const { stdout } = await runHere(folder, ["pipeline", "runs", "--json"]);
        const states = JSON.parse(stdout).runs.map(({ state }: { state: string }) => state);
        const opened = await openServices(loadConfig({ PARLEY_DATA: data }));
        const { messages } = await opened.value.documents.counts();
        await opened.close();
        assert.deepEqual([states, messages], expected);
        await Deno.remove(data, { recursive: true });
      });
    }
  }));

function writeMany(folder: string): void {
  const rows = Array.from(
    { length: 2_000 },
    (_, n) => JSON.stringify({ user_id: `u${n % 500}`, message: `words ${n}`, timestamp: 1_770_000_000 + n }),
  );
  Deno.writeTextFileSync(`${folder}/many.ndjson`, rows.join("\n"));
}

Deno.test("a pipeline that is interrupted says so, and what continues it", () =>
  withFolder(async (folder) => {
    writeMany(folder);
    const args = ["pipeline", "--messages", "many.ndjson"];
    for (
      const [options, said] of [
        [["--json"], /"state":"interrupted"/],
        [[], /: interrupted\b[^]*`deno task pipeline work` continues it/],
      ] as const
    ) {
      const child = command(folder, "pipeline", [...args, ...options]).spawn();
      await child.stdin.close();
      const { rest } = await until(child.stderr, /validate: started/);
      child.kill("SIGINT");
      const [stdout] = await Promise.all([new Response(child.stdout).text(), rest()]);
      assert.equal((await child.status).code, 130);
      assert.match(stdout, said);
      if (options.length > 0) await Deno.remove(`${folder}/.parley`, { recursive: true });
    }
    // Its log has a timer of its own.
    assert.equal((await run(folder, "pipeline", ["pipeline", "work"])).code, 0);
    const { stdout: runs } = await runHere(folder, ["pipeline", "runs", "--json"]);
    assert.deepEqual(JSON.parse(runs).runs.map(({ state }: { state: string }) => state), ["success"]);
  }));

Deno.test("a pipeline that is killed continues where it stopped", () =>
  withFolder(async (folder) => {
    writeMany(folder);
    const args = ["--messages", `${folder}/many.ndjson`, "--json"];
    await killedIn(folder, "embed", args);
    const { code, stdout, stderr } = await runHere(folder, ["pipeline", ...args], { env: LEASE });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /run nightly-\S+ was interrupted: it continues first/);
    assert.equal(JSON.parse(stdout).state, "success");
  }));

Deno.test("pipeline needs no source for rows that were written over HTTP; doctor says that they wait", () =>
  withFolder(async (folder) => {
    const config = loadConfig({ PARLEY_DATA: `${folder}/.parley`, PARLEY_EMBEDDINGS: "test:64" });
    const store = async (write: (services: Services) => Promise<unknown>) => {
      const { value, close } = await openServices(config);
      await write(value).finally(close);
    };
    const published = async () => {
      const { value, close } = await openServices(config);
      return await value.analytics.published().finally(close);
    };
    const codes = async () => {
      const { code, findings, dirty_users } = await doctorReport(config);
      return [code, findings.map((finding: { code: string }) => finding.code), dirty_users];
    };
    const refused = await runHere(folder, ["pipeline"]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /there is no source/);
    assert.deepEqual(await codes(), [0, [], 0]);

    await store(({ analytics }) =>
      analytics.upsertCampaigns({ campaigns: [campaign({ campaign_id: "boots" })] })
    );
    assert.deepEqual(await codes(), [1, ["unpublished"], 0]);
    assert.equal((await runHere(folder, ["pipeline"])).code, 0);
    assert.equal((await published())?.version, 1);
    assert.deepEqual(await codes(), [0, [], 0]);

    await store(({ documents }) => documents.upsert({ messages: [message({ user_id: "ann" })] }));
    assert.deepEqual(await codes(), [0, [], 1]);
    const told = await runHere(folder, ["doctor"]);
    assert.match(
      told.stdout,
      /derives 1 user, written to since the last one; `deno task pipeline` runs it now/,
    );
    assert.equal((await runHere(folder, ["pipeline", "run", "nightly"])).code, 0);
    assert.equal((await published())?.version, 2);
    assert.deepEqual(await codes(), [0, [], 0]);

    await store(({ analytics }) =>
      analytics.upsertCampaigns({ campaigns: [campaign({ campaign_id: "tent" })] })
    );
    assert.equal((await runHere(folder, ["pipeline"])).code, 0);
    assert.equal((await published())?.version, 3, "its indexes have the new campaign");

    const idle = await runHere(folder, ["pipeline"]);
    assert.equal(idle.code, 0, idle.stderr);
    assert.match(idle.stdout, /there is no source/);
    assert.equal((await published())?.version, 3);
  }));
