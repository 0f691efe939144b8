import type { Hono } from "../../deps.ts";
import { type Dag, defineDag } from "../../lib/dag/define.ts";
import { z } from "../../deps.ts";
import { appTest, type Opened } from "./app.ts";
import type { AppOptions } from "../../routes/app.ts";

/** A dag like the nightly one: several tasks, a schedule, params of each kind. */
export const DAG: Dag<never> = defineDag<never>({
  id: "small",
  doc: "Two tasks, the one after the other.",
  schedule: { cron: "30 2 * * *", timezone: "Europe/Berlin", catch_up: "latest" },
  params: z.object({
    paths: z.array(z.string()).default(["a.ndjson"]),
    size: z.int().min(1).max(9).default(3),
    mode: z.enum(["fast", "full"]).default("fast"),
    dry: z.boolean().default(false),
    label: z.string().default(""),
    extra: z.record(z.string(), z.number()).default({ one: 1 }),
  }),
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
) {
  appTest(name, body, {
    options: ({ stores }) => ({
      dashboard: {
        dags: new Map([[DAG.id, DAG]]),
        runs: stores.runs,
        closing: new AbortController().signal,
      },
      ...options,
    }),
  });
}

const ORIGIN = "http://localhost";

/** What a browser says of itself, on the way to a page. */
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
