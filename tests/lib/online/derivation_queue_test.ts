import assert from "node:assert/strict";
import { DerivationQueue } from "../../../lib/online/derivation_queue.ts";

/** A queue whose work waits until it is let go, and the ids of each batch. */
function held() {
  const batches: string[][] = [];
  const gate = Promise.withResolvers<void>();
  const queue = new DerivationQueue({
    derive: async (ids) => {
      batches.push([...ids]);
      await gate.promise;
    },
    warn: (line) => assert.fail(line),
  });
  return { queue, batches, open: gate.resolve };
}

Deno.test("who writes last is derived next, however many wait, and all are derived once", async () => {
  const { queue, batches, open } = held();
  const bulk = Array.from({ length: 1_000 }, (_, n) => `bulk ${n}`);
  queue.add(bulk);
  queue.add(["one"]);
  queue.add(["bulk 0"]);
  open();
  await queue.idle();
  assert.ok(batches[0]!.length < 50);
  assert.ok(batches[1]!.includes("one") && batches[1]!.includes("bulk 0"));
  assert.deepEqual(batches.flat().sort(), [...bulk, "one"].sort());
});

Deno.test("if too many wait, those that were written first are left to the next run", async () => {
  const { queue, batches, open } = held();
  queue.add(["first"]);
  queue.add(Array.from({ length: 20_001 }, (_, n) => `bulk ${n}`));
  queue.add(["last"]);
  open();
  await queue.idle();
  const derived = new Set(batches.flat());
  assert.deepEqual(["first", "bulk 0", "bulk 1", "bulk 2", "last"].map((id) => derived.has(id)), [
    true,
    false,
    false,
    true,
    true,
  ]);
});
