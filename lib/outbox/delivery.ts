import { onAbort } from "../core/abort.ts";
import { retryAfter } from "../core/backoff.ts";

/** How a sink responded to an entry. `reason` is for the log and quotes nothing of the response, which may contain data. */
export type Delivery =
  | { readonly kind: "taken" }
  /** The sink rejects this entry; others may be accepted. */
  | { readonly kind: "refused"; readonly reason: string }
  /** No response about the entry itself: it may be accepted later. */
  | { readonly kind: "failed"; readonly reason: string; readonly retry_after_ms: number | null };

export interface DeliveryLimits {
  readonly timeout_ms: number;
  readonly signal: AbortSignal;
}

/** Posts JSON. Never throws: an abort by the signal is a failure too. */
export async function postJson(
  { url, headers, body, settings }: {
    url: URL;
    headers: Readonly<Record<string, string>>;
    body: string;
    /** The settings that a wrong address and a wrong key come from. */
    settings: { readonly url: string; readonly key: string };
  },
  limits: DeliveryLimits,
): Promise<Delivery> {
  return await withDeadline(limits, async (signal) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
      // A redirect would send the entries to a host that is not configured.
      redirect: "manual",
      signal,
    });
    await response.body?.cancel();
    return deliveryOf(response, settings);
  });
}

/** Makes of what goes wrong in `deliver`, or takes too long, a failure. */
export async function withDeadline(
  { timeout_ms, signal }: DeliveryLimits,
  deliver: (signal: AbortSignal) => Promise<Delivery>,
): Promise<Delivery> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeout_ms);
  const stopListening = onAbort(signal, () => timeout.abort());
  if (signal.aborted) timeout.abort();
  try {
    return await deliver(timeout.signal);
  } catch (error) {
    return { kind: "failed", reason: failureReason(error, timeout.signal.aborted), retry_after_ms: null };
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

/** Client errors that do not concern the entry: a wrong key or path, or a busy sink. */
const SINK_ERRORS: readonly number[] = [401, 403, 404, 405, 407, 408, 425, 429];

function deliveryOf({ status, headers }: Response, settings: { url: string; key: string }): Delivery {
  if (status >= 200 && status < 300) return { kind: "taken" };
  const reason = `answers with HTTP ${status}${hintOf(status, settings)}`;
  if (status >= 400 && status < 500 && !SINK_ERRORS.includes(status)) return { kind: "refused", reason };
  return {
    kind: "failed",
    reason,
    retry_after_ms: retryAfter({ retry_after: headers.get("retry-after") }, Date.now()),
  };
}

function hintOf(status: number, settings: { url: string; key: string }): string {
  if (status === 401 || status === 403) return `: see ${settings.key}`;
  if (status < 400 || status === 404 || status === 405) return `: see ${settings.url}`;
  return "";
}

function failureReason(error: unknown, late: boolean): string {
  if (late) return "does not answer in time";
  return error instanceof Deno.errors.NotCapable
    ? "is out of bounds: run with --allow-net"
    : "cannot be reached";
}
