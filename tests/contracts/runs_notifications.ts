import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import { newTask } from "../../lib/dag/state.ts";
import type { NewNotification, RunStore } from "../../lib/stores/runs/port.ts";
import { T0 } from "../fixtures/runs.ts";
import { add, type OpenRuns, storeTest } from "./runs.ts";

const HIDDEN_MS = 60_000;
const take = (runs: RunStore, { sink = "slack", now = T0, limit = 100 } = {}) =>
  runs.takeNotifications({ sink, now, again_at: now + HIDDEN_MS, limit });
const missed = (n: number): NewNotification => ({
  type: "deadline.missed",
  subject: `deadline r${n}`,
  at: iso(T0 + n),
  dag_id: "d",
  run_id: `r${n}`,
  facts: { n },
});
const anomaly = (type: "anomaly.opened" | "anomaly.ended"): NewNotification => (
  { type, subject: "anomaly a", at: iso(T0), dag_id: null, run_id: null, facts: {} }
);

/** What sinks get. */
export function runsNotificationsContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);

  test("the end of a run adds its failure, and the next success of its dag", async ({ runs }) => {
    await take(runs);
    const end = async (run_id: string, dag_id: string, state: "success" | "failed" | "cancelled") => {
      await add(runs, run_id, { dag_id }, []);
      const tasks = [{ ...newTask("b"), state: "failed" as const }, {
        ...newTask("b[0]"),
        state: "failed" as const,
      }, {
        ...newTask("a"),
        state: "skipped" as const,
      }];
      const run = { state, started_at: iso(T0), ended_at: iso(T0), error: "what a user said" };
      await runs.revise({ run_id, now: T0, plan: () => ({ run, ...state === "failed" && { tasks } }) });
    };
    for (
      const [n, state] of (["success", "failed", "cancelled", "failed", "success", "success"] as const)
        .entries()
    ) {
      await end(`r${n}`, "d", state);
    }
    await end("other", "e", "success");
    const added = await take(runs);
    assert.deepEqual(added.map(({ type, run_id, dag_id, facts }) => [type, run_id, dag_id, facts]), [
      ["run.failed", "r1", "d", { logical_date: iso(T0), tasks: ["b"] }],
      ["run.failed", "r3", "d", { logical_date: iso(T0), tasks: ["b"] }],
      ["run.recovered", "r4", "d", { logical_date: iso(T0) }],
    ]);
    assert.deepEqual(await runs.notifications({ limit: 2 }), added.toReversed().slice(0, 2));
  });

  test("addNotification() adds what is news of its subject", async ({ runs }) => {
    const adds = async (all: NewNotification[]) => {
      const added: boolean[] = [];
      for (const one of all) added.push(await runs.addNotification(one));
      return added;
    };
    assert.deepEqual(await adds([missed(1), missed(1), missed(2)]), [true, false, true]);
    const [opened, ended] = [anomaly("anomaly.opened"), anomaly("anomaly.ended")];
    assert.deepEqual(await adds([ended, opened, opened]), [false, true, false]);
    assert.deepEqual(await runs.subjectsWith({ type: "anomaly.opened" }), ["anomaly a"]);
    assert.deepEqual(await adds([ended, ended, opened, ended]), [true, false, true, true]);
    assert.deepEqual(await runs.subjectsWith({ type: "anomaly.opened" }), []);
  });

  test("takeNotifications() gives each sink all in order, from its first look on", async ({ runs }) => {
    await runs.addNotification(missed(1));
    assert.deepEqual(await take(runs), []);
    for (const n of [2, 3, 4]) await runs.addNotification(missed(n));
    await take(runs, { sink: "email" });
    await runs.addNotification(missed(5));
    const of = async (options: Parameters<typeof take>[1]) =>
      (await take(runs, options)).map(({ facts }) => facts.n);
    const [two, three] = await take(runs, { limit: 2 });
    assert.deepEqual([two!.facts, three!.facts], [{ n: 2 }, { n: 3 }]);
    assert.deepEqual(await of({}), [], "they are being sent");
    assert.deepEqual(await of({ now: T0 + HIDDEN_MS }), [2, 3, 4, 5], "the process that took them has died");
    await runs.markNotified({ sink: "slack", seq: two!.seq, due_at: T0 + 5 });
    assert.deepEqual(await of({ now: T0 + 4 }), [], "it was put off");
    await runs.markNotified({ sink: "slack", seq: three!.seq, due_at: 0 });
    await runs.markNotified({ sink: "slack", seq: two!.seq, due_at: 0 });
    assert.deepEqual(await runs.sinkBacklogs(), [
      { sink: "email", pending: 1, since: iso(T0 + 5) },
      { sink: "slack", pending: 2, since: iso(T0 + 4) },
    ]);
    assert.equal(await runs.prune({ before: iso(T0 + 5), sinks: ["slack"] }), 0);
    assert.deepEqual(await of({}), [4, 5]);
    assert.deepEqual(await of({ sink: "email" }), [5]);
    assert.equal((await runs.notifications({ limit: 9 })).length, 2);
    await runs.prune({ before: iso(T0 + 5) });
    assert.equal((await runs.notifications({ limit: 9 })).length, 1);
  });

  test("notifications that processes add at the same time are given once each", async ({ runs, openAnother }) => {
    const other = await openAnother();
    try {
      await take(runs);
      const seen: number[] = [];
      const adding = Promise.all(
        Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? runs : other).addNotification(missed(n))),
      );
      const look = async (store: RunStore) => {
        // Lets the other handle's writes, which wait for the file, have their turn.
        await new Promise((resume) => setTimeout(resume));
        for (const { seq } of await take(store, { limit: 3 })) {
          seen.push(seq);
          await store.markNotified({ sink: "slack", seq, due_at: 0 });
        }
      };
      let isAdded = false;
      adding.then(() => isAdded = true);
      while (!isAdded) await look(runs);
      while ((await runs.sinkBacklogs())[0]!.pending > 0) await look(other);
      assert.deepEqual(seen, (await runs.notifications({ limit: 99 })).map(({ seq }) => seq).reverse());
      assert.equal(seen.length, 40);
    } finally {
      await other.close();
    }
  });
}
