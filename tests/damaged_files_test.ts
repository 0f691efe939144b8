import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { allDags } from "../commands/engine.ts";
import { doctor } from "../commands/doctor.ts";
import { openServing } from "../commands/services.ts";
import { type Config, loadConfig } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createApp } from "../routes/app.ts";
import { nightlyRun, ROOT, SAMPLE, withFlow } from "./fixtures/flow.ts";

const USER = "keziah-boateng";
const ROLES = ["documents", "analytics", "graph", "vectors", "runs"] as const;
type Role = typeof ROLES[number];

/** The file of each store. */
function fileOf(data: string, role: Role): string {
  if (role !== "vectors") return `${data}/${role}.db`;
  const [name] = [...Deno.readDirSync(`${data}/vectors`)].flatMap(({ name }) =>
    name.endsWith(".db") ? name : []
  );
  return `${data}/vectors/${name}`;
}

function overwrite(path: string, offset: number, bytes: number): void {
  using file = Deno.openSync(path, { write: true });
  file.seekSync(offset, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(bytes).fill(0xa5));
}

/** What can be wrong with a file, each with what is then said of it. */
const KINDS: Record<string, { damage: (path: string) => void; reason: RegExp }> = {
  "has 0 bytes": {
    damage: (path) => Deno.truncateSync(path, 0),
    reason: /has no content \(0 bytes\)/,
  },
  "has a garbage header": {
    damage: (path) => overwrite(path, 0, 100),
    reason: /is damaged \(file is not a database\)/,
  },
  "has flipped pages": {
    damage: (path) => overwrite(path, 4096, Deno.statSync(path).size - 4096),
    reason: /is damaged \(.*malformed.*\)/,
  },
  "is truncated": {
    damage: (path) => Deno.truncateSync(path, Deno.statSync(path).size / 2),
    reason: /is damaged \(database disk image is malformed\)/,
  },
  "is a folder": {
    damage: (path) => {
      Deno.removeSync(path);
      Deno.mkdirSync(path);
    },
    reason: /cannot be opened \(a folder is in its place\)/,
  },
  "has a newer schema": {
    damage: (path) => {
      using db = new DatabaseSync(path);
      db.exec("PRAGMA user_version = 99");
    },
    reason: /has schema version 99, .* use the newer Parley/,
  },
  "has a damaged log": {
    damage: (path) => Deno.writeFileSync(`${path}-wal`, new Uint8Array(4_152).fill(0xa5)),
    reason: /-wal is damaged/,
  },
  "is gone": {
    damage: (path) => Deno.removeSync(path),
    reason: /is not there/,
  },
};

/** Runs `body` over a copy of the sample's stores, published. */
async function withCopy(body: (config: Config) => Promise<void>): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "parley-damaged-" });
  try {
    copyFolder(await published(), data);
    await body(configOf(data));
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

function configOf(data: string): Config {
  return loadConfig({ PARLEY_EMBEDDINGS: "test:64", PARLEY_DATA: data }, ROOT.slice(0, -1));
}

let template: Promise<string> | null = null;

/** A folder with the sample, published; made once, and removed with the last test. */
function published(): Promise<string> {
  return template ??= (async () => {
    const folder = await Deno.makeTempDir({ prefix: "parley-published-" });
    await withFlow(async (flow) => {
      assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
      copyFolder(flow.config.data, folder);
    });
    for (const role of ROLES) {
      using db = new DatabaseSync(fileOf(folder, role));
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    return folder;
  })();
}
Deno.test.afterAll(async () => {
  if (template !== null) await Deno.remove(await template, { recursive: true });
});

function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copyFolder(`${from}/${name}`, `${to}/${name}`);
    else Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

/** What the test reads of an answer and of `/readyz`. */
interface Body {
  readonly degraded: string[];
  readonly items: unknown[];
  readonly stores: Record<string, { status: string; error: string }>;
}

interface Api {
  json(path: string): Promise<{ status: number; body: Body }>;
  html(path: string): Promise<string>;
}

/** Runs `body` with the app as `serve` makes it. */
async function serving(config: Config, body: (api: Api) => Promise<void>): Promise<void> {
  const { value: stores, close } = await openServing(config);
  const dags = allDags(config);
  const closing = new AbortController();
  try {
    const app = await createApp({
      stores,
      dags: [...dags.values()],
      clock: systemClock,
      version: "test",
      keys: [],
      answer_ms: 30_000,
      log: null,
      dashboard: { dags, runs: stores.runs, closing: closing.signal },
    });
    await body({
      json: async (path) => {
        const response = await app.request(path);
        return { status: response.status, body: await response.json() };
      },
      html: async (path) => {
        const headers = { accept: "text/html", host: "localhost" };
        return await (await app.request(`http://localhost${path}`, { headers })).text();
      },
    });
  } finally {
    await close();
  }
}

/** `doctor --json`. */
async function examined(config: Config) {
  const printed: string[] = [];
  const { log } = console;
  console.log = (line: string) => printed.push(line);
  try {
    const code = await doctor(config, { json: true });
    const { stores } = JSON.parse(printed.join(""));
    const errors = stores.flatMap(({ role, error }: { role: string; error: string | null }) =>
      error === null ? [] : [[role, error]]
    );
    return { code, errors: Object.fromEntries(errors) as Record<string, string> };
  } finally {
    console.log = log;
  }
}

for (const role of ROLES) {
  for (const [what, { damage, reason }] of Object.entries(KINDS)) {
    Deno.test(`answers, /readyz, doctor and the overview agree when the file of ${role} ${what}`, () =>
      withCopy(async (config) => {
        const path = fileOf(config.data, role);
        damage(path);
        const said = (text: string) => {
          assert.match(text, reason);
          assert.ok(text.includes(path), text);
        };
        await serving(config, async ({ json, html }) => {
          const answer = await json(`/recommendations/${USER}?k=3`);
          assert.equal(answer.status, 200);
          const needed = role === "documents" || role === "runs" ? [] : [role];
          assert.deepEqual(answer.body.degraded, needed);
          if (role !== "analytics") assert.equal(answer.body.items.length, 3);
          if (role === "documents") await html(`/explain?user_id=${USER}`);
          const { status, body } = await json("/readyz");
          assert.equal(status, role === "analytics" ? 503 : 200);
          const down = Object.entries(body.stores).filter(([, store]) => store.status === "down");
          assert.deepEqual(down.map(([name]) => name), [role]);
          said(down[0]![1].error);
          const page = (await html("/")).replaceAll("&quot;", '"');
          assert.ok(page.includes(path), page.slice(0, 2_000));
        });
        const { code, errors } = await examined(config);
        assert.equal(code, 1);
        assert.deepEqual(Object.keys(errors), [role]);
        said(errors[role]!);
      }));
  }
}
