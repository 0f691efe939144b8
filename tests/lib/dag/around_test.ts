import assert from "node:assert/strict";
import type { AttemptInfo } from "../../../lib/dag/options.ts";
import { dagOf, fail, ok, options, runToEnd, skip, states, withRuns } from "../../fixtures/dag.ts";

Deno.test("executeRun() runs each attempt inside `around`, and its outcome is as without", () =>
  withRuns(async (runs) => {
    const dag = dagOf([
      { id: "first", run: ok },
      { id: "idle", run: skip },
      { id: "broken", run: fail, retries: { count: 1, base_ms: 1, cap_ms: 1 }, needs: ["first"] },
    ]);
    const seen: AttemptInfo[] = [];
    const inside = <T>(attempt: AttemptInfo, body: () => Promise<T>) => {
      seen.push(attempt);
      return body();
    };
    const { outcome, snapshot } = await runToEnd(options({ runs, dag, around: inside }));
    assert.equal(outcome, "failed");
    assert.deepEqual(states(snapshot), { first: "success", idle: "skipped", broken: "failed" });
    const { run_id } = snapshot.run;
    assert.ok(seen.every((attempt) => attempt.run_id === run_id && attempt.dag_id === "test"));
    const named = seen.map(({ task_id, attempt }) => `${task_id} ${attempt}`).sort();
    assert.deepEqual(named, ["broken 1", "broken 2", "first 1", "idle 1"]);
  }));
