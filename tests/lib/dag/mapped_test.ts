import assert from "node:assert/strict";
import { systemClock } from "../../../lib/core/clock.ts";
import { clearRun } from "../../../lib/dag/clear.ts";
import type { TaskDefinition } from "../../../lib/dag/define.ts";
import { createRun } from "../../../lib/dag/runs.ts";
import { runTask } from "../../../lib/dag/run_task.ts";
import { Branch, Fail, Skip, type TaskContext } from "../../../lib/dag/types.ts";
import type { Json } from "../../../lib/core/types.ts";
import type { RunStore } from "../../../lib/stores/runs/port.ts";
import {
  dagOf,
  driveRun,
  ok,
  options,
  runToEnd,
  startAndDie,
  states,
  until,
  withRuns,
} from "../../fixtures/dag.ts";

const never = new AbortController().signal;

/** `list` returns the items, `each` has one instance for each, and `end` returns what they returned. */
const mappedDag = (
  items: () => Json,
  run: TaskDefinition<null>["run"],
  each: Partial<TaskDefinition<null>> = {},
  more: TaskDefinition<null>[] = [],
) =>
  dagOf([
    { id: "list", run: () => Promise.resolve(items()) },
    { id: "each", needs: ["list"], expand: { over: "list" }, run, ...each },
    { id: "end", needs: ["each"], run: (c) => Promise.resolve(c.output("each")) },
    ...more,
  ]);

Deno.test("a mapped task has an instance for each item, retries each alone, and hands on results in order", () =>
  withRuns(async (runs) => {
    const slow = Promise.withResolvers<void>();
    let running = 0, most = 0, ended = 0;
    const run = async ({ item, map_index, task_id, attempt }: TaskContext<null>) => {
      most = Math.max(most, ++running);
      try {
        assert.equal(task_id, "each");
        if (map_index === 0) await slow.promise;
        else await until(() => running === 2 || ended >= 10);
        if (map_index === 3 && attempt === 1) throw new Error("once");
        if (map_index === 5) throw new Skip("not this one");
        return `${item<string>()}!`;
      } finally {
        running--;
        if (++ended === 12) slow.resolve();
      }
    };
    const items = Array.from({ length: 12 }, (_, i) => `item ${i}`);
    const dag = mappedDag(() => items, run, {
      expand: { over: "list", max_active: 2 },
      retries: { count: 1, base_ms: 1 },
    }, [{ id: "other", needs: ["each"], trigger: "none_failed", run: ok }]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag }));
    assert.equal(outcome, "success");
    assert.equal(most, 2, "max_active");
    const task = (id: string) => snapshot.tasks.find(({ task_id }) => task_id === id)!;
    assert.equal(snapshot.tasks.length, 16);
    assert.deepEqual([task("each").state, task("each").attempts], ["success", 0]);
    assert.deepEqual([task("each[3]").attempts, task("each[4]").attempts], [2, 1]);
    assert.deepEqual([task("each[5]").state, task("end").state, task("other").state], [
      "skipped",
      "skipped",
      "success",
    ]);
    assert.equal(task("each[11]").output, "item 11!");
    const other = mappedDag(() => items, (c) => Promise.resolve(c.item()));
    const { snapshot: { tasks } } = await runToEnd(options({ runs, dag: other }));
    assert.deepEqual(tasks.find(({ task_id }) => task_id === "end")?.output, items);
  }));

Deno.test("rules count the instances of a mapped task: its failures fail it, and one success is one", () =>
  withRuns(async (runs) => {
    const run = ({ map_index }: TaskContext<null>) =>
      map_index === 1 ? Promise.reject(new Fail("broken")) : Promise.resolve(map_index);
    const dag = mappedDag(() => [7, 8, 9], run, {}, [
      { id: "some", needs: ["each"], trigger: "one_success", run: ok },
      { id: "all", needs: ["each"], trigger: "all_done", run: (c) => Promise.resolve(c.output("each")) },
    ]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag }));
    assert.equal(outcome, "failed");
    assert.equal(snapshot.run.error, "each: 1 of 3 instances failed; each[1]: broken");
    assert.deepEqual(states(snapshot), {
      list: "success",
      each: "failed",
      "each[0]": "success",
      "each[1]": "failed",
      "each[2]": "success",
      end: "upstream_failed",
      some: "success",
      all: "success",
    });
    assert.deepEqual(snapshot.tasks.find(({ task_id }) => task_id === "all")?.output, [0, null, 2]);
  }));

const LISTS: readonly (readonly [what: string, items: Json, state: string, error: string | null])[] = [
  ["is skipped without items", [], "skipped", "list returned no items"],
  ["fails without a list", { rows: 3 }, "failed", "list returned no list"],
  ["fails if the list is too long", [1, 2, 3], "failed", "list returned 3 items; max_map_length is 2"],
];
for (const [what, items, state, error] of LISTS) {
  Deno.test(`a mapped task ${what}`, () =>
    withRuns(async (runs) => {
      const dag = mappedDag(() => items, ok, { expand: { over: "list", max_map_length: 2 } });
      const { snapshot } = await runToEnd(options({ runs, dag }));
      const each = snapshot.tasks.find(({ task_id }) => task_id === "each")!;
      assert.deepEqual([each.state, each.error, each.attempts], [state, error, 0]);
      assert.equal(states(snapshot).end, state === "failed" ? "upstream_failed" : "skipped");
      assert.equal(snapshot.tasks.length, 3);
    }));
}

Deno.test("an instance of a mapped task cannot branch", () =>
  withRuns(async (runs) => {
    const { snapshot } = await runToEnd(options({
      runs,
      dag: mappedDag(() => [1], () => Promise.resolve(new Branch(["end"]))),
    }));
    assert.match(snapshot.run.error!, /a mapped task cannot branch/);
  }));

Deno.test("a process that dies costs the instance that it ran, and a cancelled run cancels the others", () =>
  withRuns(async (runs) => {
    const ran: (number | null)[] = [];
    let isFree = false;
    const run = (c: TaskContext<null>) => {
      ran.push(c.map_index);
      if (c.map_index === 2 && !isFree) {
        return new Promise<void>((_, reject) =>
          c.signal.addEventListener("abort", () => reject(c.signal.reason))
        );
      }
      return Promise.resolve(c.loadCheckpoint() ?? c.item());
    };
    const dag = mappedDag(() => ["a", "b", "c", "d"], run);
    const o = options({ runs, dag, concurrency: 1, grace_ms: 0 });
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
    const shutdown = new AbortController();
    const driven = driveRun(o, run_id, shutdown.signal);
    await until(() => ran.includes(2));
    shutdown.abort();
    assert.equal((await driven).outcome, "interrupted");
    isFree = true;
    await startAndDie(runs, { run_id, task_id: "each[3]", checkpoint: "half" });
    const { outcome, snapshot } = await driveRun(o, run_id);
    assert.equal(outcome, "success");
    assert.deepEqual(ran, [0, 1, 2, 2, 3]);
    assert.deepEqual(snapshot.tasks.find(({ task_id }) => task_id === "end")?.output, [
      "a",
      "b",
      "c",
      "half",
    ]);
    assert.deepEqual(
      snapshot.attempts.filter(({ task_id }) => task_id === "each[3]").map(({ state }) => state),
      ["lost", "success"],
    );

    isFree = false;
    const next = await createRun({ dag, runs, clock: systemClock, params: {} });
    const cancelled = driveRun(o, next.run_id);
    await until(() => ran.length === 8);
    await runs.requestCancel({ run_id: next.run_id });
    const { snapshot: after } = await cancelled;
    assert.deepEqual([
      after.run.state,
      states(after).each,
      states(after)["each[3]"],
      states(after)["each[1]"],
    ], [
      "cancelled",
      "cancelled",
      "cancelled",
      "success",
    ]);
  }));

Deno.test("clearRun() runs the failed instances again, or all of a new list", () =>
  withRuns(async (runs) => {
    let items = [1, 2, 3], broken = true;
    const ran: Json[] = [];
    const run = (c: TaskContext<null>) => {
      ran.push(c.item());
      return broken && c.map_index === 1 ? Promise.reject(new Fail("broken")) : Promise.resolve(c.item());
    };
    const dag = mappedDag(() => items, run);
    const o = options({ runs, dag, concurrency: 1 });
    const { snapshot: { run: { run_id } } } = await runToEnd(o);
    const again = async (scope: Parameters<typeof clearRun>[0]["scope"]) => {
      ran.length = 0;
      const cleared = await clearRun({ dag, runs, clock: systemClock, run_id, scope });
      const { snapshot } = await driveRun(o, run_id);
      assert.equal(snapshot.run.state, "success");
      return { cleared, ran: [...ran], snapshot };
    };
    broken = false;
    const failed = await again({ failed: true });
    assert.deepEqual([failed.cleared, failed.ran], [["each[1]", "end"], [2]]);
    const one = await again({ tasks: ["each[2]"] });
    assert.deepEqual([one.cleared, one.ran], [["each[2]"], [3]]);
    items = [4];
    const all = await again({ tasks: ["list"], downstream: true });
    assert.deepEqual([all.cleared, all.ran], [["list", "each", "end"], [4]]);
    assert.deepEqual([states(all.snapshot)["each[0]"], states(all.snapshot)["each[1]"]], [
      "success",
      "removed",
    ]);
    assert.deepEqual(all.snapshot.tasks.find(({ task_id }) => task_id === "end")?.output, [4]);
    items = [5, 6];
    const grown = await again({});
    assert.deepEqual([grown.ran, states(grown.snapshot)["each[1]"]], [[5, 6], "success"]);
    await assert.rejects(again({ tasks: ["each[7]"] }), { message: /no task "each\[7\]"/ });
  }));

Deno.test("runTask() runs one instance of a mapped task, and the last one starts what follows", () =>
  withRuns(async (runs: RunStore) => {
    let broken = true;
    const run = (c: TaskContext<null>) =>
      broken && c.map_index === 1 ? Promise.reject(new Error("broken")) : Promise.resolve(c.item());
    const o = options({ runs, dag: mappedDag(() => ["a", "b"], run) });
    const ask = (task_id: string, map_index?: number) =>
      runTask(
        o,
        { dag_id: "test", run_id: "r", task_id, ...map_index !== undefined && { map_index } },
        never,
      );
    await assert.rejects(ask("each", 0), { code: "invalid", message: /needs list, which has not ended/ });
    await ask("list");
    await assert.rejects(ask("each"), {
      message: /is mapped over 2 items: choose one by --map-index, from 0 to 1/,
    });
    await assert.rejects(ask("each", 2), { code: "invalid", message: /from 0 to 1/ });
    await assert.rejects(ask("list", 0), { message: /is not mapped over items: omit --map-index/ });
    assert.equal((await ask("each", 1)).state, "failed");
    assert.equal((await ask("each", 0)).output, "a");
    await assert.rejects(ask("end", 0));
    broken = false;
    assert.equal((await ask("each", 1)).output, "b");
    assert.deepEqual((await ask("end")).output, ["a", "b"]);
    const { run: ended, tasks } = (await runs.snapshot({ run_id: "r" }))!;
    assert.equal(ended.state, "success");
    assert.equal(tasks.find(({ task_id }) => task_id === "each[1]")?.attempts, 2);
  }));

Deno.test("defineDag() refuses to expand over a task that is not needed", () => {
  assert.throws(() => dagOf([{ id: "a", run: ok }, { id: "b", expand: { over: "a" }, run: ok }]), {
    message: 'dag "test": task "b" expands over "a", which it does not need: add it to needs',
  });
});
