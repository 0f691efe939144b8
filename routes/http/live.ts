import { abortable, onAbort, sleep } from "../../lib/core/abort.ts";
import { HttpError } from "./problem.ts";
import type { PageRequest } from "./page.ts";

/** A part of a page, by its element's id. It is rendered and sent only if `key` changed. */
export interface Fragment {
  readonly id: string;
  readonly key: string;
  readonly html: () => string;
}

/** A page at one moment. */
export interface LiveSnapshot {
  readonly fragments: readonly Fragment[];
  /** New lines for its log, with the number of the last one. */
  readonly lines?: { readonly html: string; readonly last: number } | null;
  /** Whether nothing will change any more. */
  readonly over: boolean;
}

interface LiveOptions {
  readonly every_ms: number;
  readonly takeSnapshot: (after: number) => Promise<LiveSnapshot>;
}

/** Each stream reads the run store once per interval. */
const MAX_STREAMS = 64;
const PING_MS = 15_000;
const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  // Keeps nginx from buffering events.
  "x-accel-buffering": "no",
};
let open = 0;

/**
 * Server-Sent Events `fragment` (`{ id, html }`), `lines` (HTML, with the number of the last line as id) and `end`. A browser
 * that reconnects says which lines it has by `Last-Event-ID`, or by `?after=`. The stream ends with its session. The first
 * snapshot is taken before the response begins, so that what is missing is a 404 and a store that is down a 503. A later
 * error ends this stream and is reported.
 */
export async function live(request: PageRequest, options: LiveOptions): Promise<Response> {
  const release = takeSlot();
  const { method, raw } = request.http.req;
  try {
    const first = await abortable(raw.signal, () => options.takeSnapshot(startOf(request)));
    if (method !== "HEAD") {
      return new Response(streamOf(request, options, first, release), { headers: HEADERS });
    }
  } catch (error) {
    release();
    throw error;
  }
  release();
  return new Response(null, { headers: HEADERS });
}

/** Takes a slot, or throws 503. The function that it returns gives the slot back, once. */
function takeSlot(): () => void {
  if (open >= MAX_STREAMS) {
    throw new HttpError(503, "unavailable", "too many pages are live at once: reload later");
  }
  open++;
  let held = true;
  return () => {
    if (held) open--;
    held = false;
  };
}

/** Never errors: an error is reported and closes the stream, as its end, its client and the end of the process do. */
function streamOf(
  request: PageRequest,
  options: LiveOptions,
  first: LiveSnapshot,
  release: () => void,
): ReadableStream<Uint8Array> {
  const cancelled = new AbortController();
  const signal = AbortSignal.any([cancelled.signal, request.http.req.raw.signal, request.context.closing]);
  const events = eventsOf(request, options, first, signal);
  // If the client does not read, nothing else ends the events.
  onAbort(signal, () => events.return().then(release));
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { value, done } = await events.next();
        if (!done) return controller.enqueue(encoder.encode(value));
      } catch (error) {
        request.report(error);
      }
      release();
      if (!cancelled.signal.aborted) controller.close();
    },
    cancel: () => cancelled.abort(),
  });
}

async function* eventsOf(
  request: PageRequest,
  { every_ms, takeSnapshot }: LiveOptions,
  first: LiveSnapshot,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  const sent = new Map<string, string>();
  let after = startOf(request);
  let quiet_ms = 0;
  for (let snapshot = first;; snapshot = await takeSnapshot(after)) {
    const { fragments, lines, over } = snapshot;
    const changed = fragments.filter(({ id, key }) => sent.get(id) !== key);
    for (const { id, key, html } of changed) {
      sent.set(id, key);
      yield eventText("fragment", JSON.stringify({ id, html: html() }));
    }
    if (lines) yield eventText("lines", lines.html, after = lines.last);
    if (over) return yield eventText("end", "");
    quiet_ms = changed.length > 0 || lines ? 0 : quiet_ms + every_ms;
    // Detects that the client disconnected, and keeps proxies from closing the connection.
    if (quiet_ms % PING_MS >= PING_MS - every_ms) yield eventText("ping", "");
    await sleep(every_ms, signal);
    if (signal.aborted || await request.sessions.of(request.http) === null) return;
  }
}

/** One event as the HTML standard writes it: a line break in the data starts another `data` line. */
function eventText(event: string, data: string, id?: number): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `event: ${event}\n${lines.join("")}${id === undefined ? "" : `id: ${id}\n`}\n`;
}

function startOf({ http, url }: PageRequest): number {
  const numbers = [http.req.header("last-event-id"), url.searchParams.get("after")].map(Number);
  return Math.max(0, ...numbers.filter(Number.isSafeInteger));
}
