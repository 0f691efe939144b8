import assert from "node:assert/strict";
import { ParleyError } from "../../../lib/core/errors.ts";
import { createStorePolicies } from "../../../lib/recommend/store_policy.ts";
import { until } from "../../fixtures/until.ts";

const never = () => new Promise<number>(() => {});

Deno.test("Guard.run() gives what the store gives", async () => {
  assert.equal(await createStorePolicies().graph.run(() => Promise.resolve(7)), 7);
  assert.equal(await createStorePolicies().graph.run(() => new Promise((done) => setTimeout(done, 5, 7))), 7);
});

Deno.test("Guard.run() gives up on a store that hangs", async () => {
  const start = performance.now();
  await assert.rejects(createStorePolicies().cache.run(never), /timed out/);
  assert.ok(performance.now() - start < 10_000);
});

Deno.test("Guard.run() aborts the call whose time is over, by its error, and no other", async () => {
  const { cache } = createStorePolicies();
  let seen: AbortSignal | null = null;
  const ask = (answer: () => Promise<number>) =>
    cache.run((signal) => {
      seen = signal;
      return answer();
    });
  const error = await ask(never).then(() => assert.fail("it answered"), (error) => error);
  assert.equal(seen!.reason, error);
  assert.equal(error.code, "unavailable");
  for (
    const answer of [() => Promise.resolve(7), () => new Promise<number>((done) => setTimeout(done, 5, 7))]
  ) {
    assert.equal(await ask(answer), 7);
    assert.equal(seen!.aborted, false);
  }
});

Deno.test("Guard.run() stops asking a store that keeps failing, and asks again later", async () => {
  const { graph } = createStorePolicies();
  let asked = 0;
  const fail = () => {
    asked++;
    return Promise.reject(new Error("down"));
  };
  for (let i = 0; i < 5; i++) await assert.rejects(graph.run(fail), /down/);
  const refused = { code: "unavailable", message: /not come back/ };
  for (let i = 0; i < 5; i++) await assert.rejects(graph.run(fail), refused);
  assert.equal(asked, 5);
  await new Promise((done) => setTimeout(done, 1_050));
  assert.equal(await graph.run(() => Promise.resolve(1)), 1);
});

Deno.test("Guard.run() takes a refusal for an answer, not for an outage", async () => {
  const { vectors } = createStorePolicies();
  const refuse = () => Promise.reject(new ParleyError("not_found", "version 3 was not built"));
  for (let i = 0; i < 10; i++) await assert.rejects(vectors.run(refuse), /not built/);
});

Deno.test("Guard.run() catches what a store throws outright", async () => {
  await assert.rejects(
    createStorePolicies().graph.run(() => {
      throw new TypeError("broken");
    }),
    /broken/,
  );
});

Deno.test("Guard.run() lets a store that is back finish what its caller does not wait for, and asks it again", async () => {
  const { graph } = createStorePolicies();
  for (let i = 0; i < 5; i++) await assert.rejects(graph.run(() => Promise.reject(new Error("down"))));
  await new Promise((done) => setTimeout(done, 1_050));
  const { promise: connected, resolve: connect } = Promise.withResolvers<number>();
  let seen: AbortSignal | null = null;
  const trial = graph.run((signal) => {
    seen = signal;
    return connected;
  });
  let asked = 0;
  const second = graph.run(() => Promise.resolve(++asked));
  await assert.rejects(trial, /timed out/);
  await assert.rejects(second, /timed out/);
  await assert.rejects(graph.run(() => Promise.resolve(++asked)), /not come back/);
  assert.equal(seen!.aborted, false);
  assert.equal(graph.isOpen, true);
  connect(7);
  await until(() => Promise.resolve(!graph.isOpen));
  assert.equal(await graph.run(() => Promise.resolve(8)), 8);
  assert.equal(asked, 0);
});
