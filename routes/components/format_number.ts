import { duration } from "./time.tsx";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** A number for people: `12,345`, `3.14`. */
export function formatNumber(value: number): string {
  return (Number.isInteger(value) || Math.abs(value) >= 1_000 ? whole : small).format(value);
}

/** A number, shortened if it is large: `12,345`, `1.23 M`. */
export function formatCompact(value: number): string {
  return value < 100_000 ? formatNumber(value) : compact.format(value).replace(/(?=[A-Z])/, " ");
}

/** A share of one, rounded: `12 %`, `3.4 %`, `> 99.9 %`; a dash for null, or for a share of nothing. */
export function formatPercent(share: number | null): string {
  if (share === null || !Number.isFinite(share)) return "–";
  const p = 100 * share;
  if (p > 0 && p < 0.1) return "< 0.1 %";
  if (p > 99.9 && p < 100) return "> 99.9 %";
  const digits = p > 10 && p < 99 ? 0 : 1;
  return `${Number(p.toFixed(digits))} %`;
}

/** Milliseconds, rounded: `0.4 ms`, `3.1 ms`, `250 ms`, `1.2 s`. */
export function formatMilliseconds(ms: number): string {
  return ms < 10 ? `${Number(ms.toFixed(1))} ms` : duration(ms);
}

/** Bytes with a decimal unit: `1.2 MB`. */
export function formatBytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log(n) / Math.log(1_000)));
  return `${small.format(n / 1_000 ** power)} ${units[power]}`;
}
