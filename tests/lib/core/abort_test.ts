import assert from "node:assert/strict";
import { abortable, onAbort, withTimeout } from "../../../lib/core/abort.ts";

const never = () => new Promise<number>(() => {});

Deno.test("abortable() settles as the work does, with a signal or without", async () => {
  const { signal } = new AbortController();
  for (const given of [undefined, signal]) {
    assert.equal(await abortable(given, () => Promise.resolve(7)), 7);
    await assert.rejects(abortable(given, () => Promise.reject(new Error("broken"))), /broken/);
  }
});

Deno.test("abortable() rejects with the signal's reason, and does not begin if it is already aborted", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const waiting = assert.rejects(abortable(controller.signal, never), reason);
  controller.abort(reason);
  await waiting;
  await assert.rejects(abortable(controller.signal, () => assert.fail("begun")), reason);
});

Deno.test("abortable() takes no notice of how aborted work ends", async () => {
  const controller = new AbortController();
  const { promise: work, reject } = Promise.withResolvers<never>();
  const waiting = assert.rejects(abortable(controller.signal, () => work), { name: "AbortError" });
  controller.abort();
  await waiting;
  reject(new Error("nobody hears of it"));
  await new Promise((resume) => setTimeout(resume, 0));
});

Deno.test("onAbort() acts once, and not after it was asked to stop listening", () => {
  let acted = 0;
  const [one, two] = [new AbortController(), new AbortController()];
  onAbort(one.signal, () => acted++);
  onAbort(two.signal, () => acted++)();
  onAbort(undefined, () => acted++)();
  for (const controller of [one, one, two]) controller.abort();
  assert.equal(acted, 1);
});

Deno.test("inTime() settles as the work does, or says after how long it gave up", async () => {
  assert.equal(await withTimeout(1_000, () => Promise.resolve(7)), 7);
  await assert.rejects(withTimeout(1_000, () => Promise.reject(new Error("broken"))), /broken/);
  await assert.rejects(withTimeout(20, never), { code: "unavailable", message: "timed out after 20 ms" });
});
