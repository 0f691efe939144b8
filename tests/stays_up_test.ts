import assert from "node:assert/strict";
import { builtInDags } from "../commands/engine.ts";
import { loadConfig } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createRun } from "../lib/dag/runs.ts";
import { newTask } from "../lib/dag/state.ts";
import { SqliteRuns } from "../lib/stores/runs/sqlite/sqlite_runs.ts";
import { ROOT } from "./fixtures/flow.ts";
import { runOf } from "./fixtures/runs.ts";
import { raw, RawConnection, serving } from "./fixtures/serving.ts";
import { until } from "./fixtures/until.ts";

const isUp = async (url: string) => {
  try {
    return (await (await fetch(`${url}/healthz`)).json()).status === "up";
  } catch {
    return false;
  }
};

/** Opens connections until the other side has accepted no more for a while. */
async function occupy(port: number, count: number, text: string): Promise<RawConnection[]> {
  const opened = await Promise.allSettled(Array.from({ length: count }, async () => {
    const connection = await RawConnection.open(port);
    await connection.write(text);
    return connection;
  }));
  return opened.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
}

for (
  const [what, text] of [
    ["that say nothing", ""],
    ["whose request never comes whole", "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: "],
    [
      "whose body never comes",
      "POST /intents/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" +
      "content-length: 9\r\n\r\n{",
    ],
  ] as const
) {
  Deno.test(`serve answers again after more connections ${what} than it has file descriptors`, async () => {
    const logged = await serving(async ({ url, port }) => {
      assert.ok(await isUp(url));
      for (let time = 0; time < 2; time++) {
        const connections = await occupy(port, 400, text);
        await until(() => isUp(url));
        for (const connection of connections) connection.close();
        assert.ok(await isUp(url));
      }
      const page = await fetch(url, { headers: { accept: "text/html" } });
      assert.equal(page.status, 200);
      await page.body?.cancel();
    }, { limit: 256 });
    assert.match(logged, /listening stopped: .*Too many open files/);
  });
}

Deno.test("serve continues an answer under way while it has no file descriptor left", async () => {
  await serving(async ({ url, port, data }) => {
    const runs = new SqliteRuns({ path: `${data}/runs.db` });
    await runs.create({ run: runOf("r1"), tasks: [newTask("first")] });
    const stream = await RawConnection.open(port);
    await stream.write("GET /runs/r1/events HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert.match(await stream.read((text) => text.includes("lineage")), /^HTTP\/1\.1 200 /);
    const connections = await occupy(port, 400, "");
    await until(() => isUp(url));
    await runs.appendLogs({
      run_id: "r1",
      lines: [{ task_id: "first", attempt: 1, at: "", line: "continued" }],
    });
    assert.match(await stream.read((text) => text.includes("continued")), /continued/);
    stream.close();
    for (const connection of connections) connection.close();
    await runs.close();
  }, { limit: 256 });
});

const REQUESTS: readonly [string, string, number][] = [
  ["a malformed host", "GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n", 400],
  ["an unclosed host", "GET / HTTP/1.1\r\nhost: [::1\r\naccept: text/html\r\nconnection: close\r\n\r\n", 400],
  ["a host with a path", "GET /x HTTP/1.1\r\nhost: localhost/y?\r\nconnection: close\r\n\r\n", 400],
  ["an empty host", "GET / HTTP/1.1\r\nhost: \r\nconnection: close\r\n\r\n", 400],
  ["a foreign host", "GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", 403],
  [
    "a foreign URL",
    "GET http://evil.example/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    403,
  ],
  ["headers of 1 MB", `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"x".repeat(1_000_000)}\r\n\r\n`, 400],
  [
    "events of a run that is not there",
    "GET /runs/x/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    404,
  ],
];

Deno.test("serve refuses malformed and foreign requests, and never fails", async () => {
  const logged = await serving(async ({ url, port }) => {
    for (const [what, request, status] of REQUESTS) {
      assert.equal((await raw(port, request)).status, status, what);
    }
    const gone = await RawConnection.open(port);
    await gone.write(
      "POST /intents/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" +
        "content-length: 99\r\n\r\n{",
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    gone.close();
    assert.ok(await isUp(url));
  });
  assert.doesNotMatch(logged, /"status":5|not caught/);
});

Deno.test("serve survives an error that no code caught, logs its name and place, and counts it", async () => {
  const logged = await serving(async ({ url, pid }) => {
    Deno.kill(pid, "SIGUSR2");
    const counted = async () => await (await fetch(`${url}/metrics`)).text();
    await until(async () => (await counted()).includes("parley_uncaught_errors_total 2"));
  }, { preload: `${ROOT}tests/fixtures/uncaught_preload.ts` });
  for (const name of ["TypeError", "RangeError"]) {
    assert.match(
      logged,
      new RegExp(`an error was not caught: ${name} at tests/fixtures/uncaught_preload\\.ts:\\d+`),
    );
  }
  assert.doesNotMatch(logged, /quotes/);
});

Deno.test("serve answers while its log cannot be written", async () => {
  await serving(async ({ url }) => {
    for (let i = 0; i < 3; i++) {
      assert.equal((await fetch(`${url}/recommendations/ann`).then((each) => each.json())).status, 503);
    }
    assert.ok(await isUp(url));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.match(await (await fetch(`${url}/metrics`)).text(), /parley_uncaught_errors_total 0/);
  }, { log: "/dev/full", env: { PARLEY_LOG: "debug" } });
});

Deno.test("schedule continues if a worker cannot be started", async () => {
  const folder = await Deno.makeTempDir({ prefix: "parley-schedule-" });
  const env = { PARLEY_DATA: folder, PARLEY_EMBEDDINGS: "test:64", PARLEY_ALLOW_TEST_EMBEDDER: "1" };
  const runs = new SqliteRuns({ path: `${folder}/runs.db` });
  const dag = builtInDags(loadConfig(env)).get("nightly")!;
  await createRun({ dag, runs, clock: systemClock, params: {} });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", "--no-check", `${ROOT}main.ts`, "schedule"],
    // Without a PATH there is no `deno` to start.
    env: { ...env, PATH: "/nowhere" },
    cwd: folder,
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const logged = new Response(child.stderr).text();
  const ticks = new Set<string>();
  await until(async () => ticks.add((await runs.leader())?.last_tick ?? "").size > 4);
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  const failures = (await logged).match(/a worker could not be started: NotFound/g) ?? [];
  assert.ok(failures.length > 1, "each tick tries again");
  await runs.close();
  await Deno.remove(folder, { recursive: true });
});
