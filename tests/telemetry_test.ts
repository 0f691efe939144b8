import assert from "node:assert/strict";
import { builtInDags } from "../commands/engine.ts";
import { loadConfig } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createRun } from "../lib/dag/runs.ts";
import { openRuns } from "../lib/stores/open.ts";
import { ROOT } from "./fixtures/flow.ts";

/** Is in every text and every user's id; nothing that is logged, counted or traced may hold it. */
const MARKER = "marker-9f1c";
const ROWS = [1, 2, 3].map((n) =>
  JSON.stringify({
    user_id: `${MARKER}-${n}`,
    message: `I say ${MARKER} ${n}`,
    timestamp: "2026-05-01T00:00:00Z",
  })
).concat(`{"user_id":"${MARKER}","message":7}`);

interface Span {
  readonly name: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}

/** A place that takes what Deno exports, and keeps it. */
function collector() {
  const bodies: string[] = [];
  const spans: Span[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = await request.text();
    bodies.push(body);
    if (request.url.endsWith("/v1/traces")) {
      for (const { scopeSpans } of JSON.parse(body).resourceSpans) {
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
    }
    return Response.json({});
  });
  const env = {
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.addr.port}`,
  };
  return { bodies, spans, env, close: () => server.shutdown() };
}

/** What a command is started with; its data is in `folder`. */
const command = (folder: string, args: string[], env: Record<string, string>) =>
  new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-all", `${ROOT}main.ts`, ...args],
    cwd: folder,
    env: {
      NO_COLOR: "1",
      PARLEY_EMBEDDINGS: "test:64",
      PARLEY_ALLOW_TEST_EMBEDDER: "1",
      PARLEY_PORT: "0",
      PARLEY_MAX_BAD_SHARE: "1",
      ...env,
    },
    stdout: "piped",
    stderr: "piped",
  });

async function pipeline(folder: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const { stderr, success } = await command(folder, ["pipeline", ...args], env).output();
  const text = new TextDecoder().decode(stderr);
  assert.ok(success, text);
  return text;
}

/** Serves from `folder` while `body` asks; returns what it logged. */
async function serve(
  folder: string,
  env: Record<string, string>,
  body: (url: string) => Promise<void>,
): Promise<string> {
  const child = command(folder, ["serve"], env).spawn();
  const logged = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const url = /http:\S+/.exec((await reader.read()).value ?? "")?.[0];
    assert.ok(url !== undefined, "it listens");
    await body(url);
  } finally {
    child.kill("SIGTERM");
    await reader.cancel();
    await child.status;
  }
  return await logged;
}

async function withData(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "parley-telemetry-" });
  try {
    await Deno.writeTextFile(`${folder}/messages.ndjson`, ROWS.join("\n"));
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function ask(url: string): Promise<void> {
  const user = `${url}/recommendations/${MARKER}-1`;
  for (const path of [user, user, `${user}?k=${MARKER}`, `${url}/${MARKER}`, `${url}/readyz`, `${url}/`]) {
    await (await fetch(path, { headers: { "user-agent": MARKER } })).text();
  }
  await (await fetch(user, { method: "POST", body: MARKER })).text();
}

const INGEST = ["--messages", "messages.ndjson"];

Deno.test("with OTEL_DENO=true spans lead from request to stage and from run to task, and name no user", () =>
  withData(async (folder) => {
    const { bodies, spans, env, close } = collector();
    try {
      await pipeline(folder, INGEST, env);
      await pipeline(folder, ["quarantine", "--raw"], env);
      await serve(folder, env, async (url) => {
        await ask(url);
        await (await fetch(`${url}/metrics`)).text();
      });
      const parents = (name: string) =>
        spans.filter((span) => span.name === name).map(({ parentSpanId }) =>
          spans.find(({ spanId }) => spanId === parentSpanId)?.name
        );
      assert.deepEqual(parents("run nightly"), [undefined]);
      for (const task of ["ingest", "validate", "embed", "publish"]) {
        assert.deepEqual(parents(`task ${task}`), ["run nightly"]);
      }
      for (const stage of ["cache", "vectors", "graph", "analytics", "rank"]) {
        const found = new Set(parents(stage));
        assert.ok(found.delete("GET /recommendations/:user_id"), stage);
        found.delete("warm-up");
        assert.deepEqual([...found], [], stage);
      }
      const ingest = spans.find(({ name }) => name === "task ingest");
      assert.ok(
        ingest?.attributes.some(({ key, value }) =>
          key === "parley.run_id" && value.stringValue?.startsWith("nightly-")
        ),
      );
      assert.ok(bodies.length > 3, "logs and metrics came too");
      assert.deepEqual(bodies.filter((body) => body.includes(MARKER)), []);
    } finally {
      await close();
    }
  }));

Deno.test("serve and work log JSON lines, by level, with ids and without anything personal", () =>
  withData(async (folder) => {
    await pipeline(folder, INGEST);
    let metrics = "";
    const debug = await serve(folder, { PARLEY_LOG: "debug" }, async (url) => {
      await ask(url);
      metrics = await (await fetch(`${url}/metrics`)).text();
    });
    const lines = debug.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ method, route, status }) => `${method} ${route} ${status}`), [
      "GET /recommendations/:user_id 200",
      "GET /recommendations/:user_id 200",
      "GET /recommendations/:user_id 400",
      "GET * 404",
      "GET /readyz 200",
      "GET / 200",
      "POST * 405",
      "GET /metrics 200",
    ]);
    assert.ok(lines.every((line) => /^[0-9a-f-]{36}$/.test(line.request_id) && Date.parse(line.at) > 0));
    assert.deepEqual(lines.slice(0, 2).map(({ level, cache }) => [level, cache]), [
      ["info", "miss"],
      ["info", "hit"],
    ]);
    assert.doesNotMatch(debug + metrics, new RegExp(MARKER));
    assert.match(metrics, /parley_cache_lookups_total\{result="hit"\} 1\n/);
    assert.equal(await serve(folder, { PARLEY_LOG: "error" }, ask), "");

    const run_id = await enqueue(folder);
    const work = await pipeline(folder, ["work"]);
    const entries = work.trim().split("\n").map((line) => JSON.parse(line));
    assert.ok(entries.every((entry) => entry.run_id === run_id && entry.dag === "nightly"), work);
    assert.equal(entries[0].message, `run ${run_id} of nightly starts`);
    assert.ok(entries.some(({ task, state }) => task === "ingest" && state === "success"), work);
    assert.deepEqual(entries.at(-1).outcome, "success");
    assert.doesNotMatch(work, new RegExp(MARKER));
  }));

/** Queues a nightly run over one new row. */
async function enqueue(folder: string): Promise<string> {
  await Deno.writeTextFile(`${folder}/more.ndjson`, ROWS[0]!.replace("I say", "I say again"));
  const config = loadConfig({ PARLEY_DATA: `${folder}/.parley`, PARLEY_EMBEDDINGS: "test:64" }, folder);
  const runs = await openRuns(config.runs);
  try {
    const dag = builtInDags(config).get("nightly")!;
    const params = { messages: [`${folder}/more.ndjson`], campaigns: [], events: [] };
    return (await createRun({ dag, runs, clock: systemClock, params })).run_id;
  } finally {
    await runs.close();
  }
}
