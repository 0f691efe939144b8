import assert from "node:assert/strict";
import { openTestStores } from "../../commands/testing.ts";
import { defineDag, z } from "../../tasks/public.ts";

const SECRET = "hooks.example/T0/very-secret";

Deno.test("a task of one's own gets params, services, the clock and its secrets, and reads what it needs", async () => {
  const dag = defineDag({
    id: "own",
    params: z.object({ days: z.coerce.number().default(7) }),
    secrets: ["HOOK"],
    tasks: [
      { id: "none", run: () => Promise.resolve() },
      {
        id: "ask",
        async run({ params, services, run }) {
          const answer = await services.fetch(`https://${services.secret("HOOK")}`);
          const now = new Date(services.clock.now()).toISOString().slice(0, 16);
          return { days: params.days, text: await answer.text(), now, date: run.logical_date };
        },
      },
      {
        id: "read",
        needs: ["ask", "none"],
        run: ({ output }) => [output<{ days: number }>("ask")!.days, output("none")],
      },
    ],
  });
  await using stores = await openTestStores({ now: "2026-05-04T07:00:00Z" });
  const { outcome, tasks } = await stores.run(dag, {
    params: { days: "3" },
    logical_date: "2026-05-03T00:00:00.000Z",
    secrets: { HOOK: SECRET },
    fetch: (url) => Promise.resolve(new Response(`from ${url}`)),
  });
  assert.equal(outcome, "success");
  const date = "2026-05-03T00:00:00.000Z";
  assert.deepEqual(tasks.ask!.output, {
    days: 3,
    text: `from https://${SECRET}`,
    now: "2026-05-04T07:00",
    date,
  });
  assert.deepEqual(tasks.read!.output, [3, null]);
});

Deno.test("a secret is cut out of a task's log and error, and one that is not declared is an error without retries", async () => {
  const dag = defineDag({
    id: "own",
    secrets: ["HOOK"],
    tasks: [
      {
        id: "leaks",
        retries: { count: 0 },
        run({ log, services }) {
          log(`asking ${services.secret("HOOK")}`);
          throw new TypeError(`error sending request for url (https://${services.secret("HOOK")})`);
        },
      },
      { id: "other", run: ({ services }) => services.secret("OTHER" as "HOOK") },
    ],
  });
  await using stores = await openTestStores();
  const { tasks, outcome } = await stores.run(dag, { secrets: { HOOK: SECRET } });
  assert.equal(outcome, "failed");
  assert.deepEqual(tasks.leaks!.log, ["asking •••"]);
  assert.match(tasks.leaks!.error!, /https:\/\/•••/);
  assert.ok(!JSON.stringify(tasks).includes(SECRET));
  assert.deepEqual([tasks.other!.attempts, tasks.other!.error], [
    1,
    'the dag does not declare the secret "OTHER": add it to `secrets`',
  ]);
  await assert.rejects(() => stores.run(dag), /gives no secret HOOK/);
});

Deno.test("openTestStores() can run a dag again on what it left, and removes its folder", async () => {
  const store = await openTestStores({ sample: true });
  const dag = defineDag({
    id: "own",
    tasks: [{ id: "count", run: ({ services, signal }) => services.analytics.counts({ signal }) }],
  });
  const runs = [await store.run(dag), await store.run(dag)];
  assert.deepEqual(runs[0]!.tasks.count!.output, runs[1]!.tasks.count!.output);
  assert.notEqual(runs[0]!.run_id, runs[1]!.run_id);
  await store[Symbol.asyncDispose]();
  await assert.rejects(() => openTestStores({ now: "tomorrow" }), /2026-05-04T07:00:00Z/);
});
