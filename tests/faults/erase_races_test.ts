import assert from "node:assert/strict";
import { systemClock } from "../../lib/core/clock.ts";
import { eraseUsers } from "../../lib/privacy/erase_users.ts";
import { readUser } from "../../lib/privacy/read_user.ts";
import { MemoryCache } from "../../lib/stores/cache/memory/memory_cache.ts";
import type { Services } from "../../tasks/services.ts";
import { type Flow, nightlyRun, runDag, SAMPLE, withFlow, writeRows } from "../fixtures/flow.ts";
import { countTraces, MARKED, markedRows, SAID, tracesOf } from "../fixtures/marked_user.ts";

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

/** Runs the pipeline with the marked user, who is erased when the disturbed services say so, and looks whether anything is left. */
function eraseDuringRun(
  disturb: (services: Services, erase: () => Promise<void>) => Services,
): Promise<void> {
  return withFlow(async (flow: Flow) => {
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
    const disturbed = { ...flow, services: disturb(services, erase) };
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
  });
}

for (const [store, method] of WRITES) {
  Deno.test(`a user who is erased while a run is about to call ${store}.${method}() does not come back`, () =>
    eraseDuringRun((services, erase) => interrupted(services, store, method, erase)));
}

/** The services, of which no vector, edge or word of the marked user is written once `isErased()`. */
function watched(services: Services, isErased: () => boolean): Services {
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, name) {
        const value: unknown = Reflect.get(object, name, object);
        if (typeof value !== "function") return value;
        if (name === "forModel") return async (...args: unknown[]) => watch(await value.apply(object, args));
        if (!/^(upsert|set)/.test(String(name))) {
          return value.bind(object);
        }
        return async (options: object) => {
          const names = JSON.stringify(options, (key, value) => key === "signal" ? undefined : value);
          assert.ok(!isErased() || !names.includes(MARKED), `${String(name)}() writes an erased user`);
          return await value.call(object, options);
        };
      },
    });
  const { vectors, graph, analytics } = services;
  return { ...services, vectors: watch(vectors), graph: watch(graph), analytics: watch(analytics) };
}

for (const [what, messages] of [["messages", 1], ["conversation", 3]] as const) {
  Deno.test(`of a user who is erased while the run embeds the ${what}, nothing is written at all`, () =>
    eraseDuringRun((services, erase) => {
      let isErased = false;
      const embedder: Services["embedder"] = async (...args) => {
        const model = await services.embedder(...args);
        const isOf = (text: string) => text.split(SAID).length - 1 === messages;
        return Object.assign(Object.create(model), {
          model: model.model,
          embed: async (options: Parameters<typeof model.embed>[0]) => {
            const vectors = await model.embed(options);
            if (!isErased && options.texts.some(isOf)) {
              await erase();
              isErased = true;
            }
            return vectors;
          },
        });
      };
      return watched({ ...services, embedder }, () => isErased);
    }));
}
