import assert from "node:assert/strict";
import { backup } from "../../commands/backup.ts";
import { engine, executeQueued } from "../../commands/engine.ts";
import { type Config, loadConfig } from "../../lib/config.ts";
import type { RunRecord } from "../../lib/stores/runs/port.ts";
import { until } from "../fixtures/until.ts";
import { published, removeTemplate, serving, SETTINGS, withCopy } from "../fixtures/damage.ts";
import {
  copyFolder,
  digests,
  type Flow,
  nightlyRun,
  type Paths,
  type Ran,
  ROOT,
  SAMPLE,
  withFlow,
  withStores,
  writeRows,
} from "../fixtures/flow.ts";
import { pipeline } from "../fixtures/kills.ts";
import { quietly } from "../fixtures/quietly.ts";

Deno.test.afterAll(removeTemplate);

/** How many of the copies of a run in progress are restored. `deno task test:long` sets PARLEY_TEST_COPIES for more. */
const RESTORED = Number(Deno.env.get("PARLEY_TEST_COPIES") ?? 6);

const USERS = ["keziah-boateng", "unknown"];

/** Answers to some users, without what differs from one to the next. */
async function answers(config: Config): Promise<unknown[]> {
  let found: unknown[] = [];
  await serving(config, async ({ json }) => {
    const bodies = await Promise.all(
      USERS.map(async (user) => (await json(`/recommendations/${user}?k=5`)).body),
    );
    found = bodies.map(({ items, degraded }) => ({ items, degraded }));
  });
  return found;
}

function skipped({ snapshot }: Ran): string[] {
  return snapshot.tasks.filter(({ state }) => state === "skipped").map(({ task_id }) => task_id);
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "parley-backup-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a backup that is restored as docs/operating.md says gives the same answers and digests, and the next run finds nothing new", () =>
  inFolder((folder) =>
    withCopy(async (config) => {
      const before = { answers: await answers(config), digests: await withStores(config, digests) };
      const { value: code, said } = await quietly(() => backup(config, `${folder}/copy`));
      assert.equal(code, 0, said.join("\n"));
      Deno.removeSync(config.data, { recursive: true });
      copyFolder(`${folder}/copy`, config.data);
      assert.deepEqual(await answers(config), before.answers);
      await withStores(config, async (flow) => {
        assert.deepEqual(await digests(flow), before.digests);
        const repeated = await nightlyRun(flow, SAMPLE);
        assert.equal(repeated.outcome, "success");
        assert.ok(skipped(repeated).includes("publish"));
        assert.deepEqual(await digests(flow), before.digests);
      });
    })
  ));

async function openRun({ runs }: Flow): Promise<RunRecord | undefined> {
  return (await runs.runs({ states: ["queued", "running"], limit: 1 }))[0];
}

/** Does what a process does that starts: takes over the runs whose process is gone, once their leases are over. */
async function resumeRuns({ config, services, runs }: Flow): Promise<void> {
  await until(async () => {
    await executeQueued(engine({ config, runs, services }), new AbortController().signal);
    return await openRun({ config, services, runs, input: "" }) === undefined;
  });
}

/** Rows of which a run makes work enough for several copies. */
function inputOf(flow: Flow): Paths {
  const at = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, n * 40)).toISOString();
  const messages = Array.from({ length: 2_000 }, (_, n) => ({
    user_id: `u-${n % 211}`,
    message: `says ${n} about ${n % 7}`,
    timestamp: at(n),
    intent: `topic_${n % 7}`,
  }));
  const campaigns = Array.from({ length: 30 }, (_, n) => ({ campaign_id: `c-${n}`, title: `Campaign ${n}` }));
  const events = Array.from({ length: 1_000 }, (_, n) => (
    { user_id: `u-${n % 211}`, campaign_id: `c-${n % 30}`, type: "click", timestamp: at(2 * n + 1) }
  ));
  return {
    messages: [writeRows(flow, "messages.ndjson", messages)],
    campaigns: [writeRows(flow, "campaigns.ndjson", campaigns)],
    events: [writeRows(flow, "events.ndjson", events)],
  };
}

Deno.test("a restored copy of a run in progress in another process ends in the stores of an undisturbed run", () =>
  inFolder((folder) =>
    withFlow(async (flow) => {
      const input = inputOf(flow);
      const child = pipeline(flow, Object.entries(input).flatMap(([kind, paths]) => [`--${kind}`, ...paths]));
      await until(async () => await openRun(flow) !== undefined);
      let copies = 0;
      while (await openRun(flow) !== undefined) {
        const { value: code, said } = await quietly(() => backup(flow.config, `${folder}/${copies++}`));
        assert.equal(code, 0, said.join("\n"));
      }
      assert.equal((await child.status).code, 0);
      const expected = await digests(flow);
      let resumed = 0;
      for (let n = 0; n < copies; n += Math.max(1, Math.ceil(copies / RESTORED))) {
        await withStores(configOf(`${folder}/${n}`), async (restored) => {
          if (await openRun(restored) !== undefined) resumed++;
          await resumeRuns(restored);
          assert.equal((await nightlyRun(restored, input)).outcome, "success");
          assert.deepEqual(await digests(restored), expected, `copy ${n} of ${copies}`);
        });
      }
      assert.ok(resumed > 0, `of ${copies} copies none was restored that is of a run in progress`);
    }, SETTINGS)
  ));

function configOf(data: string, env: Record<string, string> = {}): Config {
  return loadConfig(
    { ...SETTINGS, PARLEY_EMBEDDINGS: "test:64", PARLEY_DATA: data, ...env },
    ROOT.slice(0, -1),
  );
}

Deno.test("backup() names each store that a server keeps, without its password, and its exit code says that the copy is a part", () =>
  inFolder(async (folder) => {
    const config = configOf(await published(), {
      PARLEY_DOCUMENTS: "mongodb://user:secret-word@mongo:27017/parley",
      PARLEY_GRAPH: "neo4j+s://user:secret-word@graph:7687",
    });
    const { value: code, said } = await quietly(() => backup(config, `${folder}/copy`));
    assert.equal(code, 4);
    assert.deepEqual(said.slice(-2), [
      "parley: documents: on the server mongodb://mongo:27017/parley, not in the copy; copy it by mongodump while no run is in progress",
      "parley: graph: on the server neo4j+s://graph:7687, not in the copy; copy it by neo4j-admin database dump while no run is in progress",
    ]);
    assert.ok(!said.join().includes("secret-word"));
    const names = [...Deno.readDirSync(`${folder}/copy`)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["analytics.db", "artifacts", "runs.db", "vectors"]);
  }));

Deno.test("backup() copies stores that are outside the data folder, to where a data folder has them", () =>
  inFolder((folder) =>
    withCopy(async (config) => {
      const before = await withStores(config, digests);
      const [graph, vectors] = [`${folder}/a # b/g.db`, `${folder}/elsewhere`];
      Deno.mkdirSync(`${folder}/a # b`);
      Deno.renameSync(`${config.data}/graph.db`, graph);
      Deno.renameSync(`${config.data}/vectors`, vectors);
      const split = configOf(config.data, {
        PARLEY_GRAPH: `sqlite:${encodeURI(graph).replaceAll("#", "%23")}`,
        PARLEY_VECTORS: `sqlite:${vectors}.db`,
      });
      assert.equal((await quietly(() => backup(split, `${folder}/copy/`))).value, 0);
      assert.deepEqual(await withStores(configOf(`${folder}/copy`), digests), before);
    })
  ));

Deno.test("backup() reports a store and the published vectors that are gone, copies the others, and makes no empty ones", () =>
  inFolder((folder) =>
    withCopy(async (config) => {
      Deno.removeSync(`${config.data}/documents.db`);
      Deno.removeSync(`${config.data}/vectors`, { recursive: true });
      const { value: code, said } = await quietly(() => backup(config, `${folder}/copy`));
      assert.equal(code, 1);
      assert.match(said[0]!, /documents\.db does not exist, so the copy lacks documents$/);
      assert.match(
        said[1]!,
        /^parley: the published vectors, by .*, are not in .*vectors, so they are not in the copy$/,
      );
      assert.deepEqual(
        [...Deno.readDirSync(config.data)].filter(({ name }) => /^(documents|vectors)/.test(name)),
        [],
      );
    })
  ));

Deno.test("backup() leaves a folder alone that has something in it, and takes an empty one", () =>
  inFolder((folder) =>
    withCopy(async (config) => {
      Deno.writeTextFileSync(`${folder}/mine`, "");
      await assert.rejects(backup(config, folder), {
        code: "invalid",
        message: `${folder} is not empty: name an empty or new folder`,
      });
      for (const place of [`${folder}/mine`, `${folder}/mine/below`, "/proc/none"]) {
        await assert.rejects(backup(config, place), {
          code: "invalid",
          message: /cannot be a folder for the copy/,
        });
      }
      Deno.mkdirSync(`${folder}/empty`);
      assert.equal((await quietly(() => backup(config, `${folder}/empty`))).value, 0);
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["empty", "mine"]);
    })
  ));

/** Writes and removes artifacts until it is ended. */
const CHURN = `
  const [folder] = Deno.args;
  for (let n = 0;; n++) {
    Deno.mkdirSync(folder + "/run-" + n % 7, { recursive: true });
    for (let file = 0; file < 20; file++) Deno.writeTextFileSync(folder + "/run-" + n % 7 + "/" + file, "x");
    Deno.removeSync(folder + "/run-" + n % 7, { recursive: true });
  }`;

Deno.test("backup() is not ended by files that disappear while it copies", () =>
  inFolder((folder) =>
    withCopy(async (config) => {
      Deno.writeTextFileSync(`${folder}/churn.ts`, CHURN);
      const churn = new Deno.Command("deno", {
        args: ["run", "--quiet", "--allow-all", `${folder}/churn.ts`, `${config.data}/artifacts/churn`],
      }).spawn();
      try {
        for (let n = 0; n < 25; n++) {
          const { value: code, said } = await quietly(() => backup(config, `${folder}/${n}`));
          assert.equal(code, 0, said.join("\n"));
        }
      } finally {
        churn.kill("SIGKILL");
        await churn.status;
      }
    })
  ));

Deno.test("backup() keeps the times of artifacts, by which they are removed after their days", () =>
  inFolder((folder) =>
    withCopy(async (config) => {
      const path = "artifacts/old/ingest/messages-1.ndjson";
      Deno.mkdirSync(`${config.data}/artifacts/old/ingest`, { recursive: true });
      Deno.writeTextFileSync(`${config.data}/${path}`, "{}\n");
      Deno.utimeSync(`${config.data}/${path}`, 1_700_000_000, 1_700_000_000);
      assert.equal((await quietly(() => backup(config, `${folder}/copy`))).value, 0);
      assert.equal(Deno.statSync(`${folder}/copy/${path}`).mtime!.getTime(), 1_700_000_000_000);
    })
  ));

Deno.test("the task backup may write a copy outside of .parley", () =>
  inFolder(async (folder) => {
    const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
    const permissions = tasks.backup.command.split(" ").filter((word: string) => word.startsWith("--allow-"));
    Deno.mkdirSync(`${folder}/work`);
    copyFolder(await published(), `${folder}/work/.parley`);
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args: ["run", "--quiet", ...permissions, `${ROOT}main.ts`, "backup", "--to", "../copy"],
      cwd: `${folder}/work`,
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stdout), /files copied to \S+\/copy;/);
    assert.ok(Deno.statSync(`${folder}/copy/analytics.db`).isFile);
  }));
