import type { Context } from "../../deps.ts";
import { HttpError } from "./problem.ts";

/**
 * Refuses a form that another site sent. Every browser says where a POST comes from; other clients have the API. Hono's
 * `csrf` accepts a form if one of the two headers is right, and compares the wrong scheme behind a proxy that ends TLS.
 */
export function checkOrigin(context: Context): void {
  const fetchSite = context.req.header("sec-fetch-site");
  const origin = URL.parse(context.req.header("origin") ?? "");
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  if (origin !== null && origin.host === host && (fetchSite === undefined || fetchSite === "same-origin")) {
    return;
  }
  throw new HttpError(
    403,
    "denied",
    "this form was not sent from a page of this service; behind a proxy, let it pass on the header Host",
  );
}

/** Nothing inline, nothing from another origin, no frames, and forms post to this service only. */
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
 * The headers of every page. With `no-referrer` instead of `same-origin`, browsers would send forms with `Origin: null`.
 * Most other headers of hono's `secureHeaders` are for old browsers.
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

/** Whether the client is a browser, which gets a page and not JSON. */
export function wantsHtml(context: Context): boolean {
  return /\btext\/html\b/.test(context.req.header("accept") ?? "");
}
