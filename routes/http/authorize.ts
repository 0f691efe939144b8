import type { Context } from "../../deps.ts";
import { allows } from "../../lib/core/types.ts";
import { readBody } from "./body.ts";
import type { ReportError } from "./endpoint.ts";
import { HttpError } from "./problem.ts";
import { checkOrigin } from "./guard.ts";
import { type PageContext, type PageRequest, redirect, type Route } from "./page.ts";
import { isOwn, type Session, type Sessions } from "./session.ts";

/** Larger forms are refused. */
const MAX_FORM = 64 * 1024;

const NOBODY: Session = Object.freeze({ scopes: [], csrf: "", key: null, signed_in: false });

/**
 * Lets a request in, or sends it to the login. A form must come from a page of ours (its `Origin` says so) and carry the
 * session's token.
 */
export async function authorize(
  route: Route,
  { context, site, sessions, report }: {
    context: Context;
    site: PageContext;
    sessions: Sessions;
    report: ReportError;
  },
): Promise<PageRequest | Response> {
  if (route.method === "POST") checkOrigin(context);
  const known = await sessions.of(context);
  if (known === null && route.scope !== null) return toLogin(route, context);
  const session = known ?? NOBODY;
  if (route.scope !== null && !allows(session.scopes, route.scope)) {
    throw new HttpError(
      403,
      "denied",
      `your key lacks the scope ${route.scope}: log in with one that has it`,
    );
  }
  const form = route.method === "POST" ? await formOf(context) : new Map<string, string[]>();
  if (route.method === "POST" && route.scope !== null && !isOwn(session, form.get("csrf")?.[0] ?? "")) {
    throw new HttpError(403, "denied", "this form is too old: go back, reload the page, and send it again");
  }
  return {
    context,
    url: new URL(context.req.url),
    session,
    sessions,
    site,
    now: site.clock.now(),
    form,
    report,
  };
}

function toLogin(route: Route, context: Context): Response {
  const isPage = route.method === "GET" && context.req.header("accept") !== "text/event-stream";
  if (!isPage) throw new HttpError(401, "denied", "your session has ended: log in again");
  const { pathname, search } = new URL(context.req.url);
  return redirect(`/login?${new URLSearchParams({ to: pathname + search })}`);
}

/** The fields of a form as browsers send it. Its size is bounded while it is read. */
async function formOf(context: Context): Promise<Map<string, string[]>> {
  const type = context.req.header("content-type") ?? "";
  if (!type.startsWith("application/x-www-form-urlencoded")) {
    throw new HttpError(400, "invalid", "a form is expected, as application/x-www-form-urlencoded");
  }
  const fields = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(await readBody(context.req.raw, MAX_FORM))) {
    fields.set(name, [...fields.get(name) ?? [], value]);
  }
  return fields;
}
