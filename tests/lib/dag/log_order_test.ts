import assert from "node:assert/strict";
import type { RunStore } from "../../../lib/stores/runs/port.ts";
import type { TaskContext } from "../../../lib/dag/types.ts";
import { dagOf, options, runToEnd, sleep, withRuns } from "../../fixtures/dag.ts";

Deno.test("log lines keep their order where storing the first ones takes until the run ends", () =>
  withRuns(async (runs) => {
    let first = true;
    const slow: RunStore["appendLogs"] = async (options) => {
      if (first) {
        first = false;
        await sleep(200);
      }
      await runs.appendLogs(options);
    };
    const store = new Proxy(runs, {
      get: (of, name) => name === "appendLogs" ? slow : Reflect.get(of, name).bind(of),
    });
    const talk = async (c: TaskContext<null>) => {
      c.log("one");
      while (first) await sleep(5);
      c.log("two");
    };
    const dag = dagOf([{ id: "a", run: talk }]);
    const { snapshot } = await runToEnd(options({ runs: store, dag, heartbeat_ms: 10 }));
    const lines = await runs.logs({ run_id: snapshot.run.run_id, after: 0, limit: 9 });
    assert.deepEqual(lines.map(({ line }) => line), ["one", "two"]);
  }));
