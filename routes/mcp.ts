import { type Hono, loadMcp, z } from "../deps.ts";
import type { RunRecordStore } from "../lib/stores/runs/port.ts";
import type { Endpoint } from "./http/endpoint.ts";
import type { Problem } from "./http/problem.ts";

/** Larger messages are refused with 413, in bytes. */
const MAX_BYTES = 256 * 1_024;

interface McpOptions {
  /** Answers the requests of the API that tools are made of. */
  readonly app: Hono;
  readonly version: string;
  readonly stores: { readonly runs: Pick<RunRecordStore, "outputs"> };
}

/** A tool that reads. It has what the API gives for the same key, which is no text of a conversation. */
interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  /** The paths of the API that it reads, each with the name of its part of the result. */
  readonly paths?: (input: Readonly<Record<string, unknown>>) => Readonly<Record<string, string>>;
}

/** Of the ids, `.` and `..` cannot be part of a path. */
const id = (description: string) =>
  z.string().min(1).max(256).regex(/^(?!\.{1,2}$)/, "must not be . or ..").describe(description);
const days = z.int().min(1).max(365).optional().describe("How many days back to look.");

const TOOLS: readonly Tool[] = [
  {
    name: "overview",
    title: "Overview",
    description:
      "The health with its cause and next step, the state of each store, and what each pipeline did.",
    input: z.object({}),
    paths: () => ({
      stores: "/readyz",
      anomalies: "/pipeline/anomalies?days=1",
      summary: "/pipeline/summary",
    }),
  },
  {
    name: "runs",
    title: "Runs",
    description: "Runs of the pipelines, newest first.",
    input: z.object({
      dag: id("Only runs of this pipeline, such as nightly.").optional(),
      state: z.enum(["queued", "running", "success", "failed", "cancelled"]).optional(),
      limit: z.int().min(1).max(200).optional(),
      cursor: z.string().optional().describe("The `next` of the page before."),
    }),
    paths: (input) => ({ runs: withQuery("/pipeline/runs", input) }),
  },
  {
    name: "why_run_failed",
    title: "Why a run failed",
    description: "One run with its error, and the state and error of each of its tasks.",
    input: z.object({ run_id: id("The run, as `runs` lists it.") }),
    paths: ({ run_id }) => ({ run: `/pipeline/runs/${encodeURIComponent(String(run_id))}` }),
  },
  {
    name: "anomalies",
    title: "Anomalies",
    description: "What is wrong now and was lately, with what to do.",
    input: z.object({ days }),
    paths: (input) => ({ anomalies: withQuery("/pipeline/anomalies", input) }),
  },
  {
    name: "explain",
    title: "Why a user gets these recommendations",
    description:
      "The campaigns that a user gets now, each with its score, the sources that it comes from and the reasons. It has no text " +
      "of the user.",
    input: z.object({ user_id: id("The user."), k: z.int().min(1).max(100).optional() }),
    paths: ({ user_id, ...query }) => ({
      answer: withQuery(`/recommendations/${encodeURIComponent(String(user_id))}`, query),
    }),
  },
  {
    name: "campaigns",
    title: "Campaigns",
    description: "The catalogue, or a search of it, with all users' engagement.",
    input: z.object({
      q: z.string().max(200).optional().describe("Words that the campaigns have."),
      category: id("Only campaigns of this category.").optional(),
      intent: id("Only campaigns that target this intent.").optional(),
      limit: z.int().min(1).max(100).optional(),
      cursor: z.string().optional().describe("The `next` of the page before."),
    }),
    paths: (input) => ({ campaigns: withQuery("/campaigns", input) }),
  },
  {
    name: "evaluation",
    title: "Evaluation",
    description:
      "How good answers were in the last run of the dag `evaluate`: NDCG@10 and Recall@10 of Parley and of baselines.",
    input: z.object({}),
  },
];

function withQuery(path: string, values: Readonly<Record<string, unknown>>): string {
  const query = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)]]
  );
  return query.length === 0 ? path : `${path}?${new URLSearchParams(query)}`;
}

/**
 * `/mcp`: tools for MCP clients, without sessions. Its library loads with the first request. A tool asks the API with the key of
 * the request, so it can do what that key can, and each question is in the log.
 */
export function mcpEndpoint(options: McpOptions): Endpoint {
  let opened: ReturnType<typeof open> | null = null;
  return {
    route: "/mcp",
    scope: "read",
    handle: async ({ req }, { request_id }) => {
      const handler = await (opened ??= open(options));
      const headers = new Headers(req.raw.headers);
      headers.set("x-request-id", request_id);
      return await handler.fetch(new Request(req.raw, { headers }));
    },
  };
}

async function open({ app, version, stores }: McpOptions) {
  const { createMcpHandler, McpServer } = await loadMcp();
  return createMcpHandler(({ requestInfo }) => {
    const server = new McpServer({ name: "parley", title: "Parley", version });
    const headers = headersOf(requestInfo);
    for (const { name, title, description, input, paths } of TOOLS) {
      const config = { title, description, inputSchema: input, annotations: { readOnlyHint: true } };
      server.registerTool(name, config, async (values) => {
        if (paths === undefined) return resultOf(await lastEvaluation(stores.runs));
        const parts = await Promise.all(
          Object.entries(paths(values)).map(async ([part, path]) =>
            [part, await app.request(path, { headers })] as const
          ),
        );
        const result: Record<string, unknown> = {};
        for (const [part, response] of parts) {
          const body = await response.json();
          // A service that is not ready says what is missing.
          if (!response.ok && part !== "stores") return errorOf(body);
          result[part] = body;
        }
        return resultOf(result);
      });
    }
    return server;
  }, { responseMode: "json", maxRequestBodySize: MAX_BYTES, maxSubscriptions: 0 });
}

/** The key of a request and its id, by which the log connects both. */
function headersOf(request: Request | undefined): Record<string, string> {
  const names = ["authorization", "x-request-id"];
  return Object.fromEntries(names.flatMap((name) => {
    const value = request?.headers.get(name);
    return value === null || value === undefined ? [] : [[name, value]];
  }));
}

async function lastEvaluation(runs: Pick<RunRecordStore, "outputs">): Promise<Record<string, unknown>> {
  const [last = null] = await runs.outputs({ dag_id: "evaluate", task_id: "evaluate", since: "", limit: 1 });
  if (last === null) return { evaluation: null };
  const { run_id, ended_at, output } = last;
  return { evaluation: { run_id, ended_at, output } };
}

function resultOf(result: Record<string, unknown>) {
  return { content: [{ type: "text" as const, text: JSON.stringify(result) }], structuredContent: result };
}

function errorOf({ detail }: Problem) {
  return { content: [{ type: "text" as const, text: detail }], isError: true };
}
