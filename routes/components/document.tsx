import type { Child } from "../../deps.ts";
import { CsrfToken, type FormSession } from "./form.tsx";

/** The pages in the navigation, in its order. */
const NAVIGATION: readonly (readonly [path: string, title: string])[] = [
  ["/", "Overview"],
  ["/pipelines", "Pipelines"],
  ["/runs", "Runs"],
  ["/data", "Data"],
  ["/anomalies", "Anomalies"],
  ["/campaigns", "Campaigns"],
  ["/engagement", "Engagement"],
  ["/evaluation", "Evaluation"],
  ["/experiments", "Experiments"],
  ["/explain", "Explain"],
  ["/playground", "Playground"],
  ["/stores", "Stores"],
];

interface DocumentProps {
  readonly title: string;
  readonly body: Child;
  /** The addresses of style, scripts and icon. */
  readonly assets: Readonly<Record<"icon" | "style" | "theme" | "page", string>>;
  /** Where the page's Server-Sent Events come from; without it the page does not change. */
  readonly live?: string | undefined;
  /** The number of the last event that the page has. */
  readonly after?: number | undefined;
  /** The page's path, for a navigation that marks it; null shows no navigation. */
  readonly path: string | null;
  /** The session that the page can end; null shows no button for that. */
  readonly session: FormSession | null;
  /** What the last action did; null shows nothing. */
  readonly message: string | null;
  /** Parley's version; null on a page before the login. */
  readonly version: string | null;
}

/** A whole page, as HTML. */
export function document(props: DocumentProps): string {
  return `<!doctype html>${(<Document {...props} />).toString()}`;
}

function Document(
  { title, body, assets, live, after, path, session, message, version }: DocumentProps,
) {
  const events = live === undefined ? {} : {
    "data-live": live,
    ...after === undefined ? {} : { "data-after": after },
  };
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${title} · Parley`}</title>
        <link rel="icon" href={assets.icon} type="image/svg+xml" />
        <link rel="stylesheet" href={assets.style} />
        <script src={assets.theme}></script>
        <script src={assets.page} type="module"></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <a class="brand" href="/">
            <img src={assets.icon} width="24" height="24" alt="" />Parley
          </a>
          {path !== null && <Navigation path={path} />}
          <div class="tools">
            <button id="theme" type="button" class="quiet" hidden></button>
            {session !== null && <LogOut session={session} />}
          </div>
        </header>
        <main id="main" tabindex={-1} {...events}>
          <div class="title">
            <h1>{title}</h1>
            <span id="live" role="status" class="live" hidden></span>
          </div>
          {message !== null && <p class="notice" role="status">{message}</p>}
          {body}
        </main>
        <footer class="foot">
          {version !== null && <>Parley {version} ·{" "}</>}
          <a href="/healthz">health</a> · <a href="/readyz">readiness</a> · <a href="/docs">API</a>
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

function LogOut({ session }: { session: FormSession }) {
  return (
    <form method="post" action="/logout">
      <CsrfToken session={session} />
      <button type="submit" class="quiet">Log out</button>
    </form>
  );
}
