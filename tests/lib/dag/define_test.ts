import assert from "node:assert/strict";
import { z } from "../../../deps.ts";
import {
  activeLimits,
  type Dag,
  type DagDefinition,
  defineDag,
  loadDags,
  type TaskDefinition,
} from "../../../lib/dag/define.ts";
import { checkParams } from "../../../lib/dag/runs.ts";
import type { TriggerRule } from "../../../lib/dag/types.ts";

const run = () => Promise.resolve();
const task = (id: string, needs: string[] = [], rest: Partial<TaskDefinition<null>> = {}) => ({
  id,
  needs,
  run,
  ...rest,
});
const define = (tasks: TaskDefinition<null>[], rest: Partial<DagDefinition<null>> = {}) =>
  defineDag<null>({ id: "test", tasks, ...rest });

/** Definitions that are refused, with the sentence that says why. */
const FAULTS: readonly (readonly [what: string, message: string, make: () => unknown])[] = [
  [
    "a cycle, with its path",
    'dag "test": a cycle: b → c → d → b',
    () => define([task("a"), task("b", ["a", "d"]), task("c", ["b"]), task("d", ["c"]), task("e", ["d"])]),
  ],
  ["a task that needs itself", 'dag "test": a cycle: a → a', () => define([task("a", ["a"])])],
  [
    "an unknown need",
    'dag "test": task "a" needs "b", which does not exist',
    () => define([task("a", ["b"])]),
  ],
  ["a duplicate id", 'dag "test": two tasks have the id "a"', () => define([task("a"), task("a")])],
  [
    "a duplicate role",
    'dag "test": two tasks have the role "x"',
    () => define([task("a", [], { role: "x" }), task("b", [], { role: "x" })]),
  ],
  [
    "an id that is no id",
    'dag "test": "a b" is not an id: use letters, digits, "_", "-", "."',
    () => define([task("a b")]),
  ],
  ["no tasks", 'dag "test": it has no tasks', () => define([])],
  ...([
    "one_success",
    "one_failed",
    "one_done",
    "all_done_min_one_success",
    "none_failed_min_one_success",
  ] as const)
    .map((trigger: TriggerRule) =>
      [
        `${trigger} without needs`,
        `dag "test": task "a" has the rule ${trigger}, which can never fire without needs`,
        () => define([task("a", [], { trigger })]),
      ] as const
    ),
  [
    "a timeout of nothing",
    'dag "test": task "a" has timeout_ms 0; the least is 1',
    () => define([task("a", [], { timeout_ms: 0 })]),
  ],
  [
    "fewer than no retries",
    'dag "test": task "a" has retries.count -1; the least is 0',
    () => define([task("a", [], { retries: { count: -1 } })]),
  ],
  [
    "slots that are no number",
    'dag "test": task "a" has pool_slots NaN; the least is 1',
    () => define([task("a", [], { pool_slots: NaN })]),
  ],
  [
    "room for no run",
    'dag "test": max_active_runs is 0; the least is 1',
    () => define([task("a")], { max_active_runs: 0 }),
  ],
  [
    "a schedule without a default for a param",
    'dag "test": it has a schedule, and no default for the params: day',
    () =>
      define([task("a")], {
        params: z.object({ day: z.string(), size: z.number().default(1) }),
        schedule: { cron: "0 0 * * *", timezone: "UTC", catch_up: "none" },
      }),
  ],
];

for (const [what, message, make] of FAULTS) {
  Deno.test(`defineDag() refuses ${what}`, () => {
    assert.throws(make, { name: "ParleyError", code: "invalid", message });
  });
}

Deno.test("defineDag() refuses a schedule or a zone that does not exist, and a schedule that is never due, naming it", () => {
  for (
    const [cron, timezone, sentence] of [
      ["61 2 * * *", "UTC", 'the schedule "61 2 * * *" is not crontab(5): '],
      ["every night", "UTC", 'the schedule "every night" has not the five fields'],
      ["0 2 31 2 *", "UTC", 'the schedule "0 2 31 2 *" is never due'],
      ["0 2 * * *", "Mars/Olympus", '"Mars/Olympus" is not an IANA time zone'],
    ] as const
  ) {
    assert.throws(
      () => define([task("a")], { schedule: { cron, timezone, catch_up: "none" } }),
      (error: Error) => error.message.startsWith(`dag "test": ${sentence}`),
    );
  }
});

Deno.test("defineDag() lets the rules that no need must fulfil stand without needs", () => {
  for (const trigger of ["always", "all_success", "all_done", "none_failed", "none_skipped"] as const) {
    define([task("a", [], { trigger })]);
  }
});

Deno.test("defineDag() gives one version to one structure, whatever the order or the functions", () => {
  const one = define([task("a"), task("b", ["a"]), task("c", ["a", "b"])]);
  const same = define([
    task("c", ["b", "a"]),
    task("b", ["a"], { run: () => Promise.resolve(1) }),
    task("a"),
  ]);
  const other = define([task("a"), task("b", ["a"]), task("c", ["b"])]);
  assert.equal(one.version, same.version);
  assert.notEqual(one.version, other.version);
  assert.deepEqual(one.dependents.get("a"), ["b", "c"]);
});

Deno.test("loadDags() refuses a pool that does not exist, more slots than its pool has, and an id given twice", () => {
  const load = (rest: Partial<TaskDefinition<null>>) => () =>
    loadDags({ dags: [define([task("a", [], rest)])], pools: { default: 2, gpu: 1 } });
  assert.throws(load({ pool: "tape" }), {
    message: 'dag "test": task "a" needs the pool "tape", which does not exist',
  });
  assert.throws(load({ pool: "gpu", pool_slots: 2 }), {
    message: 'dag "test": task "a" needs 2 slots of the pool "gpu", which has 1',
  });
  assert.deepEqual([...load({ pool: "gpu" })().keys()], ["test"]);
  const dag = define([task("a")]);
  assert.throws(() => loadDags({ dags: [dag, dag], pools: { default: 1 } }), {
    message: 'two dags have the id "test"',
  });
});

Deno.test("loadDags() refuses groups whose dags disagree on their limit, and activeLimits() names the groups", () => {
  const dag = (id: string, rest: Partial<DagDefinition<null>>) =>
    defineDag({ id, tasks: [task("a")], ...rest });
  const one = dag("one", { group: "g", max_active_runs: 2 });
  const load = (dags: Dag<null>[]) => loadDags({ dags, pools: { default: 1 } });
  assert.throws(() => load([one, dag("two", { group: "g" })]), {
    code: "invalid",
    message:
      'dag "two": max_active_runs is 1 and that of "one", of the same group "g", is 2: a group has one limit',
  });
  const dags = load([one, dag("two", { group: "g", max_active_runs: 2 }), dag("three", {})]);
  assert.deepEqual(activeLimits(dags.values()), {
    max_active: { one: 2, two: 2, three: 1 },
    groups: { one: "g", two: "g" },
  });
  assert.throws(() => dag("one", { group: "no name" }), { code: "invalid" });
});

Deno.test("checkParams() fills in defaults and names every param that is wrong", () => {
  const params = z.object({ size: z.number().default(7), name: z.string() });
  const dag = define([task("a")], { params });
  assert.deepEqual(checkParams(dag, { name: "x" }), { name: "x", size: 7 });
  assert.throws(
    () => checkParams(dag, { size: "big" }),
    (error: Error) => /size: .*; name: /.test(error.message),
  );
});

Deno.test("checkParams() refuses a param that the dag does not have, and suggests the one that was meant", () => {
  const dag = define([task("a")], {
    params: z.object({ model: z.string().default("m"), size: z.int().default(1) }),
  });
  assert.throws(() => checkParams(dag, { modl: "x" }), {
    code: "invalid",
    message: 'the dag "test" has no param "modl" (did you mean "model"?); its params are model, size',
  });
  assert.throws(() => checkParams(define([task("a")]), { size: 1 }), /has no param "size"; it takes none/);
  const any = define([task("a")], { params: z.record(z.string(), z.number()) });
  assert.deepEqual(checkParams(any, { size: 1 }), { size: 1 });
});
