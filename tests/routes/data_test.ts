import assert from "node:assert/strict";
import type { QuarantinedRow } from "../../lib/core/types.ts";
import { addRun } from "../fixtures/runs.ts";
import { emptyWorld, fails } from "../lib/recommend/world.ts";
import { DAG, pageTest, see, send, tokenOf } from "./pages.ts";

const HOUR = 3_600_000;
const entry = { namespace: "file", rows: 7, bytes: null, version: "v-9", fields: ["user_id"], quality: {} };

pageTest(
  "every page of data says what to do while there is nothing",
  async ({ app }) => {
    for (const path of ["/data", "/data/quarantine", "/anomalies", "/engagement", "/explain", "/stores"]) {
      const { status, html } = await see(app, path);
      assert.equal(status, 200, path);
      assert.match(html, /class="empty"|All 6 stores answer/, path);
    }
    const { html } = await see(app, "/explain?user_id=ann");
    assert.match(html, /No data has been published yet: run/);
  },
  {},
  {},
  emptyWorld,
);

pageTest("datasets are linked by the tasks that write and read them", async ({ app, world, clock }) => {
  const { runs } = world.stores;
  const at = clock.now() - HOUR;
  await addRun(runs, {
    dag_id: DAG.id,
    run_id: "r1",
    at,
    task_id: "first",
    lineage: [{ ...entry, direction: "input", name: "/in/messages.ndjson" }, {
      ...entry,
      direction: "output",
      name: "/data/documents.db/messages",
    }, { ...entry, direction: "output", name: "/artifacts/r1/spool.ndjson" }],
  });
  const { html } = await see(app, "/data");
  assert.match(html, /<title>documents\.db\/messages: file, 7 rows<\/title>/);
  assert.match(html, /<title>in\/messages\.ndjson: file, 7 rows<\/title>/);
  assert.doesNotMatch(html, /spool/, "what a run's tasks leave each other is no dataset");
  const path = `/data?${new URLSearchParams({ dataset: "file /data/documents.db/messages" })}`;
  const { html: one } = await see(app, path);
  assert.match(one, /Uses of one dataset[\s\S]*<a href="\/runs\/r1">r1<\/a>[\s\S]*writes[\s\S]*v-9/);
  assert.match((await see(app, "/data?dataset=nowhere")).html, /neither read nor wrote such a dataset/);
});

pageTest("of many sources the newest are drawn, and the others counted", async ({ app, world, clock }) => {
  const lineage = Array.from({ length: 400 }, (_, i) => ({
    ...entry,
    direction: "input" as const,
    name: `/in/day-${i}.ndjson`,
  }));
  const run = { dag_id: DAG.id, run_id: "r1", at: clock.now() - HOUR, task_id: "first", lineage };
  await addRun(world.stores.runs, run);
  const { html } = await see(app, "/data");
  assert.equal([...html.matchAll(/<title>in\/day-/g)].length, 4);
  assert.match(html, /<title>396 more sources<\/title>/);
});

pageTest(
  "rows are those of the newest check, with those before as a line",
  async ({ app, world, clock }) => {
    const survey = (messages: number, stores = {}) => ({
      survey: { counts: { messages }, model: null, centre: null, ...stores },
    });
    // The older one is of a Parley that told no store's counts.
    const stores = {
      documents: { messages: 4_200, users: 12, quarantined: 7 },
      graph: { users: 12, engaged: 31, conversations: 9, led_to: 17 },
    };
    for (const [i, n] of [400, 4_200].entries()) {
      await addRun(world.stores.runs, {
        dag_id: CHECKED.id,
        run_id: `c${i}`,
        at: clock.now() - (3 - i) * HOUR,
        task_id: "check",
        output: survey(n, i === 0 ? {} : { stores }),
      });
    }
    const { html } = await see(app, "/data");
    assert.match(html, /<dt>messages<\/dt><dd><span class="value">4,200</);
    assert.match(html, /messages in the last 2 counts: 400, 4,200/);
    assert.match(
      html,
      /<dt>refused rows<\/dt><dd><span class="value">7<\/span><span class="note">the first count</,
    );
    const page = await see(app, "/stores");
    assert.match(page.html, /4,200 messages<\/div><div class="nowrap">12 users<\/div>/);
    assert.match(page.html, /31 engagements/);
    assert.match(page.html, /9 conversations/);
    assert.match(page.html, /17 engagements in conversations/);
    assert.equal(page.html.match(/not counted/g)?.length, 4, "analytics, vectors, cache and runs");
  },
  {},
  {
    dags: new Map([["checked", {
      ...DAG,
      id: "checked",
      tasks: [{ id: "check", role: "check", run: () => Promise.resolve() }],
    }]]),
  },
);
const CHECKED = { id: "checked" };

const KEYS = {
  keys: [
    { key: "reader-key-of-16", scopes: ["read"] },
    { key: "admin-key-of-16+", scopes: ["admin"] },
  ],
} as const;

const SECRET = "my blood pressure is 190";
const refused = (rest: Partial<QuarantinedRow>): QuarantinedRow => ({
  run_id: "r1",
  kind: "messages",
  source: "/in/messages.ndjson",
  position: 3,
  reason: "timestamp is not a time",
  raw: JSON.stringify({ message: SECRET }),
  at: "2025-03-09T00:00:00.000Z",
  ...rest,
});

async function logIn(app: Parameters<typeof send>[0], key: string) {
  const given = (await send(app, "/login", { key, to: "/" })).headers.get("set-cookie") ?? "";
  return { cookie: given.split(";")[0]! };
}

pageTest(
  "the text of a refused row is for admins alone, and only where they ask for it",
  async ({ app, world, log }) => {
    await world.stores.documents.quarantine({ rows: [refused({})] });
    const [reader, admin] = [await logIn(app, "reader-key-of-16"), await logIn(app, "admin-key-of-16+")];
    const place = { run_id: "r1", kind: "messages", source: "/in/messages.ndjson", position: "3" };
    for (const headers of [reader, admin]) {
      const { html } = await see(app, "/data/quarantine", headers);
      assert.match(html, /timestamp is not a time/);
      assert.doesNotMatch(html, /blood pressure/);
    }
    const csrf = await tokenOf(app, "/data/quarantine", reader);
    const denied = await send(app, "/data/quarantine", { csrf, ...place }, reader);
    assert.equal(denied.status, 403);
    assert.doesNotMatch(await denied.text(), /blood pressure/);
    const own = await tokenOf(app, "/data/quarantine", admin);
    const shown = await send(app, "/data/quarantine", { csrf: own, ...place }, admin);
    assert.equal(shown.status, 200);
    assert.match(await shown.text(), /blood pressure/);
    assert.equal(shown.headers.get("cache-control"), "no-store");
    for (const wrong of [{ ...place, position: "x" }, { ...place, kind: "secrets" }]) {
      assert.equal((await send(app, "/data/quarantine", { csrf: own, ...wrong }, admin)).status, 400);
    }
    const gone = await send(app, "/data/quarantine", { csrf: own, ...place, position: "4" }, admin);
    assert.equal(gone.status, 404);
    assert.doesNotMatch(JSON.stringify(log), /blood|messages\.ndjson/);
  },
  KEYS,
);

pageTest(
  "refused rows are counted by reason, with what to do, and lead to the rows",
  async ({ app, world }) => {
    const lacking = "user_id is missing: the row has user, text; give user as user_id";
    const many = Array.from({ length: 7 }, (_, i) => refused({ position: i, reason: lacking }));
    await world.stores.documents.quarantine({
      rows: [...many, refused({ position: 9, reason: "of another kind" })],
    });
    const { html } = await see(app, "/data/quarantine?run=r1&page=1");
    const table = html.slice(html.indexOf('<table id="reasons"'), html.indexOf("</table>"));
    assert.match(
      table,
      />7<[\s\S]*the row has user, text[\s\S]*Give the fields the names[\s\S]*>1<[\s\S]*of another kind/,
    );
    const link = /href="([^"]*reason=user_id[^"]*)"/.exec(table)![1]!.replaceAll("&amp;", "&");
    const { html: of } = await see(app, link);
    assert.equal(of.match(/messages\.ndjson:\d/g)?.length, 7);
    assert.doesNotMatch(of, /of another kind/);
  },
);

pageTest(
  "refused rows are downloaded with their text, by admins alone",
  async ({ app, world, log }) => {
    const many = Array.from(
      { length: 1_203 },
      (_, i) => refused({ position: i + 1, reason: `reason ${i % 2}` }),
    );
    await world.stores.documents.quarantine({ rows: many });
    const [reader, admin] = [await logIn(app, "reader-key-of-16"), await logIn(app, "admin-key-of-16+")];
    const to = "/data/quarantine/download";
    const denied = await send(app, to, { csrf: await tokenOf(app, "/data/quarantine", reader) }, reader);
    assert.equal(denied.status, 403);
    const csrf = await tokenOf(app, "/data/quarantine", admin);
    const rowsOf = async (filter: Record<string, string>) => {
      const response = await send(app, to, { csrf, ...filter }, admin);
      assert.equal(response.headers.get("content-type"), "application/x-ndjson");
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.match(response.headers.get("content-disposition") ?? "", /^attachment; /);
      return (await response.text()).split("\n").slice(0, -1).map((line) => JSON.parse(line));
    };
    assert.deepEqual(await rowsOf({}), many);
    assert.equal((await rowsOf({ reason: "reason 1" })).length, 601);
    assert.deepEqual(await rowsOf({ run_id: "none" }), []);
    assert.doesNotMatch(JSON.stringify(log), /blood/);
  },
  KEYS,
);

pageTest("refused rows are found by run, kind and source, page by page", async ({ app, world }) => {
  const many = Array.from({ length: 60 }, (_, i) => refused({ position: i + 1, reason: `reason ${i + 1}.` }));
  const other = refused({ run_id: "r2", kind: "events", source: "e.ndjson", reason: "of events" });
  await world.stores.documents.quarantine({ rows: [...many, other] });
  const rowsOf = (html: string) => html.slice(html.indexOf('<table id="rows"'));
  const first = rowsOf((await see(app, "/data/quarantine?run=r1")).html);
  assert.match(first, /reason 50\./);
  assert.doesNotMatch(first, /reason 51\.|of events/);
  assert.match(first, /<a rel="next" href="\/data\/quarantine\?run=r1&amp;page=2">/);
  assert.match((await see(app, "/data/quarantine?run=r1&page=2")).html, /reason 51\.[\s\S]*reason 60\./);
  for (const query of ["kind=events", "source=e.ndjson", "run=r2"]) {
    const { html } = await see(app, `/data/quarantine?${query}`);
    assert.match(html, /of events/);
    assert.doesNotMatch(html, /reason 1\./);
  }
});

pageTest(
  "the page of the stores shows one server once, and a store of it that is down apart",
  async ({ app, world }) => {
    const names = async () => {
      const { html } = await see(app, "/stores");
      const table = html.slice(html.indexOf('<table id="stores"'), html.indexOf("</table>"));
      return [...table.matchAll(/<t[dh][^>]*>((?:vectors|graph|analytics|documents|cache|runs)[a-z, ]*)</g)]
        .map(([, text]) => text);
    };
    assert.deepEqual(await names(), ["vectors, graph, documents, runs", "analytics", "cache"]);
    await world.stores.graph.close();
    assert.deepEqual(await names(), ["vectors, documents, runs", "graph", "analytics", "cache"]);
    await world.stores.documents.close();
    Object.assign(world.stores.documents, { health: () => world.stores.graph.health() });
    assert.deepEqual(await names(), ["vectors, runs", "graph, documents", "analytics", "cache"]);
    const { html } = await see(app, "/stores");
    assert.match(html, /graph, documents\s*do not answer/);
    assert.match(html, /check what PARLEY_STORES names/);
  },
  { shared_stores: ["vectors", "graph", "documents", "runs"] },
);

pageTest("pages of data stand while any one store is down, and say which", async ({ app, world }) => {
  for (const name of ["documents", "vectors", "graph", "cache", "analytics"] as const) {
    const { stores } = world;
    if (name === "vectors") Object.assign(stores[name], { health: fails, forModel: fails, models: fails });
    else if (name === "cache") {
      Object.assign(stores[name], { health: fails, get: fails, set: fails, tryLock: fails });
    } else await stores[name].close();
    for (
      const path of [
        "/data",
        "/data/quarantine",
        "/anomalies",
        "/engagement",
        "/explain?user_id=ann",
        "/stores",
      ]
    ) {
      assert.equal((await see(app, path)).status, 200, `${path} without ${name}`);
    }
    const { html } = await see(app, "/stores");
    assert.match(html, new RegExp(`<strong>${name}</strong>`));
  }
  assert.match((await see(app, "/engagement?days=7")).html, /The analytics store did not answer/);
  assert.match((await see(app, "/data/quarantine")).html, /The documents store did not answer/);
  await world.stores.runs.close();
  for (const path of ["/data", "/anomalies", "/stores"]) {
    assert.equal((await see(app, path)).status, 200, `${path} without any store`);
  }
});
