import type { Context } from "../../deps.ts";
import { allows } from "../../lib/core/types.ts";
import { readBody } from "./body.ts";
import { HttpError } from "./problem.ts";
import { checkOrigin } from "./guard.ts";
import { type PageRequest, redirect, type Route } from "./page.ts";
import { isOwn, type Session } from "./session.ts";

/** Larger forms are refused, in bytes. */
const MAX_FORM_BYTES = 64 * 1024;

const NO_SESSION: Session = Object.freeze({ scopes: [], csrf: "", key: null, signed_in: false });

/**
 * Lets a request in, or sends it to the login. A form must come from a page of this service, by its `Origin`, and carry
 * the session's token.
 */
export async function authorize(
  { method, scope }: Route,
  { http, context, sessions, note, report }: Pick<
    PageRequest,
    "http" | "context" | "sessions" | "note" | "report"
  >,
): Promise<PageRequest | Response> {
  const isForm = method === "POST";
  if (isForm) checkOrigin(http);
  const session = await sessions.of(http) ?? NO_SESSION;
  if (scope !== null && session === NO_SESSION) return toLogin(method, http);
  if (scope !== null && !allows(session.scopes, scope)) {
    throw new HttpError(403, "denied", `your key lacks the scope ${scope}: log in with one that has it`);
  }
  const form = isForm ? await formOf(http) : new Map<string, string[]>();
  if (isForm && scope !== null && !isOwn(session, form.get("csrf")?.[0] ?? "")) {
    throw new HttpError(403, "denied", "this form is too old: go back, reload the page, and send it again");
  }
  const url = new URL(http.req.url);
  return { http, url, session, sessions, context, now: context.clock.now(), form, note, report };
}

function toLogin(method: Route["method"], { req }: Context): Response {
  const isPage = method === "GET" && req.header("accept") !== "text/event-stream";
  if (!isPage) throw new HttpError(401, "denied", "your session has ended: log in again");
  const { pathname, search } = new URL(req.url);
  return redirect(`/login?${new URLSearchParams({ to: pathname + search })}`);
}

/** The fields of a form as browsers send it. Its size is bounded while it is read. */
async function formOf({ req }: Context): Promise<Map<string, string[]>> {
  const type = req.header("content-type") ?? "";
  if (!type.startsWith("application/x-www-form-urlencoded")) {
    throw new HttpError(400, "invalid", "a form is expected, as application/x-www-form-urlencoded");
  }
  const fields = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(await readBody(req.raw, MAX_FORM_BYTES))) {
    fields.set(name, [...fields.get(name) ?? [], value]);
  }
  return fields;
}
