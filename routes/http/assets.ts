import type { Context } from "../../deps.ts";
import { sha256 } from "../../lib/core/hash.ts";
import api_docs from "../assets/api_docs.js" with { type: "text" };
import icon from "../assets/icon.svg" with { type: "text" };
import page from "../assets/page.js" with { type: "text" };
import base from "../assets/style/base.css" with { type: "text" };
import chart from "../assets/style/chart.css" with { type: "text" };
import data from "../assets/style/data.css" with { type: "text" };
import form from "../assets/style/form.css" with { type: "text" };
import graph from "../assets/style/graph.css" with { type: "text" };
import layout from "../assets/style/layout.css" with { type: "text" };
import runs from "../assets/style/runs.css" with { type: "text" };
import state from "../assets/style/state.css" with { type: "text" };
import table from "../assets/style/table.css" with { type: "text" };
import theme from "../assets/theme.js" with { type: "text" };
import { HttpError } from "./problem.ts";

/** One file for the browser. The order matters: a later rule wins over an equally specific one. */
const STYLE = [base, layout, state, table, form, chart, graph, runs, data].join("");

interface Asset {
  readonly href: string;
  readonly type: string;
  readonly text: string;
}

/** Imported as text, not read at run time: an edge runtime has no disk. */
export const ASSETS = Object.freeze({
  style: asset("style.css", "text/css; charset=utf-8", STYLE),
  page: asset("page.js", "text/javascript; charset=utf-8", page),
  theme: asset("theme.js", "text/javascript; charset=utf-8", theme),
  api_docs: asset("api_docs.js", "text/javascript; charset=utf-8", api_docs),
  icon: asset("icon.svg", "image/svg+xml", icon),
});

/** The content's hash is part of the name, so a browser can cache a file for ever and never shows an old one. */
function asset(name: string, type: string, text: string): Asset {
  const hash = sha256(text).slice(0, 12);
  return { href: `/assets/${name.replace(/\.(\w+)$/, `.${hash}.$1`)}`, type, text };
}

/** `GET /assets/:name`. */
export function serveAsset(context: Context): Response {
  const asset = Object.values(ASSETS).find(({ href }) => href === context.req.path);
  if (asset === undefined) throw new HttpError(404, "not_found", "there is no such file");
  const headers = {
    "content-type": asset.type,
    "cache-control": "public, max-age=31536000, immutable",
    etag: `"${asset.href.split(".").at(-2)}"`,
    "x-content-type-options": "nosniff",
  };
  const isCurrent = context.req.header("if-none-match") === headers.etag;
  return isCurrent ? new Response(null, { status: 304, headers }) : new Response(asset.text, { headers });
}
