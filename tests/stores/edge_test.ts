import assert from "node:assert/strict";
import { loadSample, ROOT, withFlow } from "../fixtures/flow.ts";
import { freePort } from "../fixtures/own_server.ts";
import { dropSchema, freshSchema, PGVECTOR } from "../fixtures/postgres.ts";
import { until } from "../fixtures/until.ts";
import { freshServers, missingServers, type Setting } from "../fixtures/servers.ts";

const ALL: readonly Setting[] = [
  "PARLEY_DOCUMENTS",
  "PARLEY_VECTORS",
  "PARLEY_GRAPH",
  "PARLEY_ANALYTICS",
  "PARLEY_CACHE",
];

const PERMISSIONS = ["--quiet", "--no-prompt", "--allow-net", "--allow-env", "--allow-sys=osRelease"];
const KEY = "0123456789abcdef";

/** Stores that `/readyz` still calls down after some seconds: a server that has just started is slow at first. */
async function storesDown(ask: typeof fetch, url: string): Promise<string[]> {
  let down: string[] = [];
  for (let n = 0; n < 20; n++) {
    const { stores } = await (await ask(`${url}/readyz`)).json();
    down = Object.entries<{ status: string }>(stores).flatMap(([name, { status }]) =>
      status === "up" ? [] : [name]
    );
    if (down.length === 0) break;
    await new Promise((resume) => setTimeout(resume, 500));
  }
  return down;
}

/** Pages, and files that one of them names, that do not come with 200. */
async function pagesBroken(ask: typeof fetch, url: string): Promise<string[]> {
  const login = await ask(`${url}/login`, {
    method: "POST",
    headers: { origin: url },
    body: new URLSearchParams({ key: KEY, to: "/" }),
    redirect: "manual",
  });
  await login.body?.cancel();
  const headers = { accept: "text/html", cookie: login.headers.get("set-cookie")!.split(";")[0]! };
  const html = await (await ask(`${url}/`, { headers })).text();
  const assets = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  assert.ok(assets.length > 3);
  const pages = [
    "/",
    "/pipelines",
    "/pipelines/nightly",
    "/runs",
    "/data",
    "/anomalies",
    "/explain",
    "/stores",
  ];
  const asked = [...pages, "/engagement", "/data/quarantine", ...assets].map(async (path) => {
    const response = await ask(url + path, { headers, redirect: "manual" });
    await response.body?.cancel();
    return response.status === 200 ? [] : [`${path}: ${response.status}`];
  });
  return (await Promise.all(asked)).flat();
}

interface Entry {
  readonly name: string;
  /** The arguments of `deno`, which listens on this port. */
  args(port: number): string[];
}
const SERVE: Entry = { name: "serve", args: () => ["run", ...PERMISSIONS, `${ROOT}main.ts`, "serve"] };
const EDGE: Entry = {
  name: "edge.ts",
  args: (port) => ["serve", ...PERMISSIONS, "--host", "127.0.0.1", "--port", `${port}`, `${ROOT}edge.ts`],
};

/** Starts an entry, waits until it answers, and ends it afterwards. */
async function withEntry(
  { args }: Entry,
  env: Record<string, string>,
  body: (ask: typeof fetch, url: string) => Promise<void>,
): Promise<void> {
  const port = freePort();
  const child = new Deno.Command("deno", {
    args: args(port),
    env: {
      ...env,
      PARLEY_PORT: `${port}`,
      PARLEY_API_KEYS: `read+write+admin:${KEY}`,
      PARLEY_ALLOW_TEST_EMBEDDER: "1",
      // Enough for a whole answer on a busy machine.
      PARLEY_ANSWER_MS: "30000",
      NO_COLOR: "1",
    },
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  const ask: typeof fetch = (input, init = {}) =>
    fetch(input, {
      ...init,
      headers: { authorization: `Bearer ${KEY}`, ...init.headers },
    });
  try {
    await until(() =>
      ask(`${url}/healthz`).then((response) => response.json().then(() => true), () => false)
    );
    await body(ask, url);
  } finally {
    // At SIGTERM `deno serve` waits for idle connections too.
    child.kill("SIGKILL");
    await child.status;
  }
}

function test(
  place: string,
  entries: readonly Entry[],
  missing: readonly string[],
  fresh: () => { env: Record<string, string>; drop(): Promise<void> },
): void {
  const names = entries.map(({ name }) => name).join(" and ");
  Deno.test({
    name: `${names} on ${place} needs network and environment alone, and the OS release for Neo4j's driver${
      missing.length > 0 ? `: ${missing.join(", ")} not set` : ""
    }`,
    ignore: missing.length > 0,
    async fn() {
      const { env, drop } = fresh();
      try {
        await withFlow(async (flow) => {
          await loadSample(flow);
          for (const entry of entries) {
            await withEntry(entry, env, answersAll);
          }
        }, env);
      } finally {
        await drop();
      }
    },
  });
}

async function answersAll(ask: typeof fetch, url: string): Promise<void> {
  assert.deepEqual(await storesDown(ask, url), []);
  assert.deepEqual(await pagesBroken(ask, url), []);
  const metrics = async () => await (await ask(`${url}/metrics`)).text();
  await until(async () => /^parley_store_up\{store="graph"\} 1$/m.test(await metrics()));
  const answer = () => ask(`${url}/recommendations/keziah-boateng?k=5`).then((response) => response.json());
  await until(async () => (await answer()).degraded.length === 0);
  assert.equal((await answer()).items.length, 5);
  const row = { user_id: "keziah-boateng", message: "a tent", timestamp: new Date().toISOString() };
  const json = { method: "POST", headers: { "content-type": "application/json" } };
  const written = await ask(`${url}/messages`, { ...json, body: JSON.stringify([row]) });
  assert.deepEqual([written.status, (await written.json()).rows.length], [200, 1]);
  const asked = await ask(`${url}/intents/classify`, { ...json, body: '{"texts":["late parcel"]}' });
  assert.deepEqual([asked.status, (await asked.json()).code], [503, "unavailable"]);
}

test("five servers", [SERVE, EDGE], missingServers(ALL), () => freshServers(ALL));
test("one PostgreSQL", [EDGE], PGVECTOR === undefined ? ["PARLEY_TEST_PGVECTOR"] : [], () => {
  const url = freshSchema(PGVECTOR!);
  return { env: { PARLEY_STORES: url.href }, drop: () => dropSchema(url) };
});
