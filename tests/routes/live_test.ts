import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { newTask } from "../../lib/dag/state.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import { runOf } from "../fixtures/runs.ts";
import { until } from "../fixtures/until.ts";
import { addFailedRun, BROWSER, DAG, pageTest, see, send } from "./pages.ts";

const line = (line: string) => ({ task_id: "first", attempt: 1, at: "2026-05-01T00:00:00.000Z", line });

async function addRun(runs: RunStore, run_id: string): Promise<void> {
  const run = runOf(run_id, { dag_id: DAG.id, dag_version: DAG.version });
  await runs.create({ run, tasks: DAG.tasks.map(({ id }) => newTask(id)) });
}

interface Event {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** Reads events until one satisfies, then hangs up. */
async function follow(
  app: Hono,
  path: string,
  isLast: (event: Event) => boolean,
  headers: Record<string, string> = {},
): Promise<Event[]> {
  const hangUp = new AbortController();
  const response = await app.request(path, { headers: { ...BROWSER, ...headers }, signal: hangUp.signal });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const events: Event[] = [];
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    text += value ?? "";
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    events.push(...parts.map(parse));
    if (done || events.some(isLast)) break;
  }
  await reader.cancel();
  hangUp.abort();
  return events;
}

function parse(text: string): Event {
  const fields = text.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line) ?? []);
  const of = (name: string) => fields.filter(([, field]) => field === name).map(([, , value]) => value ?? "");
  return { event: of("event")[0] ?? "", id: of("id")[0], data: of("data").join("\n") };
}

const idOf = ({ event, data }: Event) => event === "fragment" ? JSON.parse(data).id : event;

pageTest("a run's events bring each part once, its lines, and its end", async ({ app, world }) => {
  const { runs } = world.stores;
  await addRun(runs, "r1");
  await runs.appendLogs({ run_id: "r1", lines: [line("one"), line("<b>two</b>")] });
  const open = await follow(app, "/runs/r1/events", ({ event }) => event === "lines");
  assert.deepEqual(open.map(idOf), ["run-status", "summary", "timeline", "tasks", "lineage", "lines"]);
  assert.match(open.at(-1)!.data, /&lt;b&gt;two/);
  await runs.requestCancel({ run_id: "r1" });
  const ended = await follow(app, "/runs/r1/events", ({ event }) => event === "end");
  assert.match(ended.find((each) => idOf(each) === "summary")!.data, /cancelled/);
  assert.equal(ended.at(-1)!.event, "end");
});

pageTest("a browser that comes back gets only the lines that it has not", async ({ app, world }) => {
  const { runs } = world.stores;
  await addRun(runs, "r1");
  await runs.appendLogs({ run_id: "r1", lines: [line("one"), line("two")] });
  const isLines = ({ event }: Event) => event === "lines";
  const [first] = (await follow(app, "/runs/r1/events", isLines)).filter(isLines);
  await runs.appendLogs({ run_id: "r1", lines: [line("three")] });
  for (
    const [path, headers] of [
      ["/runs/r1/events", { "last-event-id": first!.id! }],
      [`/runs/r1/events?after=${first!.id}`, {}],
    ] as const
  ) {
    const [next] = (await follow(app, path, isLines, headers)).filter(isLines);
    assert.match(next!.data, /three/);
    assert.doesNotMatch(next!.data, /two/);
  }
});

pageTest("lines are those of the task that is looked at", async ({ app, world }) => {
  const { runs } = world.stores;
  await addRun(runs, "r1");
  await runs.appendLogs({ run_id: "r1", lines: [line("one"), { ...line("other"), task_id: "second" }] });
  const events = await follow(app, "/runs/r1/events?task=second", ({ event }) => event === "lines");
  assert.doesNotMatch(events.at(-1)!.data, /one/);
  const { html } = await see(app, "/runs/r1?task=second&attempt=1");
  assert.match(html, /other/);
  assert.doesNotMatch(html, />one</);
  assert.match(html, /data-live="\/runs\/r1\/events\?task=second&amp;attempt=1"/);
});

const closing = new AbortController();

pageTest(
  "streams end when the process stops",
  async ({ app, world }) => {
    await addRun(world.stores.runs, "r1");
    const events = await follow(app, "/runs/r1/events", (event) => {
      if (idOf(event) === "tasks") closing.abort();
      return false;
    });
    assert.ok(events.length >= 4);
  },
  {},
  { closing: closing.signal },
);

pageTest("a pipeline's events bring its graph and its grid", async ({ app, world }) => {
  await addRun(world.stores.runs, "r1");
  const events = await follow(app, `/pipelines/${DAG.id}/events`, (each) => idOf(each) === "grid");
  assert.deepEqual(events.map(idOf), ["now", "grid"]);
});

const PARTS = [
  "health",
  "now",
  "open-anomalies",
  "all-pipelines",
  "answers",
  "engagement",
];

pageTest(
  "the overview's events bring each of its parts, as its page has them",
  async ({ app, world, clock }) => {
    const { html } = await see(app, "/?pipelines-sort=-runs");
    assert.match(html, /data-live="\/overview\/events\?pipelines-sort=-runs"/);
    const parts = async () => {
      const events = await follow(
        app,
        "/overview/events?pipelines-sort=-runs&after=0",
        (each) => idOf(each) === PARTS.at(-1),
      );
      assert.deepEqual(events.map(idOf), PARTS);
      return new Map(events.map((each) => [idOf(each), JSON.parse(each.data).html as string]));
    };
    for (const [id, part] of await parts()) {
      assert.ok(html.includes(part), id);
    }
    await addFailedRun(world.stores.runs, "bad", clock.now());
    clock.advance(3_001);
    const later = await parts();
    assert.match(later.get("health")!, /The last run of small failed at first.*pipeline logs bad/);
    assert.match(later.get("all-pipelines")!, /href="\/runs\/bad"/);
  },
);

pageTest(
  "the overview reads each dag's history once, and nothing of it for a while",
  async ({ app, world }) => {
    const { runs } = world.stores;
    await addRun(runs, "r1");
    const asked: string[] = [];
    for (const method of ["history", "outputs", "snapshot", "runs", "lineage"] as const) {
      const real = runs[method].bind(runs) as (options: never) => Promise<never>;
      Object.assign(runs, { [method]: (options: never) => (asked.push(method), real(options)) });
    }
    const reads = async () => {
      await see(app, "/");
      return asked.splice(0).sort();
    };
    assert.deepEqual(await reads(), ["history", "runs"]);
    assert.deepEqual(await reads(), []);
  },
);

pageTest(
  "the whole history is read again once a run has ended, or after 15 s",
  async ({ app, world, clock }) => {
    const { runs } = world.stores;
    let read = 0;
    const history = runs.history.bind(runs);
    runs.history = (options) => (read++, history(options));
    const asked = async () => {
      const before = read;
      await see(app, "/");
      return read > before;
    };
    assert.equal(await asked(), true);
    clock.advance(3_001);
    assert.equal(await asked(), false);
    await addFailedRun(runs, "bad", clock.now());
    clock.advance(3_001);
    assert.equal(await asked(), true);
    clock.advance(15_001);
    assert.equal(await asked(), true);
  },
);

const KEYS = { keys: [{ key: "reader-key-of-16", scopes: ["read"] }] } as const;

pageTest("what a page follows ends with its session", async ({ app, clock }) => {
  const response = await send(app, "/login", { key: KEYS.keys[0].key, to: "/" });
  const cookie = response.headers.get("set-cookie")?.split(";")[0] ?? "";
  const over = (event: Event) => {
    if (idOf(event) === PARTS.at(-1)) clock.advance(13 * 3_600_000);
    return false;
  };
  const events = await follow(app, "/overview/events", over, { cookie });
  assert.deepEqual(events.map(idOf), PARTS);
}, KEYS);

pageTest(
  "a stream without a session gets an error, while a page redirects to the login",
  async ({ app }) => {
    const headers = { host: "localhost", accept: "text/event-stream" };
    const response = await app.request("/overview/events", { headers });
    assert.equal(response.status, 401);
    assert.match(await response.text(), /log in again/);
  },
  KEYS,
);

const EVENTS = { headers: { host: "localhost", accept: "text/event-stream" } };
const eventsOf = async (app: Hono, run_id: string, init: RequestInit = {}) =>
  await app.request(`/runs/${run_id}/events`, { ...EVENTS, ...init });

pageTest("the events of a run that does not exist are a 404 before a stream begins", async ({ app, log }) => {
  const response = await eventsOf(app, "none");
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal((await response.json()).code, "not_found");
  assert.deepEqual(log.map(({ status, error }) => [status, error]), [[404, undefined]]);
});

pageTest("events are a 503 while the run store is down", async ({ app, world }) => {
  await addRun(world.stores.runs, "r1");
  world.stores.runs.snapshot = () => Promise.reject(new ParleyError("unavailable", "it is down"));
  const response = await eventsOf(app, "r1");
  assert.equal(response.status, 503);
  assert.match((await response.json()).detail, /it is down/);
});

/** Lets a store fail from the second call of a method on. */
function failLater(runs: RunStore, error: unknown): void {
  const snapshot = runs.snapshot.bind(runs);
  let calls = 0;
  runs.snapshot = (options) => ++calls > 1 ? Promise.reject(error) : snapshot(options);
}

for (
  const [what, error, logged] of [
    ["a store that goes down", new ParleyError("unavailable", "it is down"), /^unavailable: it is down$/],
    ["what was not foreseen", new TypeError("quotes a message"), /^TypeError at /],
  ] as const
) {
  pageTest(`a stream that began is ended by ${what}, which is logged`, async ({ app, world, log }) => {
    await addRun(world.stores.runs, "r1");
    failLater(world.stores.runs, error);
    const text = await (await eventsOf(app, "r1")).text();
    assert.match(text, /^event: fragment\n/);
    assert.doesNotMatch(text, /event: (end|error)|quotes|is down/);
    assert.deepEqual(log.map(({ status }) => status), [200, 200]);
    assert.match(log[1]!.error ?? "", logged);
    assert.doesNotMatch(JSON.stringify(log), /quotes/);
    assert.equal(log[1]!.request_id, log[0]!.request_id);
  });
}

const MAX_STREAMS = 64;

/** Asks for so many streams at once, hangs up, and returns each status. */
async function burst(app: Hono, count: number, init: RequestInit = {}): Promise<number[]> {
  const responses = await Promise.all(Array.from({ length: count }, () => eventsOf(app, "r1", init)));
  for (const { body } of responses) await body?.cancel();
  return responses.map(({ status }) => status);
}
const count = (statuses: readonly number[], status: number) =>
  statuses.filter((each) => each === status).length;

pageTest("of 150 streams that are asked for at once 64 begin, each time", async ({ app, world }) => {
  await addRun(world.stores.runs, "r1");
  for (const statuses of [await burst(app, 150), await burst(app, 150)]) {
    assert.deepEqual([count(statuses, 200), count(statuses, 503)], [MAX_STREAMS, 150 - MAX_STREAMS]);
  }
});

pageTest("what begins no stream gives its slot back", async ({ app, world, log }) => {
  const { runs } = world.stores;
  await addRun(runs, "r1");
  for (let i = 0; i <= MAX_STREAMS; i++) {
    assert.equal((await eventsOf(app, "r1", { method: "HEAD" })).status, 200);
    assert.equal((await eventsOf(app, "none")).status, 404);
  }
  const hangUp = new AbortController();
  const snapshot = runs.snapshot.bind(runs);
  let hanging = 0;
  runs.snapshot = () => (hanging++, new Promise(() => {}));
  const asked = burst(app, MAX_STREAMS, { signal: hangUp.signal });
  await until(() => Promise.resolve(hanging === MAX_STREAMS));
  assert.equal((await eventsOf(app, "r1")).status, 503);
  hangUp.abort();
  assert.equal(count(await asked, 499), MAX_STREAMS);
  assert.equal(count(log.map(({ status }) => status), 499), MAX_STREAMS);
  runs.snapshot = snapshot;
  assert.equal(count(await burst(app, MAX_STREAMS), 200), MAX_STREAMS);
});

pageTest("a stream that is not read releases its slot once its client is gone", async ({ app, world }) => {
  await addRun(world.stores.runs, "r1");
  const hangUp = new AbortController();
  const streams = await Promise.all(
    Array.from({ length: MAX_STREAMS }, () => eventsOf(app, "r1", { signal: hangUp.signal })),
  );
  assert.equal((await eventsOf(app, "r1")).status, 503);
  hangUp.abort();
  for (const { body } of streams) await body!.cancel().catch(() => {});
  assert.equal(count(await burst(app, MAX_STREAMS), 200), MAX_STREAMS);
});

for (const garbage of ["abc", "-1", "1e999", "9007199254740993", "NaN", ""]) {
  pageTest(`events after ${JSON.stringify(garbage)} are all of them`, async ({ app, world }) => {
    const { runs } = world.stores;
    await addRun(runs, "r1");
    await runs.appendLogs({ run_id: "r1", lines: [line("one")] });
    const headers = { "last-event-id": garbage };
    const events = await follow(app, "/runs/r1/events", ({ event }) => event === "lines", headers);
    assert.match(events.at(-1)!.data, /one/);
  });
}
