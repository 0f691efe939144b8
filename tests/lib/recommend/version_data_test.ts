import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import { encodeItemWeights, ITEM_WEIGHTS_FILE } from "../../../lib/recommend/item_item_file.ts";
import { Recommender } from "../../../lib/recommend/recommender.ts";
import { type LearntData, NOTHING_LEARNT, VersionData } from "../../../lib/recommend/version_data.ts";
import { engagement } from "./samples.ts";
import { NOW, openWorld } from "./world.ts";

type File = Uint8Array<ArrayBuffer> | null;

/** Weights of one campaign of this version. */
const fileOf = (version: number) =>
  new Uint8Array(encodeItemWeights({
    campaign_ids: ["a", `b${version}`],
    offsets: Uint32Array.of(0, 1, 1),
    targets: Uint32Array.of(1),
    weights: Float32Array.of(0.5),
  }));

/** Version data over an analytics store that answers by this, with what was read and said. */
function versionData(file: (version: number) => Promise<File>, answer_ms = 250) {
  const [reads, said]: [number[], string[]] = [[], []];
  const analytics = {
    file: ({ version, name }: { version: number; name: string }) => {
      if (name !== ITEM_WEIGHTS_FILE) return Promise.resolve(null);
      reads.push(version);
      return file(version);
    },
  };
  const clock = new ManualClock(NOW);
  return {
    reads,
    said,
    clock,
    data: new VersionData({ analytics, clock, answer_ms, warn: (line) => said.push(line) }),
  };
}

const CLICKED = [engagement("me", "a", { clicks: 1 })];
const strongest = (learnt: LearntData | "loading") =>
  (learnt as LearntData).items?.relatedTo(CLICKED).strongest;

Deno.test("VersionData reads a version once for all concurrent callers, and holds two", async () => {
  const { data, reads } = versionData((version) => Promise.resolve(fileOf(version)));
  const all = await Promise.all([data.get(1), data.get(1), data.load(1)]);
  assert.deepEqual(strongest(all[0]), ["b1"]);
  assert.equal(all[0], all[1]);
  for (const version of [2, 1, 2]) assert.deepEqual(strongest(await data.get(version)), [`b${version}`]);
  assert.deepEqual(reads, [1, 2]);
  await data.get(3);
  await data.get(2);
  await data.get(1);
  assert.deepEqual(reads, [1, 2, 3, 1]);
});

Deno.test("VersionData remembers that a version has no weights", async () => {
  const { data, reads, said } = versionData(() => Promise.resolve(null));
  assert.deepEqual([await data.get(1), await data.get(1)], [NOTHING_LEARNT, NOTHING_LEARNT]);
  assert.deepEqual([reads, said], [[1], []]);
});

for (
  const [what, file] of [
    ["cannot be read", () => Promise.reject(new Error("gone"))],
    ["is damaged", () => Promise.resolve(fileOf(1).slice(0, 60))],
  ] as const
) {
  Deno.test(`VersionData leaves out a file that ${what}, says so, and reads it again after five seconds`, async () => {
    const { data, reads, said, clock } = versionData(file);
    for (const count of [1, 2]) {
      for (let i = 0; i < 3; i++) assert.deepEqual(await data.get(1), NOTHING_LEARNT);
      assert.deepEqual([reads.length, said.length], [count, count]);
      clock.advance(5_000);
    }
    assert.match(said[0]!, /^item–item weights of version 1 are left out of answers: /);
  });
}

Deno.test("VersionData gives an evicted version to callers that wait for it", async () => {
  const first = Promise.withResolvers<File>();
  const { data } = versionData((version) => version === 1 ? first.promise : Promise.resolve(fileOf(version)));
  const waiting = data.get(1);
  await data.load(2);
  await data.load(3);
  first.resolve(fileOf(1));
  assert.deepEqual(strongest(await waiting), ["b1"]);
});

Deno.test("VersionData waits a fifth of the time that an answer may take", async () => {
  const slow = () => new Promise<File>((resolve) => setTimeout(resolve, 120, fileOf(1)));
  assert.equal(await versionData(slow, 250).data.get(1), "loading");
  assert.deepEqual(strongest(await versionData(slow, 30_000).data.get(1)), ["b1"]);
});

/** The store, of which one method waits. */
function waiting<T extends object>(store: T, method: keyof T, until: Promise<void>): T {
  return new Proxy(store, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]) => {
        if (name === method) await until;
        return value.apply(target, args);
      };
    },
  });
}

Deno.test("An answer to a posted conversation does not wait for the names of campaigns, and says that they are missing", async () => {
  const world = await openWorld();
  try {
    const reading = Promise.withResolvers<void>();
    const analytics = waiting(world.stores.analytics, "campaignPage", reading.promise);
    const recommender = new Recommender({
      stores: { ...world.stores, analytics },
      clock: new ManualClock(NOW),
    });
    const request = { user_id: null, k: 5, messages: [], events: [] };
    const { failures, degraded } = await recommender.servePosted(request);
    assert.deepEqual(degraded, ["analytics"]);
    assert.match(String(failures.get("analytics")), /the names of campaigns have not been read yet/);
    reading.resolve();
    await recommender.names();
    assert.deepEqual((await recommender.servePosted(request)).degraded, []);
  } finally {
    await world.close();
  }
});

Deno.test("An answer does not wait for data that are being loaded, and names what is missing until they are", async () => {
  const world = await openWorld();
  try {
    const loading = Promise.withResolvers<void>();
    const analytics = waiting(world.stores.analytics, "file", loading.promise);
    const clock = new ManualClock(NOW);
    const recommender = new Recommender({ stores: { ...world.stores, analytics }, clock });
    const request = { user_id: "fay", k: 5 };
    const before = await recommender.explain(request);
    assert.deepEqual([before.answer.led_by, before.answer.degraded], ["popularity", ["analytics"]]);
    const served = await recommender.serve(request);
    assert.match(String(served.failures.get("analytics")), /the data of the version are being loaded/);
    loading.resolve();
    await recommender.prepare();
    clock.advance(1_000);
    const after = JSON.parse((await recommender.serve(request)).body);
    assert.deepEqual([after.led_by, after.degraded], ["co_engagement", []]);
  } finally {
    await world.close();
  }
});
