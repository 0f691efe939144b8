/** A part of a bar, from and to a share of the whole width, 0 to 1. */
export interface BarPart {
  readonly from: number;
  readonly to: number;
  readonly series: 1 | 2 | 3 | 4 | 5 | 6 | 7;
  /** Shown on hover, and read out. */
  readonly title: string;
}

interface Bar {
  readonly name: string;
  readonly parts: readonly BarPart[];
  /** An interval around its end, in the same shares. */
  readonly whisker?: readonly [low: number, high: number];
  readonly value: string;
}

/**
 * Horizontal bars. Names and values are text, which wraps and keeps its size on a phone. `axis` is written above the
 * beginning, middle and end of the bars.
 */
export function Bars({ bars, axis }: { bars: readonly Bar[]; axis?: readonly [string, string, string] }) {
  return (
    <ul class="bars">
      {axis !== undefined && (
        <li aria-hidden="true">
          <span class="name"></span>
          <svg class="axis">
            {axis.map((text, i) => (
              <text class="tick" x={`${50 * i}%`} y="12" text-anchor={["start", "middle", "end"][i]!}>
                {text}
              </text>
            ))}
          </svg>
        </li>
      )}
      {bars.map(({ name, parts, whisker, value }) => (
        <li>
          <span class="name">{name}</span>
          <svg role="img" aria-label={parts.map(({ title }) => title).join(", ")}>
            {parts.map(({ from, to, series, title }) => (
              <rect class={`bar series-${series}`} x={at(from)} y="2" width={at(to - from)} height="14">
                <title>{title}</title>
              </rect>
            ))}
            {whisker !== undefined && <Whisker low={at(whisker[0])} high={at(whisker[1])} />}
          </svg>
          <span class="value">{value}</span>
        </li>
      ))}
    </ul>
  );
}

function Whisker({ low, high }: { low: string; high: string }) {
  return (
    <g class="whisker">
      <line x1={low} x2={high} y1="9" y2="9" />
      <line x1={low} x2={low} y1="5" y2="13" />
      <line x1={high} x2={high} y1="5" y2="13" />
    </g>
  );
}

function at(share: number): string {
  return `${Math.round(1_000 * share) / 10}%`;
}
