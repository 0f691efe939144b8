import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import type { ApiKey } from "../../lib/core/types.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import { createApp } from "../../routes/app.ts";
import { iso } from "../../lib/core/clock.ts";
import { addRun, runOf, T0 } from "../fixtures/runs.ts";
import { addFailedRun, BROWSER, DAG, pageTest, see, send, tokenOf } from "./pages.ts";

pageTest("GET / is a page for browsers and an index for machines", async ({ app }) => {
  const { response, html } = await see(app, "/");
  assert.match(html, /^<!doctype html><html lang="en">.*<h1>Overview<\/h1>/s);
  assert.equal(response.headers.get("vary"), "accept");
  assert.equal((await (await app.request("/")).json()).name, "Parley");
});

const PATHS = [
  "/",
  "/pipelines",
  `/pipelines/${DAG.id}`,
  "/runs",
  "/runs?state=failed&dag=small",
  "/nowhere",
];

pageTest("every page carries a strict policy and nothing inline", async ({ app }) => {
  for (const path of PATHS) {
    const { response, html } = await see(app, path);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'.*form-action 'self'.*frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.doesNotMatch(html, / style="|<style|<script>| on[a-z]+="|(?:src|href)="(?:https?:)?\/\//);
  }
});

pageTest("no page has an id twice", async ({ app, world, clock }) => {
  await addFailedRun(world.stores.runs, "bad", clock.now() - 3_600_000);
  for (
    const path of [
      ...PATHS,
      "/runs/bad",
      "/data",
      "/anomalies",
      "/engagement",
      "/evaluation",
      "/experiments",
      "/explain?user_id=ann",
      "/playground",
      "/stores",
    ]
  ) {
    const ids = [...(await see(app, path)).html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    assert.deepEqual(ids.filter((id, i) => ids.indexOf(id) < i), [], path);
  }
});

pageTest("assets are named by their content and cached permanently", async ({ app }) => {
  const { html } = await see(app, "/");
  const paths = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  assert.ok(new Set(paths).size >= 4);
  for (const path of paths) {
    const response = await app.request(path);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("cache-control") ?? "", /immutable/);
    const etag = response.headers.get("etag") ?? "";
    await response.body?.cancel();
    assert.equal((await app.request(path, { headers: { "if-none-match": etag } })).status, 304);
  }
  assert.equal((await app.request("/assets/style.000000000000.css")).status, 404);
});

pageTest(
  "a path that is not there is a page for browsers and does not quote the path",
  async ({ app, log }) => {
    for (const path of ["/secret-user", "/runs/secret-user", "/pipelines/secret-user"]) {
      const { status, html } = await see(app, path);
      assert.equal(status, 404);
      assert.match(html, /<h1>Not found<\/h1>/);
      assert.doesNotMatch(html, /secret-user/);
    }
    assert.doesNotMatch(JSON.stringify(log), /secret-user/);
    assert.deepEqual(log.map(({ route }) => route), ["*", "/runs/:run_id", "/pipelines/:dag_id"]);
  },
);

pageTest("a page that fails is a page, and its log entry has the cause", async ({ app, world, log }) => {
  await world.stores.runs.close();
  const { status, html } = await see(app, "/runs");
  assert.equal(status >= 500, true);
  assert.match(html, /The log of the service has more, under <code>urn:uuid:/);
  assert.ok(log.at(-1)?.error);
});

pageTest("an open service answers to loopback names only", async ({ app }) => {
  for (const host of ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"]) {
    assert.equal((await see(app, "/", { host })).status, 200);
  }
  for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000"]) {
    const { status, html } = await see(app, "/", { host });
    assert.equal(status, 403, host);
    assert.match(html, /answers to loopback names only/);
  }
});

const RUN = `/pipelines/${DAG.id}/run`;

pageTest("a form from another site changes nothing", async ({ app, world }) => {
  const csrf = await tokenOf(app, `/pipelines/${DAG.id}`);
  for (
    const headers of [
      { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
      { origin: "null" },
      { origin: "http://localhost:9999", "sec-fetch-site": "same-site" },
      { "sec-fetch-site": "cross-site" },
    ]
  ) {
    assert.equal((await send(app, RUN, { csrf }, headers)).status, 403, JSON.stringify(headers));
  }
  const { origin: _, ...silent } = { ...BROWSER, origin: "" };
  const unnamed = await app.request(RUN, {
    method: "POST",
    body: new URLSearchParams({ csrf }).toString(),
    headers: { ...silent, "content-type": "application/x-www-form-urlencoded" },
  });
  assert.equal(unnamed.status, 403);
  for (const token of ["", "0".repeat(64), csrf.slice(1)]) {
    assert.equal((await send(app, RUN, { csrf: token })).status, 403);
  }
  assert.equal((await send(app, RUN, { csrf }, { "content-type": "text/plain" })).status, 400);
  assert.equal((await send(app, RUN, { csrf, "param-label": "x".repeat(70_000) })).status, 413);
  assert.deepEqual(await world.stores.runs.runs({ limit: 9 }), []);
  assert.equal((await send(app, RUN, { csrf })).status, 303);
  assert.equal((await world.stores.runs.runs({ limit: 9 })).length, 1);
});

const KEYS: readonly ApiKey[] = [
  { key: "reader-key-of-16", scopes: ["read"] },
  { key: "writer-key-of-16", scopes: ["write"] },
  { key: "admin-key-of-16+", scopes: ["admin"] },
];
const keys = { keys: KEYS };

/** Logs in; the cookie as the browser sends it back. */
async function logIn(app: Parameters<typeof send>[0], key: string, headers: Record<string, string> = {}) {
  const response = await send(app, "/login", { key, to: "/runs?state=failed" }, headers);
  const given = response.headers.get("set-cookie") ?? "";
  return { response, given, cookie: given.split(";")[0] ?? "" };
}

pageTest("a service with keys redirects a client without session to the login, and back", async ({ app }) => {
  const { response } = await see(app, "/runs?state=failed");
  assert.equal(response.status, 303);
  assert.equal(response.headers.get("location"), "/login?to=%2Fruns%3Fstate%3Dfailed");
  assert.match((await see(app, "/login?to=%2Fruns")).html, /name="to" value="\/runs"/);
  for (const to of ["https://evil.example/", "//evil.example", "/\\evil.example", "runs"]) {
    assert.match((await see(app, `/login?to=${encodeURIComponent(to)}`)).html, /name="to" value="\/"/, to);
  }
  const { response: done, given } = await logIn(app, "reader-key-of-16");
  assert.equal(done.headers.get("location"), "/runs?state=failed");
  assert.match(given, /^parley_session=.*Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
  assert.doesNotMatch(given, /reader-key/);
}, keys);

pageTest("a session over https has a cookie that stays with it", async ({ app }) => {
  const { given } = await logIn(app, "reader-key-of-16", { "x-forwarded-proto": "https" });
  assert.match(given, /^__Host-parley_session=.*; HttpOnly; Secure; SameSite=Strict$/);
}, keys);

pageTest(
  "a reader sees and may not act; an admin may; logging out ends it",
  async ({ app, world, clock }) => {
    const reader = { cookie: (await logIn(app, "reader-key-of-16")).cookie };
    const path = `/pipelines/${DAG.id}`;
    const NEEDS = /This needs a key with the scope <code>admin<\/code>/g;
    const { html } = await see(app, path, reader);
    assert.match(html, /disabled=""[^>]*>Queue a run</);
    assert.equal(html.match(NEEDS)?.length, 4, "run, pause, backfill, clear");
    await addFailedRun(world.stores.runs, "failed", clock.now());
    assert.equal(
      (await see(app, "/runs/failed", reader)).html.match(NEEDS)?.length,
      3,
      "the run, its mark, its tasks",
    );
    assert.equal((await send(app, RUN, { csrf: await tokenOf(app, path, reader) }, reader)).status, 403);
    const admin = { cookie: (await logIn(app, "admin-key-of-16+")).cookie };
    const csrf = await tokenOf(app, path, admin);
    assert.doesNotMatch((await see(app, path, admin)).html, NEEDS);
    assert.equal((await send(app, RUN, { csrf: await tokenOf(app, path, reader) }, admin)).status, 403);
    assert.equal((await send(app, RUN, { csrf }, admin)).status, 303);
    assert.equal((await world.stores.runs.runs({ limit: 9 })).length, 2);
    const out = await send(app, "/logout", { csrf }, admin);
    assert.match(out.headers.get("set-cookie") ?? "", /^parley_session=; Max-Age=0/);
  },
  keys,
);

const isLoggedIn = async (app: Hono, cookie: string) => (await see(app, "/", { cookie })).status === 200;

pageTest(
  "logging out ends the session on every replica, and no other session",
  async ({ app, world, clock }) => {
    const replica = await createApp({
      stores: world.stores,
      dags: [],
      clock,
      version: "1.2.3",
      ...keys,
      log: null,
      dashboard: { dags: new Map(), runs: world.stores.runs, closing: new AbortController().signal },
    });
    const [mine, other] = [await logIn(app, "admin-key-of-16+"), await logIn(app, "admin-key-of-16+")];
    const csrf = await tokenOf(app, `/pipelines/${DAG.id}`, { cookie: mine.cookie });
    assert.equal(await isLoggedIn(replica, mine.cookie), true);
    assert.equal((await send(app, "/logout", { csrf }, { cookie: mine.cookie })).status, 303);
    for (const each of [app, replica]) {
      assert.equal(await isLoggedIn(each, mine.cookie), false);
      assert.equal(await isLoggedIn(each, other.cookie), true);
    }
    assert.equal((await send(app, RUN, { csrf }, { cookie: mine.cookie })).status, 401);
  },
  keys,
);

pageTest("logging out says so if the run store is down, and can be done again", async ({ app, world }) => {
  const { runs } = world.stores;
  const { cookie } = await logIn(app, "admin-key-of-16+");
  const csrf = await tokenOf(app, `/pipelines/${DAG.id}`, { cookie });
  const down = () => Promise.reject(new ParleyError("unavailable", "the run store is down"));
  const { endSession, isSessionEnded } = runs;
  Object.assign(runs, { endSession: down, isSessionEnded: down });
  const failed = await send(app, "/logout", { csrf }, { cookie });
  assert.equal(failed.status, 503);
  assert.equal(failed.headers.get("set-cookie"), null);
  assert.equal(await isLoggedIn(app, cookie), true);
  Object.assign(runs, { endSession, isSessionEnded });
  assert.equal((await send(app, "/logout", { csrf }, { cookie })).status, 303);
  Object.assign(runs, { isSessionEnded: down });
  assert.equal(await isLoggedIn(app, cookie), false, "this process knows it still");
}, keys);

pageTest(
  "a session ends after 12 hours, with its key, and when it was tampered with",
  async ({ app, clock }) => {
    const { cookie } = await logIn(app, "reader-key-of-16");
    assert.equal((await see(app, "/", { cookie })).status, 200);
    for (
      const broken of [
        cookie.replace(/=(.)/, "=0"),
        `${cookie}x`,
        cookie.replace(/\.\d+\./, ".9999999999999."),
      ]
    ) {
      assert.equal((await see(app, "/", { cookie: broken })).status, 303, broken);
    }
    clock.advance(12 * 3_600_000 + 1);
    assert.equal((await see(app, "/", { cookie })).status, 303);
  },
  keys,
);

pageTest("a wrong key gets no session", async ({ app }) => {
  await Promise.all(["", "reader-key-of-17"].map(async (key) => {
    const { response, given } = await logIn(app, key);
    assert.equal(response.status, 401);
    assert.equal(given, "");
    assert.match(await response.text(), /role="alert">This is not a key of this service/);
  }));
}, keys);

pageTest("wrong keys wait for their answer, and keep no right one out", async ({ app }) => {
  const start = performance.now();
  const wrong = await Promise.all(Array.from({ length: 50 }, () => logIn(app, "reader-key-of-17")));
  // A timer may be a little early.
  assert.ok(performance.now() - start > 900);
  assert.deepEqual(new Set(wrong.map(({ response }) => response.status)), new Set([401]));
  assert.equal((await logIn(app, "reader-key-of-16")).response.status, 303);
}, keys);

pageTest("the list of runs names the pipeline of each", async ({ app, world, clock }) => {
  await addFailedRun(world.stores.runs, "outside__1", clock.now());
  const { html } = await see(app, "/runs");
  assert.match(
    html,
    /outside__1<\/a><\/th><td data-head="Pipeline"[^>]*><a href="\/pipelines\/small">small<\/a>/,
  );
});

/** Adds so many runs, `run-0` the newest. */
async function addRuns(runs: RunStore, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const created_at = new Date(T0 - 1_000 * n).toISOString();
    await runs.create({ run: runOf(`run-${n}-`, { dag_id: DAG.id, created_at }), tasks: [] });
  }
}

for (
  const [path, size] of [["/runs", 50], [`/pipelines/${DAG.id}`, 25]] as const
) {
  pageTest(
    `${path} lists ${size} runs a page, newest first, and none twice or never`,
    async ({ app, world }) => {
      await addRuns(world.stores.runs, size);
      const list = async (query: string) => {
        const { html } = await see(app, `${path}${query}`);
        const grid = html.slice(html.search(/<table id="runs"|id="grid"/));
        const links = new Set([...grid.matchAll(/href="\/runs\/run-(\d+)-/g)].map(([, n]) => Number(n)));
        return { runs: [...links].sort((a, b) => a - b), next: html.includes('rel="next"') };
      };
      const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);
      assert.deepEqual(await list(""), { runs: range(0, size), next: false });
      await world.stores.runs.create({
        run: runOf(`run-${size}-`, { dag_id: DAG.id, created_at: new Date(T0 - 1e6).toISOString() }),
        tasks: [],
      });
      assert.deepEqual(await list(""), { runs: range(0, size), next: true });
      assert.deepEqual(await list("?page=2"), { runs: [size], next: false });
      assert.deepEqual(await list("?page=3"), { runs: [], next: false });
    },
  );
}

pageTest("a list ends with its last page, whichever page is requested", async ({ app }) => {
  for (
    const [path, last] of [
      ["/runs", 200],
      [`/pipelines/${DAG.id}`, 400],
      ["/data/quarantine", 200],
      ["/anomalies", 100],
    ] as const
  ) {
    for (const [asked, shown] of [[last - 1, last - 1], [last, last], [last + 1, last]] as const) {
      assert.match((await see(app, `${path}?page=${asked}`)).html, new RegExp(`<span>Page ${shown}</span>`));
    }
  }
});

pageTest(
  "a pipeline's page and the list of runs show only what failed, or some days, as the address says",
  async ({ app, world }) => {
    const { runs } = world.stores;
    await addFailedRun(runs, "bad", T0);
    await addRun(runs, { run_id: "good", dag_id: DAG.id, at: T0, task_id: "first" });
    for (const path of [`/pipelines/${DAG.id}`, "/runs"]) {
      const shown = async (query: string) => {
        const { html } = await see(app, `${path}${query}`);
        return ["bad", "good"].filter((id) => html.includes(`href="/runs/${id}"`));
      };
      assert.deepEqual(await shown(""), ["bad", "good"]);
      assert.match((await see(app, path)).html, /href="[^"]*\?state=failed">Only what failed/);
      assert.deepEqual(await shown("?state=failed"), ["bad"]);
      const day = iso(T0).slice(0, 10);
      assert.deepEqual(await shown(`?from=${day}&to=${day}`), ["bad", "good"]);
      assert.deepEqual(await shown("?from=2999-01-01"), []);
      assert.deepEqual(await shown("?from=nonsense&state=nonsense"), ["bad", "good"]);
    }
  },
);
