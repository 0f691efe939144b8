const utc = (at: string) => `${at.slice(0, 19).replace("T", " ")} UTC`;

/** A time, written in UTC. The page's script turns it into the viewer's zone and keeps UTC on hover. */
export function Time({ at, as = "full" }: { at: string; as?: "full" | "clock" }) {
  const text = as === "clock" ? at.slice(11, 19) : utc(at).replace(/:\d\d UTC$/, " UTC");
  return <time datetime={at} title={utc(at)} data-as={as} data-utc={utc(at)}>{text}</time>;
}

/** A day in UTC, by which events are counted. It is not turned into the viewer's zone. */
export function Day({ at }: { at: string }) {
  const day = at.slice(0, 10);
  return <time datetime={day} title={`${day}, a day in UTC`}>{day}</time>;
}

/** How long ago a time is, or in how long it comes. */
export function Ago({ at, now }: { at: string; now: number }) {
  const ms = now - Date.parse(at);
  const text = Math.abs(ms) < 1_000 ? "just now" : ms < 0 ? `in ${span(-ms)}` : `${span(ms)} ago`;
  return <time datetime={at} title={utc(at)} data-as="ago" data-utc={utc(at)}>{text}</time>;
}

const UNITS: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

/** A span of milliseconds in its largest unit, rounded down: `3 d`, `250 ms`. */
export function span(ms: number): string {
  const [size, name] = UNITS.find(([size]) => ms >= size) ?? [1, "ms"];
  return `${Math.floor(ms / size)} ${name}`;
}

/** A duration in its two largest units: `1 h 04 min`, `12.3 s`, `250 ms`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.round(ms / 1_000) / 60;
  if (minutes < 60) return `${Math.floor(minutes)} min ${pad(Math.round(60 * (minutes % 1)))} s`;
  return `${Math.floor(minutes / 60)} h ${pad(Math.floor(minutes % 60))} min`;
}

function pad(n: number): string {
  return String(n).padStart(2, "0");
}

/** How long something lasted, or has lasted until `now`, in milliseconds; null before it begins. */
export function lasted(
  { started_at, ended_at }: { started_at: string | null; ended_at: string | null },
  now: number,
): number | null {
  if (started_at === null) return null;
  return Math.max(0, (ended_at === null ? now : Date.parse(ended_at)) - Date.parse(started_at));
}
