import assert from "node:assert/strict";
import { Branch } from "../../../lib/dag/types.ts";
import { dagOf, ok, options, runToEnd, states, withRuns } from "../../fixtures/dag.ts";

const fork = (branch: Branch) =>
  dagOf([
    { id: "choose", run: () => Promise.resolve(branch) },
    { id: "left", needs: ["choose"], run: (c) => Promise.resolve(c.output("choose")) },
    { id: "right", needs: ["choose"], run: ok },
    { id: "join", needs: ["left", "right"], trigger: "none_failed_min_one_success", run: ok },
  ]);

Deno.test("a Branch runs the chosen dependents and skips the others", () =>
  withRuns(async (runs) => {
    const { outcome, snapshot } = await runToEnd(
      options({ runs, dag: fork(new Branch(["left"], { size: 2 })) }),
    );
    assert.equal(outcome, "success");
    assert.deepEqual(states(snapshot), {
      choose: "success",
      left: "success",
      right: "skipped",
      join: "success",
    });
    const left = snapshot.tasks.find(({ task_id }) => task_id === "left");
    assert.deepEqual(left?.output, { size: 2 });
  }));

Deno.test("a Branch to nothing skips all dependents", () =>
  withRuns(async (runs) => {
    const { snapshot } = await runToEnd(options({ runs, dag: fork(new Branch([])) }));
    assert.deepEqual(states(snapshot), {
      choose: "success",
      left: "skipped",
      right: "skipped",
      join: "skipped",
    });
  }));

Deno.test("a Branch to a task that does not need it fails without retry", () =>
  withRuns(async (runs) => {
    const { snapshot } = await runToEnd(options({ runs, dag: fork(new Branch(["join"])) }));
    const choose = snapshot.tasks.find(({ task_id }) => task_id === "choose");
    assert.equal(choose?.error, 'it branches to "join", which is not one of the tasks that need it');
    assert.equal(snapshot.run.state, "failed");
  }));
