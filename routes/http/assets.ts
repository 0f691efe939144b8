import { type Context, createHash } from "../../deps.ts";
import icon from "../assets/icon.svg" with { type: "text" };
import page from "../assets/page.js" with { type: "text" };
import style from "../assets/style.css" with { type: "text" };
import theme from "../assets/theme.js" with { type: "text" };
import { HttpError } from "./problem.ts";

interface Asset {
  readonly href: string;
  readonly type: string;
  readonly text: string;
}

/** Part of the program, not read at run time: `serve` has no disk on an edge runtime. */
export const ASSETS = Object.freeze({
  style: asset("style.css", "text/css; charset=utf-8", style),
  page: asset("page.js", "text/javascript; charset=utf-8", page),
  theme: asset("theme.js", "text/javascript; charset=utf-8", theme),
  icon: asset("icon.svg", "image/svg+xml", icon),
});

/** The content's hash is part of the name, so that a browser may keep a file for good and never has an old one. */
function asset(name: string, type: string, text: string): Asset {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 12);
  return { href: `/assets/${name.replace(/\.(\w+)$/, `.${hash}.$1`)}`, type, text };
}

/** `GET /assets/:name`. */
export function serveAsset(context: Context): Response {
  const found = Object.values(ASSETS).find(({ href }) => href === context.req.path);
  if (found === undefined) throw new HttpError(404, "not_found", "there is no such file");
  const headers = {
    "content-type": found.type,
    "cache-control": "public, max-age=31536000, immutable",
    etag: `"${found.href.split(".").at(-2)}"`,
    "x-content-type-options": "nosniff",
  };
  const known = context.req.header("if-none-match") === headers.etag;
  return known ? new Response(null, { status: 304, headers }) : new Response(found.text, { headers });
}
