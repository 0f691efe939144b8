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

/** The path of an address without one, as in OpenLineage's own clients. */
const PATH = "/api/v1/lineage";
const NAMESPACE = "parley";

/** Parses the URL of a sink: `?namespace=` is Parley's, other parameters are the sink's. */
export function parseSink({ url: address, key }: { url: URL; key: string | null }): SinkAddress {
  const url = new URL(address);
  if (url.pathname === "/") url.pathname = PATH;
  const namespace = url.searchParams.get("namespace") ?? NAMESPACE;
  url.searchParams.delete("namespace");
  return { url, namespace, key };
}

/** How a sink responded to an event. `reason` is for the log and quotes nothing of the response, which may contain data. */
export type Delivery =
  | { readonly kind: "taken" }
  /** The sink rejects this event; others may be accepted. */
  | { readonly kind: "refused"; readonly reason: string }
  /** No response about the event itself: it may be accepted later. */
  | { readonly kind: "failed"; readonly reason: string; readonly retry_after_ms: number | null };

/** Sends one event. Never throws: an abort by the signal is a failure too. */
export async function postEvent(
  { url, key }: SinkAddress,
  event: RunEvent,
  options: { timeout_ms: number; signal: AbortSignal },
): Promise<Delivery> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), options.timeout_ms);
  const stopListening = onAbort(options.signal, () => timeout.abort());
  if (options.signal.aborted) timeout.abort();
  try {
    const { status, headers, body } = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...key === null ? {} : { authorization: `Bearer ${key}` },
      },
      body: JSON.stringify(event),
      // A redirect would send the events to a host that is not configured.
      redirect: "manual",
      signal: timeout.signal,
    });
    await body?.cancel();
    return deliveryOf(status, headers.get("retry-after"));
  } catch (error) {
    return { kind: "failed", reason: failureReason(error, timeout.signal.aborted), retry_after_ms: null };
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

/** Client errors that do not concern the event: a wrong key or path, or a busy sink. */
const SINK_ERRORS: readonly number[] = [401, 403, 404, 405, 407, 408, 425, 429];

function deliveryOf(status: number, retry_after: string | null): Delivery {
  if (status >= 200 && status < 300) return { kind: "taken" };
  const reason = `answers with HTTP ${status}${hintOf(status)}`;
  if (status >= 400 && status < 500 && !SINK_ERRORS.includes(status)) return { kind: "refused", reason };
  return { kind: "failed", reason, retry_after_ms: retryAfter({ retry_after }, Date.now()) };
}

function hintOf(status: number): string {
  if (status === 401 || status === 403) return ": see PARLEY_LINEAGE_KEY";
  if (status < 400 || status === 404 || status === 405) return ": see PARLEY_LINEAGE";
  return "";
}

function failureReason(error: unknown, late: boolean): string {
  if (late) return "does not answer in time";
  return error instanceof Deno.errors.NotCapable
    ? "is out of bounds: run with --allow-net"
    : "cannot be reached";
}
