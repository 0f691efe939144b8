import { sleep } from "../../../lib/core/abort.ts";
import { allows } from "../../../lib/core/types.ts";
import { Field } from "../../components/form.tsx";
import { field, type PageRequest, redirect, type View } from "../../http/page.ts";

/** `GET /login`: asks for an API key. */
export function login(request: PageRequest): View | Response {
  const to = localPath(request.url.searchParams.get("to"));
  if (allows(request.session.scopes, "read")) return redirect(to);
  return form(to, null);
}

function form(to: string, problem: string | null): View {
  const described = problem === null
    ? {}
    : { "aria-invalid": "true", "aria-describedby": "problem" } as const;
  return {
    title: "Log in",
    status: problem === null ? 200 : 401,
    body: (
      <form method="post" action="/login" class="card login">
        {problem !== null && <p class="problem" id="problem" role="alert">{problem}</p>}
        <input type="hidden" name="to" value={to} />
        <Field
          id="key"
          label="API key"
          hint={
            <>
              A key of <code>PARLEY_API_KEYS</code>: with the scope <code>read</code> you see everything, with
              {" "}
              <code>admin</code> you can also run, retry and cancel. The session lasts 12 hours.
            </>
          }
        >
          <input
            id="key"
            name="key"
            type="password"
            autocomplete="current-password"
            required
            {...described}
          />
        </Field>
        <button type="submit" class="main">Log in</button>
      </form>
    ),
  };
}

/** How long the answer to a wrong key is delayed. */
const WRONG_KEY_DELAY_MS = 1_000;

/**
 * `POST /login`: starts a session for a key. A wrong key gets a delayed answer. There is no lockout: clients share addresses
 * behind a proxy, and the length of the keys prevents guesses.
 */
export async function logIn(request: PageRequest): Promise<View | Response> {
  const to = localPath(field(request, "to"));
  if (await request.sessions.start(request.http, field(request, "key"))) {
    return request.http.redirect(to, 303);
  }
  await sleep(WRONG_KEY_DELAY_MS, request.context.closing);
  return form(to, "This is not a key of this service.");
}

/** `POST /logout`. */
export async function logOut(request: PageRequest): Promise<Response> {
  await request.sessions.end(request.http);
  return request.http.redirect("/login", 303);
}

/** A path of this service. Anything else, such as an address of another site, becomes the overview. */
function localPath(to: string | null): string {
  return to !== null && /^\/(?![/\\])[^\\\p{Cc}]*$/u.test(to) ? to : "/";
}
