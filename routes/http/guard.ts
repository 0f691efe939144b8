import type { Context } from "../../deps.ts";
import { HttpError } from "./problem.ts";

/**
 * Refuses a form that another site sent. Every browser says where a POST comes from; whoever does not say is no browser, and has
 * the API. Not hono's `csrf`: that takes a form if one of the two headers is right, and behind TLS that ends at a proxy compares
 * another scheme.
 */
export function checkOrigin(context: Context): void {
  const site = context.req.header("sec-fetch-site");
  const origin = URL.parse(context.req.header("origin") ?? "");
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  if (origin !== null && origin.host === host && (site === undefined || site === "same-origin")) return;
  throw new HttpError(
    403,
    "denied",
    "this form was not sent from a page of this service; behind a proxy, let it pass on the header Host",
  );
}

/** Nothing inline, nothing from elsewhere, in no frame, and forms go nowhere but home. */
const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

/**
 * What every page says to the browser. `same-origin` and not `no-referrer`: with that, browsers send forms with
 * `Origin: null`. Not hono's `secureHeaders`: most of its other headers are for old browsers, and would have to be turned off.
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = Object.freeze({
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  vary: "accept",
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
});

/** Whether a person's browser asks, which wants a page and not JSON. */
export function wantsHtml(context: Context): boolean {
  return /\btext\/html\b/.test(context.req.header("accept") ?? "");
}
