import type { AttemptOfRun, LineageOutbox, UnsentAttempt } from "../stores/runs/port.ts";
import { type Delivery, type DeliveryLimits, postJson } from "../outbox/delivery.ts";
import type { OutboxSink } from "../outbox/sender.ts";
import { eventsOf } from "./events.ts";

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

/** The attempts of a run store, to be sent to a sink by this version of Parley. */
export function lineageSink(
  { outbox, address, version }: { outbox: LineageOutbox; address: SinkAddress; version: string },
): OutboxSink<UnsentAttempt> {
  const { namespace } = address;
  return {
    name: "lineage sink",
    host: address.url.host,
    batch: 20,
    take: (options) => outbox.takeUnsent(options),
    markSent: ({ entries, again_at }) => outbox.markSent({ attempts: entries.map(keyOf), again_at }),
    send: (unsent, limits) => sendEvents(address, eventsOf(unsent, { namespace, version }), limits),
    nameOf: ({ run, attempt }) => `${attempt.task_id}, attempt ${attempt.attempt} of ${run.run_id}`,
  };
}

async function sendEvents(
  { url, key }: SinkAddress,
  events: readonly object[],
  limits: DeliveryLimits,
): Promise<Delivery> {
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  const settings = { url: "PARLEY_LINEAGE", key: "PARLEY_LINEAGE_KEY" };
  for (const event of events) {
    const delivery = await postJson({ url, headers, body: JSON.stringify(event), settings }, limits);
    if (delivery.kind !== "taken") return delivery;
  }
  return { kind: "taken" };
}

function keyOf({ run: { run_id }, attempt }: UnsentAttempt): AttemptOfRun & { running: boolean } {
  const { task_id, attempt: number, ended_at } = attempt;
  return { run_id, task_id, attempt: number, running: ended_at === null };
}
