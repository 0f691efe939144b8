import assert from "node:assert/strict";
import { RunInFlight } from "../../../lib/dag/run_in_flight.ts";
import {
  afterAttempt,
  type AttemptEnd,
  MAX_LOST_ATTEMPTS,
  newTask,
  overdue,
  reconcile,
  runEnd,
  started,
} from "../../../lib/dag/state.ts";
import type { TaskRecord, TaskState } from "../../../lib/stores/runs/port.ts";
import { dagOf } from "../../fixtures/dag.ts";

const NOW = Date.parse("2026-05-01T00:00:00Z");
const run = () => Promise.resolve();
const running = (rest: Partial<TaskRecord> = {}) => started({ ...newTask("a"), ...rest }, NOW);
const ending = (state: AttemptEnd["state"], rest: Partial<AttemptEnd> = {}): AttemptEnd => ({
  state,
  error: state === "success" ? null : "why",
  output: null,
  branch: null,
  decision: "default",
  retry_after_ms: null,
  ...rest,
});
const at = { now: NOW + 1_000, random: () => 0.5 };
const task = (task_id: string, state: TaskState): TaskRecord => ({ ...newTask(task_id), state });

Deno.test("started() numbers the attempt and keeps the first start", () => {
  const once = started(newTask("a"), NOW);
  const twice = started(once, NOW + 5);
  assert.deepEqual([once.attempts, twice.attempts], [1, 2]);
  assert.equal(twice.first_started_at, once.first_started_at);
  assert.equal(started(once, NOW, 7).attempts, 7);
  assert.equal(started({ ...once, attempts: 9 }, NOW, 7).attempts, 10);
});

Deno.test("afterAttempt() ends a task with success, skip and cancel", () => {
  const done = afterAttempt(
    running({ error: "before" }),
    {},
    ending("success", { output: 5, branch: ["b"] }),
    at,
  );
  assert.deepEqual([done.state, done.output, done.branch, done.error], ["success", 5, ["b"], null]);
  for (const state of ["skipped", "cancelled"] as const) {
    assert.equal(afterAttempt(running(), { retries: { count: 9 } }, ending(state), at).state, state);
  }
});

Deno.test("afterAttempt() retries failures and timeouts until the count is used up, later each time", () => {
  const retries = { count: 2, base_ms: 1_000 };
  for (const state of ["failed", "timed_out"] as const) {
    const first = afterAttempt(running(), { retries }, ending(state), at);
    assert.deepEqual([first.state, first.tries, first.ready_at], ["ready", 1, at.now + 500]);
    const second = afterAttempt(started(first, NOW), { retries }, ending(state), at);
    assert.deepEqual([second.state, second.tries, second.ready_at], ["ready", 2, at.now + 1_000]);
    const third = afterAttempt(started(second, NOW), { retries }, ending(state), at);
    assert.deepEqual([third.state, third.tries, third.error], ["failed", 3, "why"]);
  }
});

Deno.test("afterAttempt() does what the policy decided, whatever the count", () => {
  const fail = afterAttempt(running(), { retries: { count: 9 } }, ending("failed", { decision: "fail" }), at);
  assert.equal(fail.state, "failed");
  const retry = afterAttempt(running({ tries: 9 }), {}, ending("failed", { decision: "retry" }), at);
  assert.deepEqual([retry.state, retry.tries], ["ready", 10]);
});

Deno.test("afterAttempt() waits as long as the other side asked", () => {
  const waiting = afterAttempt(
    running(),
    { retries: { count: 1 } },
    ending("failed", { retry_after_ms: 7_000 }),
    at,
  );
  assert.equal(waiting.ready_at, at.now + 7_000);
});

Deno.test("afterAttempt() does not wait for a retry past the deadline", () => {
  const rest = { retries: { count: 9 }, deadline_ms: 5_000 };
  const end = (retry_after_ms: number) => ending("failed", { retry_after_ms });
  assert.equal(afterAttempt(running(), rest, end(3_999), at).state, "ready");
  assert.equal(afterAttempt(running(), rest, end(4_000), at).state, "failed");
});

Deno.test("afterAttempt() counts losses apart from tries, and ends a task that is lost too often", () => {
  let lost = running({ tries: 1 });
  for (let n = 1; n <= MAX_LOST_ATTEMPTS; n++) {
    const after = afterAttempt(lost, {}, ending("lost"), at);
    assert.deepEqual([after.state, after.lost, after.tries, after.ready_at], ["ready", n, 1, 0]);
    lost = started(after, NOW);
  }
  assert.equal(afterAttempt(lost, {}, ending("lost"), at).state, "failed");
});

Deno.test("afterAttempt() counts an interruption as nothing", () => {
  const after = afterAttempt(running(), {}, ending("interrupted"), at);
  assert.deepEqual([after.state, after.lost, after.tries], ["ready", 0, 0]);
});

Deno.test("overdue() fails a task whose deadline passed while no process worked on it", () => {
  const ready: TaskRecord = { ...running({ error: "broken" }), state: "ready" };
  assert.equal(overdue(ready, { deadline_ms: 1_000 }, NOW + 999), null);
  assert.equal(overdue(ready, {}, NOW + 10 ** 9), null);
  assert.equal(overdue(newTask("a"), { deadline_ms: 1 }, NOW), null);
  const late = overdue(ready, { deadline_ms: 1_000 }, NOW + 1_000);
  assert.deepEqual([late?.state, late?.error], ["failed", "the task's deadline passed; before that: broken"]);
});

Deno.test("reconcile() leaves finished tasks, removes missing ones, adds new ones and restores those that returned", () => {
  const dag = dagOf([{ id: "done", run }, { id: "back", run }, { id: "new", run }]);
  const stored = [
    task("done", "success"),
    task("gone", "ready"),
    { ...task("back", "removed"), attempts: 2 },
    task("failed-and-gone", "failed"),
  ];
  const { tasks, changed } = reconcile(dag, stored);
  assert.deepEqual(tasks.map(({ task_id, state }) => `${task_id} ${state}`), [
    "done success",
    "gone removed",
    "back waiting",
    "failed-and-gone failed",
    "new waiting",
  ]);
  assert.equal(tasks[2]?.attempts, 2);
  assert.deepEqual(changed, ["gone", "back", "new"]);
});

Deno.test("runEnd() counts every task, removed ones too, and allows only declared failures", () => {
  const dag = dagOf([{ id: "a", run, allow_failure: true }, { id: "b", run }]);
  const end = (...tasks: TaskRecord[]) => runEnd(dag, tasks);
  assert.equal(end(task("a", "success"), task("b", "ready")), null);
  assert.equal(end(task("a", "success")), null);
  assert.equal(end(task("a", "skipped"), task("b", "success"))?.state, "success");
  assert.equal(end(task("a", "failed"), task("b", "upstream_failed"))?.state, "success");
  assert.equal(end(task("a", "success"), task("b", "cancelled"))?.state, "cancelled");
  const b = { ...task("b", "failed"), error: "broken" };
  assert.deepEqual(end(task("a", "failed"), b), { state: "failed", error: "b: broken" });
  const gone = task("gone", "failed");
  assert.deepEqual(end(task("a", "success"), task("b", "success"), gone), {
    state: "failed",
    error: "gone: failed",
  });
});

Deno.test("Board.ready() gives higher priority first, else the order of readiness, and waits for retries", () => {
  const dag = dagOf([
    { id: "low", run },
    { id: "late", run, priority: 9 },
    { id: "high", run, priority: 1 },
    { id: "low2", run },
  ]);
  const board = new RunInFlight(dag, []);
  board.set({ ...board.get("late"), state: "ready", ready_at: 500 });
  const ready = (now: number, limit = 9) => board.ready(now, limit).map(({ task_id }) => task_id);
  assert.deepEqual(ready(0), ["high", "low", "low2"]);
  assert.deepEqual(ready(0, 2), ["high", "low"]);
  assert.equal(board.nextReadyAt(), 500);
  assert.deepEqual(ready(500), ["late", "high", "low", "low2"]);
  assert.equal(board.nextReadyAt(), null);
});

Deno.test("Board.ready() looks into every pool: a full one must not hide the others", () => {
  const pooled = (id: string, pool: string, priority: number) => ({ id, pool, priority, run });
  const dag = dagOf([
    pooled("g1", "gpu", 9),
    pooled("g2", "gpu", 9),
    pooled("g3", "gpu", 9),
    pooled("c", "cpu", 0),
  ]);
  assert.deepEqual(new RunInFlight(dag, []).ready(0, 2).map(({ task_id }) => task_id), ["g1", "g2", "c"]);
});

Deno.test("Board skips tasks that a branch did not choose, except those that also follow from chosen ones", () => {
  const dag = dagOf([
    { id: "branch", run },
    { id: "left", needs: ["branch"], run },
    { id: "right", needs: ["branch"], run },
    { id: "after-right", needs: ["right"], run },
    { id: "join", needs: ["branch", "left"], trigger: "none_failed", run },
    { id: "always", needs: ["branch", "right"], trigger: "all_done", run },
  ]);
  const stored = new RunInFlight(dag, []);
  stored.set({ ...stored.get("branch"), state: "success", branch: ["left"] });
  // The same follows from the stored rows alone, as after a restart.
  for (const board of [stored, new RunInFlight(dag, [{ ...task("branch", "success"), branch: ["left"] }])]) {
    assert.deepEqual(Object.fromEntries(board.all().map(({ task_id, state }) => [task_id, state])), {
      branch: "success",
      left: "ready",
      right: "skipped",
      "after-right": "skipped",
      join: "waiting",
      always: "skipped",
    });
  }
});
