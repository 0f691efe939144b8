import assert from "node:assert/strict";
import { builtInDags, engine, executeQueued } from "../commands/engine.ts";
import { embedderOptions } from "../commands/models.ts";
import { openServing } from "../commands/services.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createApp } from "../routes/app.ts";
import { type Flow, withFlow, writeRows } from "./fixtures/flow.ts";
import { see, send, tokenOf } from "./routes/pages.ts";

/** Runs a test with a serving Parley, and a function that executes queued runs. */
async function withSite(
  body: (
    options: { flow: Flow; app: Awaited<ReturnType<typeof createApp>>; execute: () => Promise<unknown> },
  ) => Promise<
    void
  >,
  env: Record<string, string> = {},
): Promise<void> {
  await withFlow(async (flow) => {
    const { config, runs, services } = flow;
    const stores = await openServing(config);
    const dashboard = { dags: builtInDags(config), runs, closing: new AbortController().signal };
    const app = await createApp({
      stores: stores.value,
      clock: systemClock,
      version: "1.2.3",
      keys: [],
      answer_ms: 30_000,
      log: null,
      dashboard,
    });
    const execute = () => executeQueued(engine({ config, runs, services }), new AbortController().signal);
    try {
      await body({ flow, app, execute });
    } finally {
      await stores.close();
    }
  }, env);
}

const PATHS = ["/etc/passwd", "-", "/proc/self/environ", ".", "/"];
const ELSEWHERE = [
  "https://elsewhere.example/v1/embeddings?model=m",
  "tei+http://169.254.169.254",
  "onnx:/etc",
];

Deno.test("a form starts a run on no path and no model that is not configured", () =>
  withSite(async ({ flow, app }) => {
    const inbox = `${flow.input}/inbox`;
    const secret = writeRows(flow, "secret.ndjson", ["a secret"]);
    await Deno.symlink(secret, `${inbox}/link.ndjson`);
    const escapes = [secret, `${inbox}/link.ndjson`, `${inbox}/../secret.ndjson`, inbox, `${inbox}/`];
    const dates = { from: "2026-05-01", to: "2026-05-01" };
    const forged = [
      ...[...PATHS, ...escapes].flatMap((path) =>
        ["messages", "campaigns", "events"].map((kind) => ["nightly", `param-${kind}`, path] as const)
      ),
      ...ELSEWHERE.map((model) => ["reembed", "param-model", model] as const),
    ];
    const tokens = {
      nightly: await tokenOf(app, "/pipelines/nightly"),
      reembed: await tokenOf(app, "/pipelines/reembed"),
    };
    for (const [dag, name, value] of forged) {
      for (const action of dag === "nightly" ? ["run", "backfill"] : ["run"]) {
        const fields = { csrf: tokens[dag], ...dates, [name]: value };
        const response = await send(app, `/pipelines/${dag}/${action}`, fields);
        const text = await response.text();
        assert.equal(response.status, 400, `${action} ${name}=${value}`);
        assert.match(
          text,
          dag === "nightly" ? /PARLEY_(MESSAGES|CAMPAIGNS|EVENTS), .*PARLEY_INBOX/ : /PARLEY_MODELS/,
        );
      }
    }
    assert.deepEqual(await flow.runs.runs({ limit: 1 }), []);
    const { html } = await see(app, "/pipelines/nightly");
    assert.ok(!html.includes("link.ndjson"));
  }));

Deno.test("a form starts a run on configured sources, and a file that became a link since is not read", () =>
  withSite(async ({ flow, app, execute }) => {
    const row = { user_id: "ann", message: "hello", timestamp: "2026-05-01T10:00:00Z" };
    const [good, bad] = [writeRows(flow, "inbox/a.ndjson", [row]), writeRows(flow, "inbox/b.ndjson", [row])];
    const csrf = await tokenOf(app, "/pipelines/nightly");
    for (const path of [good, bad]) {
      const queued = await send(app, "/pipelines/nightly/run", { csrf, "param-messages": path });
      assert.equal(queued.status, 303);
    }
    const secret = writeRows(flow, "secret.ndjson", ["a secret"]);
    await Deno.remove(bad);
    await Deno.symlink(secret, bad);
    await execute();
    const runs = await flow.runs.runs({ limit: 9 });
    assert.deepEqual(runs.map(({ state }) => state).sort(), ["failed", "success"]);
    const { run_id, error } = runs.find(({ state }) => state === "failed")!;
    assert.match(error ?? "", /b\.ndjson is a link, and links in PARLEY_INBOX are not followed/);
    const refused = await flow.services.documents.quarantined({ run_id, limit: 9, offset: 0 });
    assert.ok(!JSON.stringify(refused).includes("a secret"));
    const retried = await send(app, `/runs/${run_id}/retry`, { csrf });
    assert.equal(retried.status, 303, "a run keeps its params");
    await execute();
    assert.equal((await flow.runs.snapshot({ run_id }))!.run.state, "failed");
  }));

Deno.test("a form offers the configured models, without secrets in their URLs", () =>
  withSite(async ({ flow, app }) => {
    const { html } = await see(app, "/pipelines/reembed");
    const [, field] = /<select id="param-model"[^>]*>(.*?)<\/select>/s.exec(html)!;
    const options = [...field!.matchAll(/<option[^>]*>([^<]*)</g)].map(([, text]) => text);
    assert.deepEqual(options, ["test:64", "https://127.0.0.1:1/v1?model=m&amp;…"]);
    const csrf = await tokenOf(app, "/pipelines/reembed");
    const model = "https://127.0.0.1:1/v1?model=m&…";
    const queued = await send(app, "/pipelines/reembed/run", { csrf, "param-model": model });
    assert.equal(queued.status, 303);
    const [run] = await flow.runs.runs({ limit: 1 });
    assert.deepEqual(run!.params, { model, drop_old: false });
    const { url } = embedderOptions(flow.config, model);
    assert.equal(url, "https://127.0.0.1:1/v1?model=m&api_key=s3cret");
  }, { PARLEY_MODELS: "https://127.0.0.1:1/v1?model=m&api_key=s3cret" }));

Deno.test("an inbox that cannot be read is reported on the page, and no run is given anything of it", () =>
  withSite(async ({ flow, app }) => {
    await Deno.remove(`${flow.input}/inbox`);
    assert.equal((await see(app, "/pipelines/nightly")).status, 200, "no run exists yet");
    await Deno.writeTextFile(`${flow.input}/inbox`, "no folder");
    const { status, html } = await see(app, "/pipelines/nightly");
    assert.equal(status, 200);
    assert.match(html, /from PARLEY_MESSAGES, .* \([^)]*inbox cannot be read: .*\), which name none/);
    const csrf = await tokenOf(app, "/pipelines/nightly");
    const forged = { csrf, "param-messages": `${flow.input}/inbox/a.ndjson` };
    assert.equal((await send(app, "/pipelines/nightly/run", forged)).status, 503);
  }));
