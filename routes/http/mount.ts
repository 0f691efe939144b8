import type { Context, Hono } from "../../deps.ts";
import { allows } from "../../lib/core/types.ts";
import { document } from "../components/document.tsx";
import { errorPage } from "../components/error_page.tsx";
import { PAGES } from "../pages/mod.ts";
import { ASSETS, serveAsset } from "./assets.ts";
import { authorize } from "./authorize.ts";
import type { Endpoint, Failure, Note, ReportError } from "./endpoint.ts";
import { flashOf } from "./flash_messages.ts";
import { PAGE_HEADERS, wantsHtml } from "./guard.ts";
import type { PageContext, PageRequest, Route, View } from "./page.ts";
import { problemResponse } from "./problem.ts";
import { Sessions } from "./session.ts";

/** Adds the pages, their actions and their assets to the app. Returns how they report an error, for other routes. */
export function mount(
  app: Hono,
  context: PageContext,
  handler: (endpoint: Endpoint) => (http: Context) => Promise<Response>,
): Failure {
  const sessions = new Sessions(context.keys, () => context.clock.now(), context.runs);
  const requests = new WeakMap<Context, PageRequest>();
  const failure: Failure = (problem, headers, http) =>
    wantsHtml(http)
      ? respond(errorPage(problem), requests.get(http) ?? null, headers)
      : problemResponse(problem, headers);
  const open = async (route: Route, http: Context, note: Note, report: ReportError) => {
    const request = await authorize(route, { http, context, sessions, note, report });
    if (request instanceof Response) return request;
    const { key } = request.session;
    note.caller = key === null ? "open" : `session ${key}`;
    requests.set(http, request);
    const result = await (await route.load())(request);
    return result instanceof Response ? result : respond(result, request);
  };
  for (const route of PAGES) {
    const handle = handler({
      route: route.path,
      scope: null,
      audited: route.scope === "admin",
      handle: (http, note, report) => open(route, http, note, report),
      failure,
    });
    const isForApi = (http: Context) => route.shared === true && !wantsHtml(http);
    app.on(route.method, route.path, (http, next) => isForApi(http) ? next() : handle(http));
  }
  app.get("/assets/:name", handler({ route: "/assets/:name", scope: null, handle: serveAsset, failure }));
  return failure;
}

const HREFS = {
  icon: ASSETS.icon.href,
  style: ASSETS.style.href,
  theme: ASSETS.theme.href,
  page: ASSETS.page.href,
};

/** A view as a whole page. `request` is null if the error came before it was authorized. */
function respond(
  { title, body, live, after, status = 200 }: View,
  request: PageRequest | null,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const html = document({
    title,
    body,
    live,
    after,
    assets: HREFS,
    path: request !== null && allows(request.session.scopes, "read") ? request.url.pathname : null,
    session: request?.session.signed_in ? request.session : null,
    message: request && flashOf(request.url.searchParams),
    version: request && request.context.version,
  });
  return new Response(html, { status, headers: { ...headers, ...PAGE_HEADERS } });
}
