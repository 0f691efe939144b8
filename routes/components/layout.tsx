import type { Child } from "../../deps.ts";
import { ASSETS } from "../http/assets.ts";
import type { PageRequest, View } from "../http/page.ts";
import { allows } from "../../lib/core/types.ts";
import { Hidden } from "./form.tsx";
import { flashOf } from "../http/flash_messages.ts";

/** The pages that the navigation names, in its order. */
const NAVIGATION: readonly (readonly [path: string, title: string])[] = [
  ["/", "Overview"],
  ["/pipelines", "Pipelines"],
  ["/runs", "Runs"],
  ["/data", "Data"],
  ["/anomalies", "Anomalies"],
  ["/engagement", "Engagement"],
  ["/explain", "Explain"],
  ["/stores", "Stores"],
];

/** A whole document. `visit` is null where nobody is known yet: on the login page and where an error came before. */
export function document(view: View, visit: PageRequest | null): string {
  return `<!doctype html>${(<Page view={view} visit={visit} />).toString()}`;
}

function Page({ view, visit }: { view: View; visit: PageRequest | null }) {
  const after = view.after === undefined ? {} : { "data-after": view.after };
  const live = view.live === undefined ? {} : { "data-live": view.live, ...after };
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${view.title} · Parley`}</title>
        <link rel="icon" href={ASSETS.icon.href} type="image/svg+xml" />
        <link rel="stylesheet" href={ASSETS.style.href} />
        <script src={ASSETS.theme.href}></script>
        <script src={ASSETS.page.href} type="module"></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <a class="brand" href="/">
            <img src={ASSETS.icon.href} width="24" height="24" alt="" />Parley
          </a>
          {visit !== null && allows(visit.session.scopes, "read") && <Navigation path={visit.url.pathname} />}
          <div class="tools">
            <button id="theme" type="button" class="quiet" hidden></button>
            {visit?.session.signed_in && <Logout visit={visit} />}
          </div>
        </header>
        <main id="main" tabindex={-1} {...live}>
          <div class="title">
            <h1>{view.title}</h1>
            <span id="live" role="status" class="live" hidden></span>
          </div>
          {visit !== null && <Notice visit={visit} />}
          {view.body}
        </main>
        <footer class="foot">
          {visit !== null && <>Parley {visit.site.version} ·{" "}</>}
          <a href="/healthz">health</a> · <a href="/readyz">readiness</a>
        </footer>
      </body>
    </html>
  );
}

function Navigation({ path }: { path: string }) {
  return (
    <nav aria-label="Pages">
      <ul>
        {NAVIGATION.map(([to, title]) => {
          const here = to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`);
          const current = here ? { "aria-current": path === to ? "page" : "true" } as const : {};
          return (
            <li>
              <a href={to} {...current}>{title}</a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function Logout({ visit }: { visit: PageRequest }) {
  return (
    <form method="post" action="/logout">
      <Hidden visit={visit} />
      <button type="submit" class="quiet">Log out</button>
    </form>
  );
}

/** What the last action did, as the address says it by a code; text from an address is never shown. */
function Notice({ visit }: { visit: PageRequest }) {
  const text = flashOf(visit.url.searchParams);
  return text === null ? null : <p class="notice" role="status">{text}</p>;
}

/** A part of a page under a heading of its own. */
export function Section(
  { title, id, aside, children }: { title: string; id?: string; aside?: Child; children?: Child },
) {
  const name = id ?? title.toLowerCase().replace(/\W+/g, "-");
  return (
    <section id={name} aria-labelledby={`${name}-title`}>
      <div class="head">
        <h2 id={`${name}-title`}>{title}</h2>
        {aside !== undefined && <span>{aside}</span>}
      </div>
      {children}
    </section>
  );
}

/** Said where there is nothing to show: what that means, and what to do. Commands go into `<code>`. */
export function Empty({ children }: { children?: Child }) {
  return <p class="empty">{children}</p>;
}

/** A figure with its name, and one line on what it is held against. */
export function Figure(
  { name, value, note, tone = "plain" }: { name: string; value: Child; note?: Child; tone?: Tone },
) {
  return (
    <div class={`figure tone-${tone}`}>
      <dt>{name}</dt>
      <dd>
        <span class="value">{value}</span>
        {note !== undefined && <span class="note">{note}</span>}
      </dd>
    </div>
  );
}

type Tone = "plain" | "good" | "bad" | "warn";

export function Figures({ id, children }: { id?: string; children?: Child }) {
  return <dl class="figures" {...id === undefined ? {} : { id }}>{children}</dl>;
}
