import assert from "node:assert/strict";
import { systemClock } from "../../lib/core/clock.ts";
import { eraseUsers } from "../../lib/privacy/erase_users.ts";
import { readUser } from "../../lib/privacy/read_user.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import type { Services } from "../../tasks/services.ts";
import { type Flow, nightlyRun, runDag, SAMPLE, withFlow, writeRows } from "../fixtures/flow.ts";
import { countTraces, MARKED, markedRows, tracesOf } from "../fixtures/marked_user.ts";

/** The writes of a nightly run with rows of users, by store. */
const WRITES = [
  ["documents", "quarantine"],
  ["documents", "upsert"],
  ["analytics", "upsertEvents"],
  ["graph", "setExpressed"],
  ["graph", "setConversations"],
  ["analytics", "setWords"],
  ["vectors", "upsert"],
] as const;

/** The services, of which one method of one store calls `before` the first time, with its rows already read. */
function interrupted(
  services: Services,
  store: string,
  method: string,
  before: () => Promise<void>,
): Services {
  let called = false;
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, name) {
        const value = Reflect.get(object, name, object);
        if (typeof value !== "function") return value;
        if (name === "forModel") return async (...args: unknown[]) => watch(await value.apply(object, args));
        return async (...args: unknown[]) => {
          if (name === method && !called) {
            called = true;
            await before();
          }
          return await value.apply(object, args);
        };
      },
    });
  const own = services[store as "documents"];
  // Methods that give no promise are called as they are.
  const plain = new Set(["quarantinePages", "edges", "tables", "tombstones"]);
  const watched = new Proxy(watch(own), {
    get: (object, name) => plain.has(String(name)) ? Reflect.get(own, name) : Reflect.get(object, name),
  });
  return { ...services, [store]: watched };
}

for (const [store, method] of WRITES) {
  Deno.test(`a user who is erased while a run is about to call ${store}.${method}() does not come back`, () =>
    withFlow(async (flow: Flow) => {
      const { services } = flow;
      let erased = 0;
      const erase = async () => {
        const stores = { ...services, cache: new MemoryCache({ max_bytes: 1_000 }) };
        await eraseUsers({ stores, clock: systemClock, user_ids: [MARKED], log: () => {} });
        erased++;
      };
      const rows = markedRows();
      const paths = {
        ...SAMPLE,
        messages: [...SAMPLE.messages, writeRows(flow, "marked.ndjson", rows.messages)],
        events: [...SAMPLE.events, writeRows(flow, "marked_events.ndjson", rows.events)],
      };
      const disturbed = { ...flow, services: interrupted(services, store, method, erase) };
      const { outcome, snapshot } = await nightlyRun(disturbed, paths);
      assert.equal(outcome, "success", snapshot.run.error ?? "");
      assert.equal(erased, 1);
      const held = async () => {
        const found = await Array.fromAsync(
          readUser({ stores: { ...services, runs: flow.runs }, user_id: MARKED }),
        );
        return found.filter(({ store, kind }) => store !== "artifacts" && kind !== "preferences")
          .map(({ store, kind }) => `${store} ${kind}`);
      };
      assert.deepEqual(await held(), []);
      assert.equal((await runDag(flow, "erase", {})).outcome, "success");
      const left = countTraces(flow.config.data, tracesOf());
      assert.equal(Object.values(left).reduce((sum, count) => sum + count, 0), 0, JSON.stringify(left));
    }));
}
