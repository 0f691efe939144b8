import { onAbort } from "../core/abort.ts";
import { retryAfter } from "../core/backoff.ts";
import type { RunEvent } from "./events.ts";

/** Where OpenLineage events are sent. */
export interface SinkAddress {
  readonly url: URL;
  /** The namespace of the jobs. */
  readonly namespace: string;
  /** Sent as a bearer token; null for none. */
  readonly key: string | null;
}

/** Where an address without a path leads, as OpenLineage's own clients have it. */
const PATH = "/api/v1/lineage";
const NAMESPACE = "parley";

/** Takes the URL of a sink apart: `?namespace=` is ours, other parameters are the sink's. */
export function sinkAt({ url: given, key }: { url: URL; key: string | null }): SinkAddress {
  const url = new URL(given);
  if (url.pathname === "/") url.pathname = PATH;
  const namespace = url.searchParams.get("namespace") ?? NAMESPACE;
  url.searchParams.delete("namespace");
  return { url, namespace, key };
}

/** How a sink took an event. `said` is for a log: it names no data, as an answer's own words might. */
export type Delivery =
  | { readonly kind: "taken" }
  /** Will not have this event; another may do. */
  | { readonly kind: "refused"; readonly said: string }
  /** No word about the event: it may well be taken later. */
  | { readonly kind: "failed"; readonly said: string; readonly retry_after_ms: number | null };

/** Sends one event. Never throws: an abort by the signal is a failure too. */
export async function post(
  { url, key }: SinkAddress,
  event: RunEvent,
  options: { timeout_ms: number; signal: AbortSignal },
): Promise<Delivery> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), options.timeout_ms);
  const stopListening = onAbort(options.signal, () => limit.abort());
  if (options.signal.aborted) limit.abort();
  try {
    const { status, headers, body } = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...key === null ? {} : { authorization: `Bearer ${key}` },
      },
      body: JSON.stringify(event),
      // Followed, it would take the events to a host that nobody configured.
      redirect: "manual",
      signal: limit.signal,
    });
    await body?.cancel();
    return verdictOf(status, headers.get("retry-after"));
  } catch (error) {
    return { kind: "failed", said: whyUnanswered(error, limit.signal.aborted), retry_after_ms: null };
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

/** Client errors that are no word about the event: a wrong key or path, or a sink that is busy. */
const NOT_THE_EVENT: readonly number[] = [401, 403, 404, 405, 407, 408, 425, 429];

function verdictOf(status: number, retry_after: string | null): Delivery {
  if (status >= 200 && status < 300) return { kind: "taken" };
  const said = `answers with HTTP ${status}${hintOf(status)}`;
  if (status >= 400 && status < 500 && !NOT_THE_EVENT.includes(status)) return { kind: "refused", said };
  return { kind: "failed", said, retry_after_ms: retryAfter({ retry_after }, Date.now()) };
}

function hintOf(status: number): string {
  if (status === 401 || status === 403) return ": see PARLEY_LINEAGE_KEY";
  if (status < 400 || status === 404 || status === 405) return ": see PARLEY_LINEAGE";
  return "";
}

function whyUnanswered(error: unknown, late: boolean): string {
  if (late) return "does not answer in time";
  return error instanceof Deno.errors.NotCapable
    ? "is out of bounds: run with --allow-net"
    : "cannot be reached";
}
