import { sleep } from "../../../lib/core/abort.ts";
import { allows } from "../../../lib/core/types.ts";
import { Field } from "../../components/form.tsx";
import { field, type PageRequest, redirect, type View } from "../../http/page.ts";

/** `GET /login`: asks for an API key. */
export function login(visit: PageRequest): View | Response {
  const to = ours(visit.url.searchParams.get("to"));
  if (allows(visit.session.scopes, "read")) return redirect(to);
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

/** How long a wrong key waits for its answer. */
const WRONG_MS = 1_000;

/**
 * `POST /login`: a key for a session. A wrong key is told nothing more, and late. Nobody is locked out: addresses are
 * shared behind a proxy, and what keeps guesses out is the length of the keys.
 */
export async function logIn(visit: PageRequest): Promise<View | Response> {
  const to = ours(field(visit, "to"));
  if (await visit.sessions.start(visit.context, field(visit, "key"))) return visit.context.redirect(to, 303);
  await sleep(WRONG_MS, visit.site.closing);
  return form(to, "This is not a key of this service.");
}

/** `POST /logout`. */
export async function logOut(visit: PageRequest): Promise<Response> {
  await visit.sessions.end(visit.context);
  return visit.context.redirect("/login", 303);
}

/** A path of this service; anything else, such as another site's address, becomes the overview. */
function ours(to: string | null): string {
  return to !== null && /^\/(?![/\\])[^\\\p{Cc}]*$/u.test(to) ? to : "/";
}
