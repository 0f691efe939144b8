import { loadStreaming } from "../../deps.ts";
import { sleep } from "../../lib/core/abort.ts";
import { HttpError } from "../problem.ts";
import type { Visit } from "./page.ts";

/** A part of a page by its element's id. `html` is asked for only where `key` is another than the last time. */
export interface Fragment {
  readonly id: string;
  readonly key: string;
  readonly html: () => string;
}

/** How a page stands at one moment. */
export interface Moment {
  readonly fragments: readonly Fragment[];
  /** New lines for its log, with the number of the last one. */
  readonly lines?: { readonly html: string; readonly last: number } | null;
  /** Nothing will change any more. */
  readonly over: boolean;
}

/** Streams at one time; each asks the run store once an interval. */
const MOST = 64;
const PING_MS = 15_000;
let open = 0;

/**
 * Server-Sent Events `fragment` (`{ id, html }`), `lines` (HTML, its id the number of the last line) and `end`. A browser that
 * comes back says which lines it has by `Last-Event-ID`, or by `?after=` where it begins anew. What is sent ends with the
 * session that asked for it.
 */
export async function live(
  visit: Visit,
  o: { every_ms: number; look: (after: number) => Promise<Moment> },
): Promise<Response> {
  if (open >= MOST) {
    throw new HttpError(503, "unavailable", "too many pages are followed at once: reload later");
  }
  const { streamSSE } = await loadStreaming();
  return streamSSE(visit.context, async (stream) => {
    open++;
    const stop = new AbortController();
    stream.onAbort(() => stop.abort());
    const signal = AbortSignal.any([stop.signal, visit.site.closing]);
    const sent = new Map<string, string>();
    let after = startOf(visit);
    let quiet_ms = 0;
    try {
      while (!signal.aborted && await visit.sessions.of(visit.context) !== null) {
        const { fragments, lines, over } = await o.look(after);
        const fresh = fragments.filter(({ id, key }) => sent.get(id) !== key);
        for (const { id, key, html } of fresh) {
          sent.set(id, key);
          await stream.writeSSE({ event: "fragment", data: JSON.stringify({ id, html: html() }) });
        }
        if (lines) {
          await stream.writeSSE({ event: "lines", id: String(after = lines.last), data: lines.html });
        }
        if (over) return await stream.writeSSE({ event: "end", data: "" });
        quiet_ms = fresh.length > 0 || lines ? 0 : quiet_ms + o.every_ms;
        // Finds out that nobody listens any more, and keeps proxies from hanging up.
        if (quiet_ms % PING_MS >= PING_MS - o.every_ms) await stream.writeSSE({ event: "ping", data: "" });
        await sleep(o.every_ms, signal);
      }
    } finally {
      open--;
    }
  }, (error) => Promise.reject(error));
}

function startOf({ context, url }: Visit): number {
  const given = [context.req.header("last-event-id"), url.searchParams.get("after")].map(Number);
  return Math.max(0, ...given.filter(Number.isSafeInteger));
}
