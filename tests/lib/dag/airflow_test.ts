import assert from "node:assert/strict";
import { z } from "../../../deps.ts";
import { airflowDag } from "../../../lib/dag/airflow.ts";
import { type DagDefinition, defineDag, type TaskDefinition } from "../../../lib/dag/define.ts";

const NO_FIELDS = { type: "object", properties: {} };
const NOON = Date.parse("2026-05-06T12:00:00Z");
const task = (id: string, rest: Partial<TaskDefinition<null>> = {}): TaskDefinition<null> => ({
  id,
  run: () => Promise.resolve(null),
  ...rest,
});
const exported = (rest: Partial<DagDefinition<null>>) =>
  airflowDag(defineDag<null>({ id: "report", tasks: [task("a")], ...rest }), NOON);

Deno.test("airflowDag() begins with the next run that is due if it catches up, else it takes any date", () => {
  const weekly = { cron: "0 7 * * 1", timezone: "Europe/Berlin" };
  const { schedule, start_date, catchup } = exported({ schedule: { ...weekly, catch_up: "latest" } });
  assert.deepEqual([schedule, start_date, catchup], [weekly, "1970-01-01T00:00:00.000+00:00", false]);
  const all = exported({ schedule: { ...weekly, catch_up: "all" } });
  assert.deepEqual([all.start_date, all.catchup], ["2026-05-04T05:00:00.000+00:00", true]);
  assert.equal(exported({}).schedule, null);
});

Deno.test("airflowDag() gives the params that may be set from outside, and no configured value", () => {
  const { params } = exported({
    params: z.object({
      days: z.int().min(1).max(9).default(7).describe("how many"),
      source: z.string().default("https://user:secret@example.org"),
      either: z.union([z.string(), z.number()]).optional(),
      nested: z.union([z.string(), z.object({})]).optional(),
      format: z.enum(["csv", "json"]).optional(),
      folder: z.string().default("/srv"),
    }),
    remote: {
      days: "any",
      source: { values: () => Promise.resolve(["a"]), settings: "A" },
      either: "any",
      nested: "any",
      format: "any",
    },
  });
  assert.deepEqual(params, {
    days: { default: 7, description: "how many", type: "integer", minimum: 1, maximum: 9 },
    source: { default: null, type: ["null", "string"] },
    either: { default: null, type: ["null", "string", "number"] },
    nested: { default: null, anyOf: [{ type: "null" }, { anyOf: [{ type: "string" }, NO_FIELDS] }] },
    format: { default: null, type: ["null", "string"], enum: ["csv", "json", null] },
  });
});

Deno.test("airflowDag() watches the tasks whose failure the leaves would not show", () => {
  const { watched, may_fail } = exported({ tasks: [task("a"), task("b", { needs: ["a"] })] });
  assert.deepEqual([watched, may_fail], [[], []]);
  const cleanup = exported({ tasks: [task("a"), task("b", { needs: ["a"], trigger: "all_done" })] });
  assert.deepEqual([cleanup.watched, cleanup.may_fail], [["a", "b"], []]);
  const tolerant = exported({ tasks: [task("a"), task("b", { needs: ["a"], allow_failure: true })] });
  assert.deepEqual([tolerant.watched, tolerant.may_fail], [["a"], ["b"]]);
});

Deno.test("airflowDag() gives a task its limits in seconds, and its upstream tasks once", () => {
  const { tasks } = exported({
    tasks: [
      task("a", { retries: { count: 2, base_ms: 500, cap_ms: 90_000 }, timeout_ms: 30_000, priority: 4 }),
      task("b", { needs: ["a", "a"], trigger: "one_success", pool: "gpu", pool_slots: 2 }),
    ],
  });
  assert.deepEqual(tasks, [{
    ...{ task_id: "a", doc_md: "", upstream: [], trigger_rule: "all_success", retries: 2 },
    ...{ retry_delay: 0.5, max_retry_delay: 90, execution_timeout: 90, priority_weight: 5 },
    ...{ pool: "default_pool", pool_slots: 1 },
  }, {
    ...{ task_id: "b", doc_md: "", upstream: ["a"], trigger_rule: "one_success", retries: 0 },
    ...{ retry_delay: 1, max_retry_delay: 300, execution_timeout: null, priority_weight: 1 },
    ...{ pool: "gpu", pool_slots: 2 },
  }]);
});

Deno.test("airflowDag() refuses what would not be the same in Airflow", () => {
  const tasks = [task("a"), task("b", { needs: ["a"], expand: { over: "a" } })];
  assert.throws(() => exported({ tasks }), {
    code: "unsupported",
    message: 'dag "report": task "b" has expand, which cannot be exported to Airflow',
  });
});
