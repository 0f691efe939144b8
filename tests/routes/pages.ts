import { type Hono, z } from "../../deps.ts";
import { iso } from "../../lib/core/clock.ts";
import { newTask } from "../../lib/dag/state.ts";
import type { RunChanges, RunRecord, RunStore } from "../../lib/stores/runs/port.ts";
import { endOf, runOf, startOf } from "../fixtures/runs.ts";
import { type Dag, defineDag } from "../../lib/dag/define.ts";
import { appTest, type Opened } from "./app.ts";
import type { AppOptions } from "../../routes/app.ts";
import type { Dashboard } from "../../routes/http/page.ts";
import { openWorld, type World } from "../lib/recommend/world.ts";

/** A dag like the nightly one: several tasks, a schedule, params of each kind. */
export const DAG: Dag<never> = defineDag<never>({
  id: "small",
  doc: "Two tasks, the one after the other.",
  schedule: { cron: "30 2 * * *", timezone: "Europe/Berlin", catch_up: "latest" },
  params: z.object({
    paths: z.array(z.string()).default(["a.ndjson"]),
    size: z.int().min(1).max(9).default(3).describe("rows at once"),
    mode: z.enum(["fast", "full"]).default("fast"),
    dry: z.boolean().default(false),
    label: z.string().default(""),
    extra: z.record(z.string(), z.number()).default({ one: 1 }),
    files: z.array(z.string()).default(["/in/a.ndjson"]),
    model: z.string().default("test:8"),
    secret: z.string().default(""),
  }),
  remote: {
    ...{ paths: "any", size: "any", mode: "any", dry: "any", label: "any", extra: "any" },
    files: { values: () => Promise.resolve(["/in/a.ndjson", "/in/b.ndjson"]), settings: "PARLEY_FILES" },
    model: { values: () => Promise.resolve(["test:8", "test:16"]), settings: "PARLEY_MODELS" },
  },
  tasks: [
    { id: "first", run: () => Promise.resolve() },
    { id: "second", needs: ["first"], run: () => Promise.resolve() },
  ],
});

/** Registers a test over an app that has the pages. */
export function pageTest(
  name: string,
  body: (opened: Opened) => Promise<void>,
  options: Partial<AppOptions> = {},
  dashboard: Partial<Dashboard> = {},
  open: () => Promise<World> = openWorld,
) {
  appTest(name, body, {
    open,
    options: ({ stores }) => ({
      dags: [DAG],
      dashboard: {
        dags: new Map([[DAG.id, DAG]]),
        runs: stores.runs,
        closing: new AbortController().signal,
        ...dashboard,
      },
      ...options,
    }),
  });
}

const ORIGIN = "http://localhost";

/** The headers of a browser that requests a page. */
export const BROWSER = { accept: "text/html,application/xhtml+xml", host: "localhost" };

export async function see(app: Hono, path: string, headers: Record<string, string> = {}) {
  const response = await app.request(path, { headers: { ...BROWSER, ...headers } });
  return { response, status: response.status, html: await response.text() };
}

/** Sends a form as a browser does from a page of ours. */
export async function send(
  app: Hono,
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return await app.request(path, {
    method: "POST",
    body: new URLSearchParams(fields).toString(),
    headers: {
      ...BROWSER,
      origin: ORIGIN,
      "sec-fetch-site": "same-origin",
      "content-type": "application/x-www-form-urlencoded",
      ...headers,
    },
  });
}

/** The token that the page at `path` puts into its forms. */
export async function tokenOf(
  app: Hono,
  path: string,
  headers: Record<string, string> = {},
): Promise<string> {
  return /name="csrf" value="([0-9a-f]{64})"/.exec((await see(app, path, headers)).html)?.[1] ?? "";
}

/** Adds a run whose first task failed. `at` is in epoch milliseconds. */
export async function addFailedRun(
  runs: RunStore,
  run_id: string,
  at: number,
  rest: Partial<RunRecord> = {},
): Promise<void> {
  const times = { created_at: iso(at), logical_date: iso(at), ...rest };
  const tasks = DAG.tasks.map(({ id }) => newTask(id));
  await runs.create({ run: runOf(run_id, { dag_id: DAG.id, dag_version: DAG.version, ...times }), tasks });
  const start = startOf(tasks[0]!, { owner: "test", now: at });
  const ended_at = iso(at + 1_000);
  const changes: RunChanges[] = [{ starts: [start] }, {
    run: { state: "failed", started_at: iso(at), ended_at, error: "first: no" },
    tasks: [{ ...start.task, state: "failed", error: "no" }, { ...tasks[1]!, state: "upstream_failed" }],
    ended: [endOf(start, { state: "failed", error: "no", ended_at })],
  }];
  for (const change of changes) await runs.revise({ run_id, now: at, plan: () => change });
}
