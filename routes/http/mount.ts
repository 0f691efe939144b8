import type { Context, Hono } from "../../deps.ts";
import type { Endpoint, Failure, ReportError } from "./endpoint.ts";
import { PAGES } from "../pages/mod.ts";
import { problemResponse } from "./problem.ts";
import { errorPage } from "../components/error_page.tsx";
import { document } from "../components/layout.tsx";
import { authorize } from "./authorize.ts";
import { serveAsset } from "./assets.ts";
import { PAGE_HEADERS, wantsHtml } from "./guard.ts";
import type { PageContext, PageRequest, Route, View } from "./page.ts";
import { Sessions } from "./session.ts";

/** Adds the pages, their actions and their assets to the app; returns how they tell an error, for those elsewhere. */
export function mount(
  app: Hono,
  site: PageContext,
  handler: (endpoint: Endpoint) => (context: Context) => Promise<Response>,
): Failure {
  const sessions = new Sessions(site.keys, () => site.clock.now(), site.runs);
  const visits = new WeakMap<Context, PageRequest>();
  const failure: Failure = (problem, headers, context) =>
    wantsHtml(context)
      ? laidOut(errorPage(problem), visits.get(context) ?? null, headers)
      : problemResponse(problem, headers);
  const open = async (route: Route, context: Context, report: ReportError) => {
    const visit = await authorize(route, { context, site, sessions, report });
    if (visit instanceof Response) return visit;
    visits.set(context, visit);
    const result = await (await route.load())(visit);
    return result instanceof Response ? result : laidOut(result, visit);
  };
  for (const route of PAGES) {
    const handle = handler({
      route: route.path,
      scope: null,
      handle: (context, _note, report) => open(route, context, report),
      failure,
    });
    const machines = (context: Context) => route.path === "/" && !wantsHtml(context);
    app.on(route.method, route.path, (context, next) => machines(context) ? next() : handle(context));
  }
  app.get("/assets/:name", handler({ route: "/assets/:name", scope: null, handle: serveAsset, failure }));
  return failure;
}

function laidOut(
  view: View,
  visit: PageRequest | null,
  more: Readonly<Record<string, string>> = {},
): Response {
  const headers = { ...more, ...PAGE_HEADERS };
  return new Response(document(view, visit), { status: view.status ?? 200, headers });
}
