const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const shares = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });

/** A figure as people read it: `12,345`, `3.14`. */
export function figure(value: number): string {
  return (Number.isInteger(value) || Math.abs(value) >= 1_000 ? whole : small).format(value);
}

/** A share of one: `12.3 %`, or a dash where there is nothing to have a share of. */
export function percent(share: number | null): string {
  return share === null || !Number.isFinite(share) ? "–" : shares.format(share).replace("%", " %");
}

/** Bytes with a decimal unit: `1.2 MB`. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log(n) / Math.log(1_000)));
  return `${small.format(n / 1_000 ** power)} ${units[power]}`;
}
