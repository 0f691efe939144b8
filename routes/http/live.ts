import { abortable, onAbort, sleep } from "../../lib/core/abort.ts";
import { HttpError } from "./problem.ts";
import type { PageRequest } from "./page.ts";

/** A part of a page by its element's id. `html` is asked for only where `key` is another than the last time. */
export interface Fragment {
  readonly id: string;
  readonly key: string;
  readonly html: () => string;
}

/** How a page stands at one moment. */
interface LiveSnapshot {
  readonly fragments: readonly Fragment[];
  /** New lines for its log, with the number of the last one. */
  readonly lines?: { readonly html: string; readonly last: number } | null;
  /** Nothing will change any more. */
  readonly over: boolean;
}

interface LiveOptions {
  readonly every_ms: number;
  readonly takeSnapshot: (after: number) => Promise<LiveSnapshot>;
}

/** Streams at one time; each asks the run store once an interval. */
const MAX_STREAMS = 64;
const PING_MS = 15_000;
const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  // Tells nginx to pass each event on at once.
  "x-accel-buffering": "no",
};
let open = 0;

/**
 * Server-Sent Events `fragment` (`{ id, html }`), `lines` (HTML, its id the number of the last line) and `end`. A browser that
 * comes back says which lines it has by `Last-Event-ID`, or by `?after=` if it starts over. What is sent ends with the
 * session that asked for it. The first takeSnapshot comes before the answer, so that what is missing is a 404 and a store that is down
 * a 503; a later error ends this stream and is reported.
 */
export async function live(visit: PageRequest, options: LiveOptions): Promise<Response> {
  const release = takeSlot();
  const { method, raw } = visit.context.req;
  try {
    const first = await abortable(raw.signal, () => options.takeSnapshot(startOf(visit)));
    if (method !== "HEAD") {
      return new Response(streamOf(visit, options, first, release), { headers: HEADERS });
    }
  } catch (error) {
    release();
    throw error;
  }
  release();
  return new Response(null, { headers: HEADERS });
}

/** Takes one of the slots, or throws 503; what it returns gives the slot back, once. */
function takeSlot(): () => void {
  if (open >= MAX_STREAMS) {
    throw new HttpError(503, "unavailable", "too many pages are followed at once: reload later");
  }
  open++;
  let taken = true;
  return () => {
    if (taken) open--;
    taken = false;
  };
}

/** Never errors: an error is reported and closes the stream, as its end, its client and the end of the process do. */
function streamOf(
  visit: PageRequest,
  options: LiveOptions,
  first: LiveSnapshot,
  release: () => void,
): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, visit.context.req.raw.signal, visit.site.closing]);
  const events = eventsOf(visit, options, first, signal);
  // If the client does not read, the events wait to be taken: only this ends them.
  onAbort(signal, () => events.return().then(release));
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { value, done } = await events.next();
        if (!done) return controller.enqueue(encoder.encode(value));
      } catch (error) {
        visit.report(error);
      }
      release();
      if (!gone.signal.aborted) controller.close();
    },
    cancel: () => gone.abort(),
  });
}

async function* eventsOf(
  visit: PageRequest,
  { every_ms, takeSnapshot }: LiveOptions,
  first: LiveSnapshot,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  const sent = new Map<string, string>();
  let after = startOf(visit);
  let quiet_ms = 0;
  for (let moment = first;; moment = await takeSnapshot(after)) {
    const { fragments, lines, over } = moment;
    const fresh = fragments.filter(({ id, key }) => sent.get(id) !== key);
    for (const { id, key, html } of fresh) {
      sent.set(id, key);
      yield eventText("fragment", JSON.stringify({ id, html: html() }));
    }
    if (lines) yield eventText("lines", lines.html, after = lines.last);
    if (over) return yield eventText("end", "");
    quiet_ms = fresh.length > 0 || lines ? 0 : quiet_ms + every_ms;
    // Finds out that the client has gone, and keeps proxies from hanging up.
    if (quiet_ms % PING_MS >= PING_MS - every_ms) yield eventText("ping", "");
    await sleep(every_ms, signal);
    if (signal.aborted || await visit.sessions.of(visit.context) === null) return;
  }
}

/** One event as the HTML standard writes it: a line break in the data starts another `data` line. */
function eventText(event: string, data: string, id?: number): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `event: ${event}\n${lines.join("")}${id === undefined ? "" : `id: ${id}\n`}\n`;
}

function startOf({ context, url }: PageRequest): number {
  const given = [context.req.header("last-event-id"), url.searchParams.get("after")].map(Number);
  return Math.max(0, ...given.filter(Number.isSafeInteger));
}
