import type { Context, Hono } from "../../deps.ts";
import { causeOf, type Log, type Note } from "../endpoint.ts";
import { PAGES } from "../pages/mod.ts";
import { HttpError, problemOf } from "../problem.ts";
import { failure } from "../ui/failure.tsx";
import { document } from "../ui/layout.tsx";
import { admit } from "./admit.ts";
import { serveAsset } from "./assets.ts";
import { PAGE_HEADERS, wantsHtml } from "./guard.ts";
import type { Route, Site, View, Visit } from "./page.ts";
import { Sessions } from "./session.ts";

/** An error as a page. `visit` is null where it came before anybody was let in. */
export type ErrorPage = (thrown: unknown, note: Note, visit?: Visit | null) => Response;

/** Adds the pages, their actions and their assets to the app; returns what shows other errors to a browser. */
export function mount(app: Hono, site: Site, log: Log | null): ErrorPage {
  const sessions = new Sessions(site.keys, () => site.clock.now());
  for (const route of PAGES) {
    app.on(route.method, route.path, async (context, next) => {
      if (route.path === "/" && !wantsHtml(context)) return await next();
      const start = performance.now();
      const note: Note = {};
      const response = await answer(route, { context, note, site, sessions });
      const ms = Math.round(100 * (performance.now() - start)) / 100;
      log?.({ method: context.req.method, route: route.path, status: response.status, ms, ...note });
      return response;
    });
  }
  app.get("/assets/:name", (context) => withErrors(() => serveAsset(context), {}));
  return errorPage;
}

interface Asked {
  readonly context: Context;
  readonly note: Note;
  readonly site: Site;
  readonly sessions: Sessions;
}

/** A page, an action's redirection, or what went wrong as a page. */
async function answer(route: Route, o: Asked): Promise<Response> {
  let visit: Visit | null = null;
  try {
    const admitted = await admit(route, o);
    if (admitted instanceof Response) return admitted;
    visit = admitted;
    const result = await (await route.load())(visit);
    return result instanceof Response ? result : laidOut(result, visit);
  } catch (thrown) {
    return errorPage(thrown, o.note, visit);
  }
}

function withErrors(body: () => Response, note: Note): Response {
  try {
    return body();
  } catch (thrown) {
    return errorPage(thrown, note);
  }
}

const errorPage: ErrorPage = (thrown, note, visit = null) => {
  const problem = problemOf(thrown);
  if (problem.status >= 500) {
    note.error = causeOf(thrown);
    note.instance = problem.instance;
  }
  return laidOut(failure(problem), visit, thrown instanceof HttpError ? thrown.headers : {});
};

function laidOut(view: View, visit: Visit | null, more: Readonly<Record<string, string>> = {}): Response {
  const headers = { ...more, ...PAGE_HEADERS };
  return new Response(document(view, visit), { status: view.status ?? 200, headers });
}
