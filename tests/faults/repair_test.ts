import { writeSample } from "../../commands/sample.ts";
import assert from "node:assert/strict";
import { backup } from "../../commands/backup.ts";
import type { Config } from "../../lib/config.ts";
import { RESTORE } from "../../lib/stores/engines/sqlite/file.ts";
import {
  fileOf,
  overwrite,
  removeTemplate,
  ROLES,
  serving,
  SETTINGS,
  USER,
  withCopy,
} from "../fixtures/damage.ts";
import {
  copyFolder,
  digests,
  nightlyRun,
  type Paths,
  ROOT,
  SAMPLE,
  withFlow,
  withStores,
} from "../fixtures/flow.ts";
import { quietly } from "../fixtures/quietly.ts";
import { until } from "../fixtures/until.ts";

Deno.test.afterAll(removeTemplate);

function damageHeader(path: string): void {
  overwrite(path, 0, 4_096);
}

/** One more message, as the night brings it. */
const NEW = JSON.stringify({ user_id: "new", message: "hello", timestamp: "2026-05-01T00:00:00Z" });

/** Writes the new message, and gives the sources without the sample and with it. */
function sourcesIn({ data }: Config): { few: Paths; all: Paths } {
  const path = `${data}/new.ndjson`;
  Deno.writeTextFileSync(path, NEW);
  return { few: { messages: [path] }, all: { ...SAMPLE, messages: [...SAMPLE.messages, path] } };
}

let undisturbed: Promise<Record<string, string>> | null = null;

/** Digests of stores over all sources that nothing happened to. */
function expected(): Promise<Record<string, string>> {
  return undisturbed ??= (async () => {
    let found: Record<string, string> = {};
    await withFlow(async (flow) => {
      await nightlyRun(flow, sourcesIn(flow.config).all);
      found = await digests(flow);
    }, SETTINGS);
    return found;
  })();
}

/** The command to run once the file is moved away. */
const REMEDIES = [
  { role: "graph", task: "pipeline --all", sources: false },
  { role: "vectors", task: "pipeline run reembed", sources: false },
  { role: "documents", task: "pipeline", sources: true },
  { role: "analytics", task: "pipeline", sources: true },
] as const;

/** Does what the error of a store says: moves the file away, and runs the task, with these sources if it needs any. */
async function follow(config: Config, error: string, sources: Paths): Promise<string> {
  const [, name, task] = /: move (\S+) away and run `deno task ([^`]+)`/.exec(error) ?? [];
  assert.ok(name !== undefined && task !== undefined, error);
  const path = error.slice(0, error.indexOf(name) + name.length);
  Deno.renameSync(path, `${config.data}-away`);
  const given = Object.entries(sources).flatMap(([kind, paths]) => [`--${kind}`, ...paths]);
  const { code, stderr } = await parley(config, [...task.split(" "), ...given]).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  Deno.removeSync(`${config.data}-away`);
  return task;
}

for (const { role, task, sources } of REMEDIES) {
  const how = `\`${task}\` with${sources ? " all" : "out"} sources`;
  Deno.test(`a damaged file of ${role} fails a run; out of the way, ${how} repairs it under a running API`, () =>
    withCopy(async (config) => {
      const { few, all } = sourcesIn(config);
      const path = fileOf(config.data, role);
      damageHeader(path);
      await serving(config, async ({ json }) => {
        const degraded = async () => (await json(`/recommendations/${USER}?k=3`)).body.degraded;
        assert.deepEqual(await degraded(), role === "documents" ? [] : [role]);
        const failed = await withStores(config, (flow) => nightlyRun(flow, few));
        assert.equal(failed.outcome, "failed");
        const errors = failed.snapshot.tasks.flatMap(({ error }) => error ?? []);
        assert.ok(errors.length > 0);
        for (const error of errors) {
          assert.ok(error.startsWith(`${path} is damaged (file is not a database): move `), error);
        }
        assert.equal(await follow(config, errors[0]!, sources ? all : {}), task);
        await until(async () => (await json("/readyz")).body.status === "ready");
        await until(async () => (await degraded()).length === 0);
      });
      // What came in on the night of the damage is derived on the next one, if not before.
      assert.equal((await withStores(config, (flow) => nightlyRun(flow, few))).outcome, "success");
      assert.deepEqual(await withStores(config, digests), await expected());
    }));

  Deno.test(`serve says what to run if a file of ${role} is gone, and not to move it`, () =>
    withCopy(async (config) => {
      const path = fileOf(config.data, role);
      await serving(config, async ({ json }) => {
        assert.equal((await json(`/recommendations/${USER}`)).status, 200);
        Deno.removeSync(path);
        const error = async () => `${(await json("/readyz")).body.stores[role]!.error}`;
        await until(async () => (await error()).startsWith(path));
        assert.match(
          (await error()).slice(path.length),
          new RegExp(`^ is (gone|not there): run .deno task ${task}`),
        );
      });
    }));
}

for (const role of ["graph", "vectors", "documents", "analytics"] as const) {
  Deno.test(`a run over unchanged sources fails, and says what to do, if the file of ${role} is damaged`, () =>
    withCopy(async (config) => {
      const path = fileOf(config.data, role);
      damageHeader(path);
      const { outcome, snapshot } = await withStores(config, (flow) => nightlyRun(flow, SAMPLE));
      assert.equal(outcome, "failed");
      const [ingest] = snapshot.tasks.filter(({ task_id }) => task_id === "ingest");
      assert.ok(
        ingest!.error?.startsWith(`${path} is damaged (file is not a database): move `),
        ingest!.error!,
      );
    }));
}

Deno.test("a damaged run store keeps no answer back; out of the way, the next run makes a new one", () =>
  withCopy(async (config) => {
    const path = fileOf(config.data, "runs");
    damageHeader(path);
    await serving(config, async ({ json }) => {
      assert.deepEqual((await json(`/recommendations/${USER}`)).body.degraded, []);
      assert.equal((await json("/readyz")).body.stores.runs!.status, "down");
      await assert.rejects(withStores(config, (flow) => nightlyRun(flow, SAMPLE)), {
        code: "unavailable",
        message: new RegExp(`^${path} is damaged \\(.*\\): move .*only the history of runs is lost$`),
      });
      const { error } = (await json("/readyz")).body.stores.runs!;
      assert.equal(await follow(config, error, {}), "pipeline --all");
      await until(async () => (await json("/readyz")).body.status === "ready");
    });
  }));

Deno.test("backup() copies undamaged files, readable by the owner alone, and reports damaged ones", () =>
  withCopy(async (config) => {
    damageHeader(fileOf(config.data, "graph"));
    const to = `${config.data}-copy`;
    try {
      const { value: code, said } = await quietly(() => backup(config, to));
      assert.equal(code, 1);
      assert.match(said[0]!, /graph\.db could not be copied \(file is not a database\)/);
      const names = [...Deno.readDirSync(to)].map(({ name }) => name).sort();
      assert.deepEqual(names, ["analytics.db", "artifacts", "documents.db", "runs.db", "vectors"]);
      assert.deepEqual(openToOthers(to), []);
    } finally {
      await Deno.remove(to, { recursive: true });
    }
  }));

/** Files and folders that others than their owner may read, from a folder on down. */
function openToOthers(path: string): string[] {
  const { mode, isDirectory } = Deno.statSync(path);
  const below = isDirectory
    ? [...Deno.readDirSync(path)].flatMap(({ name }) => openToOthers(`${path}/${name}`))
    : [];
  return (mode! & 0o077) === 0 ? below : [path, ...below];
}

/** `parley …` as a process of its own. */
function parley(config: Config, args: string[], { umask = "022" } = {}): Deno.ChildProcess {
  const deno = ["deno", "run", "--quiet", "--no-check", "--allow-all", `${ROOT}main.ts`];
  return new Deno.Command("sh", {
    args: ["-c", `umask ${umask}; exec "$@"`, "sh", ...deno, ...args],
    env: {
      NO_COLOR: "1",
      ...SETTINGS,
      PARLEY_DATA: config.data,
      PARLEY_EMBEDDINGS: "test:64",
      PARLEY_ALLOW_TEST_EMBEDDER: "1",
      PARLEY_PORT: "0",
      PARLEY_LOG: "warning",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** A process that listens: `url`, and what it has printed so far. */
async function withApi(
  config: Config,
  verb: "serve" | "start",
  body: (api: { url: string; said: () => string }) => Promise<void>,
): Promise<void> {
  const child = parley(config, [verb]);
  let said = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) said += text;
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]);
  try {
    await until(() => Promise.resolve(/answers at (\S+)/.test(said)));
    await body({ url: /answers at (http:\S+\d)/.exec(said)![1]!, said: () => said });
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await reading;
  }
}

async function get(url: string) {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

Deno.test("serve notices within seconds that its data folder is gone, and uses the one that is restored from a backup", () =>
  withCopy(async (config) => {
    const copy = `${config.data}-copy`;
    await quietly(() => backup(config, copy));
    try {
      await withApi(config, "serve", async ({ url }) => {
        const answer = () => get(`${url}/recommendations/${USER}?k=3`);
        assert.deepEqual((await answer()).body.degraded, []);
        assert.equal((await get(`${url}/readyz`)).body.status, "ready");
        Deno.removeSync(config.data, { recursive: true });
        const began = performance.now();
        const errors = async () => {
          const { stores } = (await get(`${url}/readyz`)).body;
          return ROLES.map((role) => `${stores[role].error}`);
        };
        await until(async () => (await errors()).every((error) => /(is gone|is not there): /.test(error)));
        assert.ok(performance.now() - began < 5_000);
        assert.equal((await get(`${url}/readyz`)).status, 503);
        const meanwhile = await answer();
        assert.equal(meanwhile.status, 200);
        assert.ok(meanwhile.body.degraded.includes("analytics"));
        copyFolder(copy, config.data);
        await until(async () => (await get(`${url}/readyz`)).body.status === "ready");
        await until(async () => (await answer()).body.degraded.length === 0);
        assert.equal((await answer()).body.items.length, 3);
      });
    } finally {
      await Deno.remove(copy, { recursive: true });
    }
  }));

Deno.test("a damaged file ends in the stores of before, if a backup is restored as serve says", () =>
  withCopy(async (config) => {
    const before = await withStores(config, digests);
    assert.equal((await parley(config, ["backup"]).output()).code, 0);
    damageHeader(fileOf(config.data, "documents"));
    await withApi(config, "serve", async ({ url, said }) => {
      const { error } = (await get(`${url}/readyz`)).body.stores.documents;
      assert.ok(error.endsWith(`, or ${RESTORE}`), error);
      assert.ok(said().includes(error), said());
    });
    assert.equal(
      RESTORE,
      "restore a backup: stop Parley, run `deno task restore --from FOLDER`, and start Parley",
    );
    const [copy] = [...Deno.readDirSync(`${config.data}/backups`)];
    const from = `${config.data}/backups/${copy!.name}`;
    assert.equal((await parley(config, ["restore", "--from", from]).output()).code, 0);
    await withApi(config, "serve", async ({ url }) => {
      await until(async () => (await get(`${url}/readyz`)).body.status === "ready");
      assert.deepEqual((await get(`${url}/recommendations/${USER}?k=3`)).body.degraded, []);
    });
    assert.deepEqual(await withStores(config, digests), before);
  }));

Deno.test("answers remain the campaigns that were popular last when empty stores replace those of a published version", () =>
  withCopy(async (config) => {
    await serving(config, async ({ json }) => {
      const answer = () => json(`/recommendations/${USER}?k=3`);
      assert.deepEqual((await answer()).body.degraded, []);
      Deno.removeSync(config.data, { recursive: true });
      const missing = { messages: [`${config.data}/nothere.json`] };
      const { outcome } = await withStores(config, (flow) => nightlyRun(flow, missing));
      assert.equal(outcome, "failed");
      assert.ok(Deno.statSync(`${config.data}/analytics.db`).size > 0);
      await until(async () => (await answer()).body.degraded.includes("analytics"));
      // Longer than the file is looked at, and than the published row counts as read.
      for (const end = performance.now() + 2_500; performance.now() < end;) {
        const { status, body } = await answer();
        assert.deepEqual([status, body.items.length, body.degraded.at(-1)], [200, 3, "analytics"]);
        await new Promise((resume) => setTimeout(resume, 50));
      }
      assert.equal((await json("/readyz")).status, 503);
      const { outcome: filled } = await withStores(config, (flow) => nightlyRun(flow, SAMPLE));
      assert.equal(filled, "success");
      await until(async () => (await answer()).body.degraded.length === 0);
    });
  }));

Deno.test("`pipeline work` creates no store if the run store does not exist", () =>
  withCopy(async (config) => {
    for (const [what, data] of [["empty", `${config.data}/empty`], ["without runs.db", config.data]]) {
      Deno.mkdirSync(data!, { recursive: true });
      await Deno.remove(`${data}/runs.db`).catch(() => {});
      const before = [...Deno.readDirSync(data!)].map(({ name }) => name).sort();
      const { code, stderr } = await parley({ ...config, data: data! }, ["pipeline", "work"]).output();
      assert.equal(code, 1, what);
      assert.match(new TextDecoder().decode(stderr), /runs\.db is not there: /);
      assert.deepEqual([...Deno.readDirSync(data!)].map(({ name }) => name).sort(), before);
    }
  }));

Deno.test("start answers over a damaged run store, says that the scheduler cannot run, and runs it after the repair", () =>
  withCopy(async (config) => {
    const path = fileOf(config.data, "runs");
    const whole = `${config.data}-runs.db`;
    Deno.copyFileSync(path, whole);
    damageHeader(path);
    try {
      await withApi(config, "start", async ({ url, said }) => {
        assert.deepEqual((await get(`${url}/recommendations/${USER}`)).body.degraded, []);
        assert.match(said(), /parley: runs: \S+runs\.db is damaged/);
        await until(() => Promise.resolve(/the scheduler cannot run: .*runs\.db is damaged/.test(said())));
        Deno.renameSync(whole, path);
        await until(async () => (await get(`${url}/readyz`)).body.scheduler?.status === "up");
      });
    } finally {
      await Deno.remove(whole).catch(() => {});
    }
  }));

Deno.test("a pipeline's files are readable by the owner alone, whatever the umask, and older files get these modes too", () =>
  withCopy(async (config) => {
    const fresh = { ...config, data: `${config.data}/fresh/data` };
    const sources = Object.entries(SAMPLE).flatMap(([kind, [path]]) => [`--${kind}`, path!]);
    const ran = await parley(fresh, ["pipeline", ...sources], { umask: "000" }).output();
    assert.equal(ran.code, 0, new TextDecoder().decode(ran.stderr));
    const task = ["run-task", "--dag", "nightly", "--run-id", "outside", "--task", "ingest"];
    const output = ["--output", `${config.data}/fresh/result.json`];
    const alone = await parley(fresh, ["pipeline", ...task, ...output], { umask: "000" }).output();
    assert.equal(alone.code, 99, new TextDecoder().decode(alone.stderr));
    const umask = Deno.umask(0);
    await writeSample({ data: fresh.data, now: Date.now() }).finally(() => Deno.umask(umask));
    assert.deepEqual(openToOthers(`${config.data}/fresh`), []);
    // A folder of before, with the modes of before.
    Deno.chmodSync(fresh.data, 0o755);
    Deno.chmodSync(`${fresh.data}/parley-sample/events.ndjson`, 0o666);
    for (const name of ["vectors", "artifacts", "parley-sample"]) {
      Deno.chmodSync(`${fresh.data}/${name}`, 0o755);
    }
    Deno.chmodSync(`${fresh.data}/documents.db`, 0o644);
    Deno.chmodSync(fileOf(fresh.data, "vectors"), 0o644);
    assert.equal((await parley(fresh, ["pipeline", "runs"], { umask: "000" }).output()).code, 0);
    assert.deepEqual(openToOthers(fresh.data), []);
    // One that holds other things too keeps its mode.
    Deno.writeTextFileSync(`${fresh.data}/mine.txt`, "");
    Deno.chmodSync(fresh.data, 0o755);
    assert.equal((await parley(fresh, ["pipeline", "runs"]).output()).code, 0);
    assert.equal(Deno.statSync(fresh.data).mode! & 0o777, 0o755);
  }));
