import { type Clock, DAY_MS, iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Acknowledgement, AcknowledgementStore } from "../stores/runs/port.ts";
import { type Anomaly, anomalyId } from "./anomaly.ts";

/** An open anomaly with its acknowledgement, as plain JSON. */
export interface OpenAnomaly extends Anomaly {
  /** {@link anomalyId}: what it is acknowledged by. */
  readonly id: string;
  /** Null while it counts. */
  readonly acknowledged: Pick<Acknowledgement, "by" | "at" | "until"> | null;
}

/** How long an acknowledgement may hold, in days: a permanent exception needs a fix or another setting. */
const MAX_DAYS = 90;
/** The longest name of a person. */
const MAX_NAME = 60;

/**
 * Marks the anomalies that are acknowledged at `now`, and puts them last. One that began after the incident that was acknowledged counts again;
 * one without a known beginning, which was found just now, is acknowledged as long as that holds.
 */
export function withAcknowledgements(
  open: readonly Anomaly[],
  acknowledgements: readonly Acknowledgement[],
  { now, found_at }: { now: number; found_at: string },
): OpenAnomaly[] {
  const byId = new Map(acknowledgements.map((each) => [each.anomaly_id, each]));
  return open.map((anomaly) => {
    const id = anomalyId(anomaly);
    const known = byId.get(id);
    const same = known !== undefined && (anomaly.since <= known.since || anomaly.since === found_at);
    const holds = same && Date.parse(known.until) > now;
    return {
      ...anomaly,
      id,
      acknowledged: holds ? { by: known.by, at: known.at, until: known.until } : null,
    };
  }).sort((a, b) => Number(a.acknowledged !== null) - Number(b.acknowledged !== null));
}

/** Acknowledges an open anomaly by its id; `not_found` names those that are open. */
export async function acknowledge(
  { runs, open, clock, ...options }: {
    runs: Pick<AcknowledgementStore, "acknowledge">;
    open: readonly OpenAnomaly[];
    clock: Clock;
    id: string;
    by: string;
    /** As {@link parseUntil} takes it. */
    until: string;
  },
): Promise<Acknowledgement> {
  const now = clock.now();
  const until = parseUntil(options.until, now);
  const since = open.filter(({ id }) => id === options.id).map((each) => each.since).sort().at(-1);
  if (since === undefined) {
    const ids = [...new Set(open.map(({ id }) => id))].join(", ");
    const which = ids === "" ? "nothing is open" : `open are ${ids}`;
    throw new ParleyError("not_found", `no open anomaly has this id; ${which}`);
  }
  const acknowledgement = { anomaly_id: options.id, since, by: options.by, at: iso(now), until };
  await runs.acknowledge(acknowledgement);
  return acknowledgement;
}

/** When an acknowledgement of it ends before its time: what is found as it is now has no beginning that could be a later one. */
export function acknowledgedHow({ code }: Pick<Anomaly, "code">): string {
  return LIVE.has(code) ? "also if it is over and begins again" : "unless it begins again";
}
const LIVE: ReadonlySet<string> = new Set(["store_unreachable", "store_emptied", "damaged_index"]);

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: DAY_MS };

/** From now on for `30m`, `8h` or `7d`, or until an ISO 8601 time with an offset; as an ISO time in UTC. */
export function parseUntil(text: string, now: number): string {
  const [, n, unit = ""] = /^(\d{1,6})([mhd])$/.exec(text.trim()) ?? [];
  const at = n === undefined ? instantOf(text.trim()) : now + Number(n) * UNITS[unit]!;
  if (at > now && at <= now + MAX_DAYS * DAY_MS) return iso(at);
  throw new ParleyError("invalid", `an acknowledgement holds until a time to come, within ${MAX_DAYS} days`);
}

function instantOf(text: string): number {
  try {
    return Temporal.Instant.from(text).epochMilliseconds;
  } catch (error) {
    const rule = "write until when as 30m, 8h, 7d or 2026-05-01T08:00:00Z";
    throw new ParleyError("invalid", rule, { cause: error });
  }
}

/** Who acknowledged: the name that was given, and the key that was shown, as its fingerprint. */
export function acknowledger({ name, key }: { name: string; key: string | null }): string {
  const given = name.trim();
  if (given.length > MAX_NAME || /\p{C}/u.test(given)) {
    throw new ParleyError("invalid", `a name has at most ${MAX_NAME} characters, in one line`);
  }
  if (key === null) return given === "" ? "someone without a login" : given;
  return given === "" ? `key ${key}` : `${given} (key ${key})`;
}
