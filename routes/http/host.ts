import type { Context } from "../../deps.ts";
import { HttpError } from "./problem.ts";

/** Throws 400 for a malformed `Host`, and 403 for one that this service does not answer to. */
export type CheckHost = (context: Context) => void;

/**
 * Checks the name by which a request calls this service, in `Host` and in its URL. An `open` service, without keys, answers
 * to loopback names only, on every route: a site can point its own name at 127.0.0.1 (DNS rebinding), and its scripts could
 * then read and post here.
 */
export function createHostCheck({ open }: { open: boolean }): CheckHost {
  // A client uses the same name each time, so remembering the last one makes this check cost almost nothing.
  let lastName = "";
  return ({ req }) => {
    const host = req.header("host");
    const authority = authorityOf(req.url);
    const named = host ?? authority;
    if (named === lastName && authority === lastName) return;
    const names = [hostnameOf(named), hostnameOf(authority)];
    if (names.includes(null)) throw new HttpError(400, "invalid", "the header Host is malformed");
    if (open && !names.every(isLoopback)) {
      throw new HttpError(
        403,
        "denied",
        "without API keys this service answers to loopback names only: open it as 127.0.0.1, or set PARLEY_API_KEYS",
      );
    }
    if (named === authority) lastName = named;
  };
}

function authorityOf(url: string): string {
  const start = url.indexOf("//") + 2;
  const end = url.indexOf("/", start);
  return url.slice(start, end === -1 ? url.length : end);
}

/** Null for anything but `host[:port]`. */
function hostnameOf(authority: string): string | null {
  return /[\s/?#@\\]/.test(authority) ? null : URL.parse(`http://${authority}`)?.hostname ?? null;
}

function isLoopback(name: string | null): boolean {
  return name === "localhost" || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name ?? "");
}
