import assert from "node:assert/strict";
import type { Hono } from "../../deps.ts";
import { newTask } from "../../lib/dag/state.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import { runOf } from "../fixtures/runs.ts";
import { BROWSER, DAG, pageTest, see } from "./pages.ts";

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
  until: (event: Event) => boolean,
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
    if (done || events.some(until)) break;
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
  assert.deepEqual(open.map(idOf), ["summary", "timeline", "tasks", "lineage", "lines"]);
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
    setTimeout(() => closing.abort(), 50);
    const events = await follow(app, "/runs/r1/events", () => false);
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
