import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import type { Abortable } from "../../lib/core/types.ts";

/** A fresh, empty store. `hang` makes its server silent while connections stay; null without a server. */
export interface Opened<Store> {
  readonly store: Store;
  readonly hang: ((on: boolean) => void) | null;
  close(): Promise<void>;
}

/** Each method of a port, called with options of no consequence and these. */
export type Calls<Store> = Readonly<Record<string, (store: Store, options: Abortable) => Promise<unknown>>>;

/** An aborted call that takes longer waited for the server. No machine is so slow; no server gives up so late. */
const SOON_MS = 30_000;

const reason = new Error("the caller no longer needs it");

/** What every store does with a signal, and when it is closed while it is used. `first` is a call that changes nothing. */
export function cancellationContract<Store extends { close(): Promise<void> }>(
  name: string,
  options: { open: () => Promise<Opened<Store>>; calls: Calls<Store>; first: string },
): void {
  const test = (title: string, body: (opened: Opened<Store>) => Promise<void>) =>
    Deno.test(`${name}: ${title}`, async () => {
      const opened = await options.open();
      try {
        await body(opened);
      } finally {
        await opened.close();
      }
    });
  const usable = (store: Store) => options.calls[options.first]!(store, {});

  test("a signal that is already aborted rejects every call with its reason, before a connection exists too", async ({ store }) => {
    for (const [method, call] of Object.entries(options.calls)) {
      await assert.rejects(call(store, { signal: AbortSignal.abort(reason) }), reason, method);
    }
    await usable(store);
  });

  test("a signal that is never aborted changes nothing and keeps no listener", async ({ store }) => {
    const signal = countingSignal();
    for (const call of Object.values(options.calls)) await call(store, { signal });
    assert.equal(signal.listeners, 0);
  });

  test("an aborted signal rejects every call in progress with its reason, and the store stays usable", async ({ store, hang }) => {
    await usable(store);
    for (const [method, call] of Object.entries(options.calls)) {
      hang?.(true);
      const controller = new AbortController();
      const called = call(store, { signal: controller.signal });
      const ended = hang === null ? endsEitherWay(called) : assert.rejects(called, reason, method);
      await new Promise((resume) => setTimeout(resume, hang === null ? 0 : 20));
      const start = performance.now();
      controller.abort(reason);
      await ended;
      assert.ok(performance.now() - start < SOON_MS, `${method} waited for the server`);
      hang?.(false);
      await usable(store);
    }
  });

  test("close() ends calls in progress or waits for them, is idempotent, and rejects later calls", async ({ store }) => {
    await usable(store);
    const calls = Object.values(options.calls).map((call) => call(store, {}));
    const ended = Promise.allSettled(calls);
    await Promise.all([store.close(), store.close()]);
    for (const call of await ended) {
      if (call.status === "rejected") assertUnavailable(call.reason);
    }
    for (const [method, call] of Object.entries(options.calls)) {
      await call(store, {}).then(() => assert.fail(`${method} was answered`), assertUnavailable);
    }
  });
}

/** A store in this process may be done before it hears of the signal. */
async function endsEitherWay(called: Promise<unknown>): Promise<void> {
  try {
    await called;
  } catch (error) {
    assert.equal(error, reason);
  }
}

function assertUnavailable(error: unknown): void {
  assert.ok(error instanceof ParleyError, String(error));
  assert.equal(error.code, "unavailable", error.message);
}

/** A signal that knows how many listen to it. Drivers stop listening more than once, which counts for nothing. */
function countingSignal(): AbortSignal & { readonly listeners: number } {
  const { signal } = new AbortController();
  const listening = new Set<unknown>();
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  return Object.defineProperties(signal, {
    listeners: { get: () => listening.size },
    addEventListener: {
      value: (...options: Parameters<typeof add>) => (listening.add(options[1]), add(...options)),
    },
    removeEventListener: {
      value: (...options: Parameters<typeof remove>) => (listening.delete(options[1]), remove(...options)),
    },
  }) as AbortSignal & { readonly listeners: number };
}
