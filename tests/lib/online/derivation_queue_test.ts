import assert from "node:assert/strict";
import { ParleyError } from "../../../lib/core/errors.ts";
import { DerivationQueue } from "../../../lib/online/derivation_queue.ts";

/** A queue whose work waits until it is let go, the ids of each batch, and warnings. */
function held() {
  const batches: string[][] = [];
  const warnings: string[] = [];
  const gate = Promise.withResolvers<void>();
  const queue = new DerivationQueue({
    noun: "user",
    derive: async (ids) => {
      batches.push([...ids]);
      await gate.promise;
      return true;
    },
    warn: (line) => warnings.push(line),
  });
  return { queue, batches, warnings, open: gate.resolve };
}

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name} ${n}`);

Deno.test("a request that writes a thousand delays no other, and all are derived once", async () => {
  const { queue, batches, warnings, open } = held();
  const bulk = numbered("bulk", 1_000);
  queue.add(bulk);
  queue.add(["one"]);
  queue.add(["bulk 999"]);
  assert.equal(queue.waiting, 1_001 - batches[0]!.length);
  open();
  await queue.idle();
  assert.ok(batches[0]!.length < 50);
  assert.ok(batches[1]!.includes("one") && batches[1]!.includes("bulk 999"));
  assert.deepEqual(batches.flat().sort(), [...bulk, "one"].sort());
  assert.equal(queue.waiting, 0);
  assert.deepEqual(warnings, []);
});

Deno.test("no id is passed over while others are written all the time, faster than they are derived", async () => {
  const derived: string[] = [];
  let written = 0;
  const queue = new DerivationQueue({
    noun: "user",
    derive: async (ids) => {
      await Promise.resolve();
      derived.push(...ids);
      // Twice as many as were derived, until some batches are over.
      for (let n = 0; n < 2 * ids.length && written < 2_000; n++) queue.add([`new ${written++}`]);
      return true;
    },
    warn: (line) => assert.fail(line),
  });
  for (const id of numbered("first", 40)) queue.add([id]);
  queue.add(numbered("bulk", 5));
  for (const id of numbered("after", 40)) queue.add([id]);
  await queue.idle();
  assert.equal(derived.length, 40 + 5 + 40 + 2_000);
  const waited = (id: string) => derived.indexOf(id);
  assert.deepEqual(derived.slice(0, 41), [...numbered("first", 40), "bulk 0"]);
  assert.ok(waited("after 39") < 100);
  assert.ok(waited("bulk 4") < 2_000);
});

Deno.test("an id that is written again while it waits keeps its turn, and is derived again if it was being derived", async () => {
  const { queue, batches, open } = held();
  queue.add(["ann"]);
  const others = numbered("other", 20);
  for (const id of others) queue.add([id]);
  queue.add(["ann", "other 0"]);
  open();
  await queue.idle();
  assert.deepEqual(batches.flat(), ["ann", ...others, "ann"]);
});

Deno.test("what was being derived when a store failed has its turn before what waits", async () => {
  const batches: string[][] = [];
  const queue = new DerivationQueue({
    noun: "user",
    derive: (ids) => {
      batches.push([...ids]);
      return batches.length === 1
        ? Promise.reject(new ParleyError("unavailable", "down"))
        : Promise.resolve(true);
    },
    warn: () => {},
  });
  queue.add(["one"]);
  for (const id of numbered("other", 20)) queue.add([id]);
  await queue.idle();
  assert.deepEqual(batches[0], ["one"]);
  assert.equal(batches[1]![0], "one");
  assert.equal(batches.flat().length, 22);
});

Deno.test("if too many wait, the last of the largest requests are left to the next run, which is said once", async () => {
  const { queue, batches, warnings, open } = held();
  queue.add(["first"]);
  queue.add(numbered("bulk", 20_001));
  queue.add(["last"]);
  assert.equal(queue.waiting, 20_000);
  open();
  await queue.idle();
  const derived = new Set(batches.flat());
  assert.deepEqual(
    ["first", "bulk 0", "bulk 19998", "bulk 19999", "bulk 20000", "last"].filter((id) => !derived.has(id)),
    [
      "bulk 19999",
      "bulk 20000",
    ],
  );
  assert.deepEqual(warnings, [
    "20,000 users wait to be derived, which is the most: the next run derives what is written online beyond them",
  ]);
});

Deno.test("derived() says when an awaited id is derived with all that was written of it, and is null for others", async () => {
  const gates = [Promise.withResolvers<boolean>(), Promise.withResolvers<boolean>()];
  let attempts = 0;
  const queue = new DerivationQueue({
    noun: "user",
    derive: () => gates[attempts++]!.promise,
    warn: (line) => assert.fail(line),
  });
  queue.add(["ann", "bob"], { awaited: ["ann"] });
  let isOver = false;
  const derived = queue.derived("ann")!.then((value) => {
    isOver = true;
    return value;
  });
  assert.equal(queue.derived("bob"), null);
  // While the first of it is being derived.
  queue.add(["ann"], { awaited: ["ann"] });
  gates[0]!.resolve(true);
  while (attempts < 2) await new Promise((resume) => setTimeout(resume));
  assert.equal(isOver, false);
  gates[1]!.resolve(true);
  assert.equal(await derived, true);
  assert.equal(queue.derived("ann"), null);
  await queue.idle();
});

Deno.test("derived() says at once that an id is not derived while a store fails, and for one that cannot be derived", async () => {
  const errors = [new ParleyError("unavailable", "down"), new Error("odd row")];
  const failed = Promise.withResolvers<void>();
  const queue = new DerivationQueue({
    noun: "user",
    derive: () => errors.length === 0 ? Promise.resolve(true) : Promise.reject(errors.shift()),
    warn: () => failed.resolve(),
  });
  queue.add(["ann"], { awaited: ["ann"] });
  const derived = queue.derived("ann")!;
  await failed.promise;
  assert.equal(await queue.derived("ann"), false);
  assert.equal(await derived, false, "after the next attempt");
  await queue.idle();
  assert.equal(await queue.derived("ann"), false, "it is left to a run");
  queue.add(["ann"], { awaited: ["ann"] });
  await queue.idle();
  assert.equal(queue.derived("ann"), null);
});
