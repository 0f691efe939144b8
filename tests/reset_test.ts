import assert from "node:assert/strict";
import { reset } from "../commands/reset.ts";
import { type Config, loadConfig } from "../lib/config.ts";
import { fileOf, overwrite, removeTemplate, withCopy } from "./fixtures/damage.ts";
import { digests, nightlyRun, ROOT, SAMPLE, withStores } from "./fixtures/flow.ts";
import { quietly } from "./fixtures/quietly.ts";

Deno.test.afterAll(removeTemplate);

const ALL = { sample: false, all: true, yes: true };

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

Deno.test("reset --all removes all data of Parley, wherever they are, and no file of others; a later load is like the first", () =>
  withCopy(async ({ data, documents }) => {
    const before = await withStores(configOf(data), digests);
    const elsewhere = await Deno.makeTempDir({ prefix: "parley-reset-" });
    try {
      const mine = ["mine.txt", "vectors/mine.txt", "artifacts/mine/mine.txt"];
      Deno.mkdirSync(`${elsewhere}/artifacts/mine`, { recursive: true });
      Deno.renameSync(`${data}/documents.db`, `${elsewhere}/d.db`);
      Deno.renameSync(`${data}/vectors`, `${elsewhere}/vectors`);
      Deno.mkdirSync(`${data}/backups/one`, { recursive: true });
      Deno.writeTextFileSync(`${data}/conversations.ndjson`, "");
      for (const name of mine.slice(0, 2)) Deno.writeTextFileSync(`${elsewhere}/${name}`, "");
      assert.equal(documents.protocol, "sqlite:");
      const config = configOf(data, {
        PARLEY_DOCUMENTS: `sqlite:${elsewhere}/d.db`,
        PARLEY_VECTORS: `sqlite:${elsewhere}/vectors.db`,
        PARLEY_ARTIFACTS: `file:${elsewhere}/artifacts`,
      });
      const { value: code, said } = await quietly(() => reset(config, ALL));
      assert.equal(code, 0, said.join("\n"));
      assert.deepEqual(said, [
        `${data} is empty, except for files that are not Parley's: conversations.ndjson.`,
      ]);
      assert.deepEqual(namesIn(data), ["conversations.ndjson"]);
      assert.deepEqual(namesIn(elsewhere).filter((name) => name !== "artifacts"), ["mine.txt", "vectors"]);
      assert.deepEqual(namesIn(`${elsewhere}/vectors`), ["mine.txt"]);
      await withStores(config, async (flow) => {
        assert.equal(await flow.services.analytics.published(), null);
        assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
        assert.deepEqual(await digests(flow), before);
      });
    } finally {
      await Deno.remove(elsewhere, { recursive: true });
    }
  }));

function configOf(data: string, env: Record<string, string> = {}) {
  const common = { PARLEY_EMBEDDINGS: "test:64", PARLEY_INTENTS: `${ROOT}sample/intents.json` };
  return loadConfig({ ...common, PARLEY_DATA: data, ...env }, ROOT.slice(0, -1));
}

Deno.test("reset --all --yes removes damaged files as well", () =>
  withCopy(async (config) => {
    for (const role of ["runs", "analytics", "vectors"] as const) {
      overwrite(fileOf(config.data, role), 0, 4_096);
    }
    const { value: code, said } = await quietly(() => reset(config, ALL));
    assert.equal(code, 0, said.join("\n"));
    assert.match(said[0]!, /^parley: it is unknown whether a run is in progress: .*runs\.db is damaged/);
    assert.deepEqual(namesIn(config.data), []);
  }));

Deno.test("reset --all keeps a file of another program in the folder of vectors, and names it", () =>
  withCopy(async ({ data }) => {
    Deno.writeTextFileSync(`${data}/vectors/mine.txt`, "mine");
    const { value: code, said } = await quietly(() => reset(configOf(data), ALL));
    assert.deepEqual([code, said], [
      0,
      [`${data} is empty, except for files that are not Parley's: vectors/mine.txt.`],
    ]);
    assert.deepEqual([namesIn(data), namesIn(`${data}/vectors`)], [["vectors"], ["mine.txt"]]);
  }));

Deno.test("reset --all is refused while a scheduler is running on the data, and no longer", () =>
  withCopy(async (config) => {
    const lead = (ttl_ms: number) =>
      withStores(config, ({ runs }) => runs.lead({ owner: "host:1", now: Date.now(), ttl_ms, lag_ms: 0 }));
    await lead(60_000);
    const before = namesIn(config.data);
    await assert.rejects(reset(config, { ...ALL, all: false, stores: "graph" }), { code: "conflict" });
    await assert.rejects(reset(config, ALL), {
      code: "conflict",
      message:
        /^a scheduler is running on these data \(host:1\): stop Parley first; if it was killed, its lease ends at /,
    });
    assert.deepEqual(namesIn(config.data), before);
    await lead(0);
    const { value: code, said } = await quietly(() => reset(config, ALL));
    assert.equal(code, 0, said.join("\n"));
  }));

Deno.test("reset --all names a server that cannot be cleared, removes all else, and fails", () =>
  withCopy(async (config) => {
    const split = configOf(config.data, { PARLEY_CACHE: "redis://:secret-word@127.0.0.1:1/0" });
    const { value: code, said } = await quietly(() => reset(split, ALL));
    assert.equal(code, 1);
    assert.match(
      said[0]!,
      /^parley: cache: not removed from redis:\/\/127\.0\.0\.1:1\/0: Redis at 127\.0\.0\.1:1 /,
    );
    assert.ok(!said.join().includes("secret-word"));
    assert.deepEqual(namesIn(config.data), []);
  }));

Deno.test("reset --sample leaves people and campaigns alone that share an id with the sample's and have rows of one's own, and names them", () =>
  withCopy(async (config) => {
    const path = `${config.data}-own`;
    Deno.mkdirSync(path);
    try {
      const at = "2026-05-01T00:00:00Z";
      const own = {
        messages: [{ user_id: "keziah-boateng", message: "mine", timestamp: at }],
        campaigns: [{ campaign_id: "gait-clinic", title: "Mine" }],
        events: [{ user_id: "jonas-ekdahl", campaign_id: "gait-clinic", type: "click", timestamp: at }],
      };
      const paths = Object.fromEntries(
        Object.entries(own).map(([kind, rows]) => {
          Deno.writeTextFileSync(`${path}/${kind}.ndjson`, rows.map((row) => JSON.stringify(row)).join("\n"));
          return [kind, [`${path}/${kind}.ndjson`]];
        }),
      );
      assert.equal((await withStores(config, (flow) => nightlyRun(flow, paths))).outcome, "success");
      const { value: code, said } = await quietly(() =>
        reset(config, { sample: true, all: false, yes: true })
      );
      assert.equal(code, 4, said.join("\n"));
      assert.match(said[0]!, /^\d+ messages of 58 sample users and 49 campaigns are removed\.$/);
      assert.match(said[1]!, /the sample's, and stay: keziah-boateng, jonas-ekdahl, gait-clinic$/);
      const version = await publishedVersion(config);
      const repeated = await quietly(() => reset(config, { sample: true, all: false, yes: true }));
      assert.deepEqual([repeated.value, repeated.said[0]], [4, "The stores have no data of the sample."]);
      assert.equal(await publishedVersion(config), version);
      await withStores(config, async ({ services: { documents, analytics } }) => {
        const rows = await documents.page({ after: null, limit: 999 });
        assert.deepEqual([...new Set(rows.map(({ user_id }) => user_id))].sort(), [
          "jonas-ekdahl",
          "keziah-boateng",
        ]);
        assert.ok(rows.some(({ message }) => message === "mine"));
        const [campaign, ...rest] = await analytics.campaignPage({ after: null, limit: 99 });
        assert.deepEqual([campaign?.title, rest], ["Mine", []]);
      });
      assert.equal((await quietly(() => reset(config, { sample: true, all: false, yes: true }))).value, 4);
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  }));

/** The data version that answers come from. */
function publishedVersion(config: Config): Promise<number | undefined> {
  return withStores(config, async ({ services }) => (await services.analytics.published())?.version);
}
