import assert from "node:assert/strict";
import { openTestStores } from "parley/testing";
import dag from "./example.ts";

Deno.test("example counts the campaigns", async () => {
  await using stores = await openTestStores({ sample: true });
  const { outcome, tasks } = await stores.run(dag);
  assert.equal(outcome, "success");
  assert.match(tasks.report!.log[0]!, /^50 campaigns/);
});

Deno.test("example fails if there are too few", async () => {
  await using stores = await openTestStores({ sample: true });
  const { outcome, error } = await stores.run(dag, { params: { min_campaigns: 51 } });
  assert.equal(outcome, "failed");
  assert.match(error!, /50 campaigns only/);
});

Deno.test("example has nothing to do without data", async () => {
  await using stores = await openTestStores();
  const { tasks } = await stores.run(dag);
  assert.equal(tasks.count!.state, "skipped");
});
