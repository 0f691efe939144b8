import assert from "node:assert/strict";
import { historyAnomalies, pastFailures, runAnomalies } from "../../../lib/monitoring/run_anomalies.ts";
import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import type { RunHistory } from "../../../lib/stores/runs/port.ts";
import { cleanWorld, DAG, NIGHT, night, withTask } from "../../fixtures/monitoring.ts";

const nightsOf = (count: number, rows = 1_000, ms = 3_000) =>
  Array.from({ length: count }, (_, n) => night(n, facts(rows, ms)));
const facts = (rows: number, ms: number) => DAG.tasks.map(() => ({ rows_in: rows, rows_out: rows, ms }));
const judge = (oldestFirst: readonly RunHistory[], now = NIGHT + oldestFirst.length * DAY_MS) =>
  historyAnomalies(DAG, oldestFirst.toReversed(), now);
const failing = ({ run, tasks }: RunHistory): RunHistory => ({
  run: { ...run, state: "failed" },
  tasks: withTask({ run, tasks }, "embed", () => ({ state: "failed" })).tasks,
});

Deno.test("historyAnomalies() says nothing of nights like the others", () => {
  assert.deepEqual(judge([]), []);
  assert.deepEqual(judge(nightsOf(30)), []);
});

Deno.test("historyAnomalies() reports a failed run, at which task, and since when runs fail", () => {
  const nights = nightsOf(10);
  const [found, ...others] = judge([...nights.slice(0, 7), ...nights.slice(7).map(failing)]);
  assert.deepEqual(others, []);
  assert.equal(found?.code, "run_failed");
  assert.equal(found.severity, "critical");
  assert.deepEqual(found.subject, { kind: "task", dag_id: "d", task_id: "embed" });
  assert.deepEqual([found.figure, found.run_id, found.since], [3, "night 9", nights[7]!.run.ended_at]);
  assert.match(found.text, /^The last 3 runs of d failed at embed; .*pipeline retry night 9/);
  const { run, tasks } = failing(nights[9]!);
  const [external] = judge([{ run: { ...run, trigger: "external" }, tasks }]);
  assert.match(
    external!.text,
    /mend the cause, then have the engine outside that drives it run the task again$/,
  );
});

Deno.test("historyAnomalies() quotes the first line of an error without the task's name, up to 1,000 characters of it", () => {
  const quoted = (error: string) => {
    const { run, tasks } = failing(nightsOf(1)[0]!);
    return /failed at embed: (.*?)(?:; |: `)/.exec(judge([{ run: { ...run, error }, tasks }])[0]!.text)?.[1];
  };
  assert.equal(quoted("embed: the model is gone\n  at a place"), "the model is gone");
  assert.equal(quoted(`embed: ${"x".repeat(1_000)}`), "x".repeat(1_000));
  assert.equal(quoted(`embed: ${"x".repeat(1_001)}`), `${"x".repeat(999)}…`);
});

Deno.test("pastFailures() are those that a success followed, with when it did", () => {
  const nights = nightsOf(6);
  const mixed = [
    nights[0]!,
    failing(nights[1]!),
    failing(nights[2]!),
    nights[3]!,
    nights[4]!,
    failing(nights[5]!),
  ];
  const [past, ...others] = pastFailures(DAG, mixed.toReversed());
  assert.deepEqual(others, []);
  assert.deepEqual([past?.run_id, past?.figure, past?.until], ["night 2", 2, nights[3]!.run.ended_at]);
});

Deno.test("runAnomalies() blames the stage where rows went missing, and not those after it", () => {
  const [last, ...before] = nightsOf(30).toReversed();
  const few = {
    run: last!.run,
    tasks: last!.tasks.map((task) => ({ ...task, rows_in: 100, rows_out: 100 })),
  };
  const found = runAnomalies(DAG, few, before);
  assert.deepEqual(found.map(({ code, subject }) => [code, subject]), [
    ["rows_unusual", { kind: "task", dag_id: "d", task_id: "ingest" }],
  ]);
  assert.deepEqual([found[0]!.figure, found[0]!.expected, found[0]!.history?.length], [100, 1_000, 30]);
});

Deno.test("runAnomalies() finds a stage that gives nothing where all runs before it did", () => {
  const [last, ...before] = nightsOf(6).toReversed();
  const empty = withTask(last!, "embed", () => ({ rows_out: 0 }));
  assert.deepEqual(runAnomalies(DAG, empty, before).map(({ code }) => code), ["stage_empty"]);
  const once = withTask(before[2]!, "embed", () => ({ rows_out: 0 }));
  assert.deepEqual(runAnomalies(DAG, empty, before.with(2, once)), []);
});

Deno.test("runAnomalies() reports no difference of milliseconds or of a few rows", () => {
  const [last, ...before] = nightsOf(30, 10, 20).toReversed();
  const jitter = withTask(last!, "embed", ({ started_at }) => ({
    ended_at: iso(Date.parse(started_at!) + 900),
    rows_in: 25,
    rows_out: 25,
  }));
  assert.deepEqual(runAnomalies(DAG, jitter, before), []);
});

Deno.test("runAnomalies() calls a level that has lasted the new one", () => {
  const nights = [...nightsOf(30), ...nightsOf(38, 5_000).slice(30)];
  const found = (count: number) =>
    runAnomalies(DAG, nights[count - 1]!, nights.slice(0, count - 1).toReversed());
  assert.deepEqual(found(31).map(({ severity, since }) => [severity, since]), [[
    "warning",
    nights[30]!.tasks[0]!.ended_at,
  ]]);
  assert.deepEqual(found(33).map(({ severity, since }) => [severity, since]), [[
    "warning",
    nights[30]!.tasks[0]!.ended_at,
  ]]);
  assert.deepEqual(found(37).map(({ severity }) => severity), ["info"]);
});

Deno.test("runAnomalies() reports a spike of refused rows, and attempts that were lost", () => {
  const { nights } = cleanWorld(3, 30);
  const [last, ...before] = nights.toReversed();
  const bad = withTask(last!, "validate", ({ rows_in }) => ({ quarantined: Math.round(0.3 * rows_in) }));
  const found = runAnomalies(DAG, withTask(bad, "derive", () => ({ lost: 2, attempts: 3 })), before);
  assert.deepEqual(found.map(({ code, figure }) => [code, Math.round(10 * figure) / 10]), [
    ["quarantine_spike", 0.3],
    ["attempts_lost", 2],
  ]);
  assert.match(found[0]!.text, /pipeline quarantine --run night 29/);
});

Deno.test("runAnomalies() reports a spike from ten refused rows on", () => {
  const [last, ...before] = nightsOf(30).toReversed();
  const codes = (quarantined: number) =>
    runAnomalies(DAG, withTask(last!, "validate", () => ({ quarantined })), before).map(({ code }) => code);
  assert.deepEqual([codes(9), codes(10)], [[], ["quarantine_spike"]]);
});

Deno.test("each anomaly of a run has the value, the expected range, and what to do", () => {
  const [last, ...before] = nightsOf(30).toReversed();
  const logs = /: .*`deno task pipeline logs night 29 \w+`$/.source;
  const textOf = (code: string, task_id: string, change: Parameters<typeof withTask>[2]) =>
    historyAnomalies(DAG, [withTask(last!, task_id, change), ...before], NIGHT + 30 * DAY_MS)
      .find((one) => one.code === code)?.text ?? "";
  for (
    const [code, change, text] of [
      [
        "task_failed",
        () => ({ state: "failed" }),
        /^Task embed failed, and the run of d continued without it/,
      ],
      ["stage_empty", () => ({ rows_out: 0 }), /^embed took 1000 rows in and gave none out, as it never did/],
      ["rows_unusual", () => ({ rows_in: 9 }), /^embed took in 9 rows where about 1000 were to be expected/],
      [
        "stage_slow",
        ({ started_at }) => ({ ended_at: iso(Date.parse(started_at!) + 900_000) }),
        /^embed took .+ where about .+ were to be expected/,
      ],
      ["attempts_lost", () => ({ lost: 2 }), /^2 attempts of embed were lost with their process/],
    ] as [string, Parameters<typeof withTask>[2], RegExp][]
  ) assert.match(textOf(code, "embed", change), new RegExp(text.source + ".*" + logs), code);
  assert.match(
    textOf("quarantine_spike", "embed", () => ({ quarantined: 500 })),
    /^50.% of the rows were refused where 0.% are usual: `deno task pipeline quarantine --run night 29` has/,
  );
});

Deno.test("historyAnomalies() reports a run that its external engine has left, once nothing has happened in it for an hour", () => {
  const { run, tasks } = night(20, facts(1_000, 3_000));
  const left = {
    run: { ...run, state: "running" as const, trigger: "external" as const, ended_at: null },
    tasks,
  };
  const last = Date.parse(tasks.map(({ ended_at }) => ended_at!).sort().at(-1)!);
  assert.deepEqual(judge([left], last + 3_599_000), []);
  const [found, ...others] = judge([left], last + 3_600_000);
  assert.deepEqual([found?.code, found?.figure, found?.run_id, others], [
    "run_abandoned",
    3_600_000,
    run.run_id,
    [],
  ]);
  assert.match(found!.text, new RegExp(`cancel ${run.run_id}`));
  const held = last + 3_600_001;
  const working = {
    ...left,
    tasks: tasks.map((task, i) =>
      i > 0 ? task : { ...task, state: "running" as const, ended_at: null, lease_until: held }
    ),
  };
  assert.deepEqual(judge([working], last + 3_600_000), []);
  const died = judge([working], held + 3_600_000);
  assert.deepEqual(died.map(({ code, figure }) => [code, figure]), [["run_abandoned", 3_600_000]]);
  const queued = { run: { ...left.run, state: "queued" as const, started_at: null }, tasks: [] };
  const codes = judge([queued], Date.parse(run.created_at) + 3_600_000).map(({ code }) => code);
  assert.deepEqual(codes, ["run_abandoned"]);
});

Deno.test("historyAnomalies() reports a run that takes far longer than usual, and one that waits for ten minutes", () => {
  const nights = nightsOf(20);
  const { run, tasks } = night(20, facts(1_000, 3_000));
  const started = Date.parse(run.started_at!);
  const held = { state: "running", ended_at: null, lease_until: started + 4_000_000 } as const;
  const running = { run: { ...run, ...held }, tasks };
  assert.deepEqual(judge([...nights, running], started + 30_000), []);
  const [late] = judge([...nights, running], started + 3_600_000);
  assert.deepEqual([late?.code, late?.figure, late?.expected, late?.since], [
    "run_overdue",
    3_600_000,
    15_000,
    run.started_at,
  ]);
  const queued = { run: { ...run, state: "queued" as const, started_at: null, ended_at: null }, tasks };
  const made = Date.parse(queued.run.created_at);
  assert.deepEqual(judge([...nights, queued], made + 599_999), []);
  assert.deepEqual(judge([...nights, queued], made + 600_000).map(({ code }) => code), ["run_waiting"]);
});

Deno.test("historyAnomalies() reports a run whose process died, if no process continues it within a minute", () => {
  const { run, tasks } = night(20, facts(1_000, 3_000));
  const lease_until = Date.parse(run.started_at!) + 10_000;
  const died = { run: { ...run, state: "running" as const, ended_at: null, lease_until }, tasks };
  assert.deepEqual(judge([died], lease_until + 59_999), []);
  const [found, ...others] = judge([died], lease_until + 60_000);
  assert.deepEqual([found?.code, found?.severity, found?.figure, others], [
    "run_interrupted",
    "warning",
    60_000,
    [],
  ]);
  assert.match(found!.text, new RegExp(`pipeline work.*cancel ${run.run_id}`));
});
