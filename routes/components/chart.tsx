import { DAY_MS } from "../../lib/core/clock.ts";
import { loadScales, loadShapes } from "../../deps.ts";
import { formatNumber } from "./format_number.ts";

const { scaleLinear, scaleUtc } = await loadScales();
const { area, line } = await loadShapes();

/** A value at a time, `x` in epoch milliseconds, and its interval if it has one. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}
export interface Series {
  readonly name: string;
  readonly points: readonly ChartPoint[];
}

interface LineChartProps {
  /** What the chart shows; it is written above it. */
  readonly title: string;
  /** At most four, each with its own colour and dash. */
  readonly series: readonly Series[];
  readonly format?: (value: number) => string;
  /** Default 480 × 174. The chart scales with the page. */
  readonly width?: number;
  readonly height?: number;
}

const MARGIN = { top: 12, right: 22, bottom: 30, left: 50 };

/** Lines over time, with bands for intervals, and the same numbers as a table. */
export function LineChart({ format = formatNumber, width = 480, height = 174, ...p }: LineChartProps) {
  const points = p.series.flatMap(({ points }) => points);
  if (points.length === 0) return null;
  const xs = points.map(({ x }) => x);
  const x = scaleUtc([Math.min(...xs), Math.max(...xs)], [MARGIN.left, width - MARGIN.right])
    .interpolate(tenths);
  const top = Math.max(...points.map(({ y, high }) => high ?? y)) || 1;
  const y = scaleLinear([0, top], [height - MARGIN.bottom, MARGIN.top]).nice(4)
    .interpolate(tenths);
  return (
    <figure class="chart">
      <figcaption>{p.title}</figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        <Levels y={y} width={width} format={format} />
        <Times
          at={x.ticks(width / 110)}
          daily={xs.every((at) => at % DAY_MS === 0)}
          x={x}
          y={height - 8}
          maxX={width - 4}
        />
        {p.series.map((series, i) => <Line series={series} nth={i + 1} x={x} y={y} format={format} />)}
      </svg>
      {p.series.length > 1 && <Names series={p.series} />}
      <Numbers series={p.series} format={format} />
    </figure>
  );
}

/** The page's script turns hours into the viewer's zone. Days are days in UTC, so they stay. */
function Times(
  { at, daily, x, y, maxX }: {
    at: readonly Date[];
    daily: boolean;
    x: (at: Date) => number;
    y: number;
    maxX: number;
  },
) {
  return (
    <g>
      {at.filter((each) => each.getTime() % (daily ? DAY_MS : MINUTE_MS) === 0).map((each) => (
        <text
          class="tick"
          x={Math.min(x(each), maxX)}
          y={y}
          text-anchor={x(each) > maxX - 26 ? "end" : "middle"}
          {...daily ? {} : { "data-at": each.toISOString() }}
        >
          <title>{`${day(each.getTime())} UTC`}</title>
          {daily ? DAY.format(each) : each.toISOString().slice(11, 16)}
        </text>
      ))}
    </g>
  );
}

const MINUTE_MS = 60_000;
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

function Line(
  { series: { name, points }, nth, x, y, format }: {
    series: Series;
    nth: number;
    x: (at: number) => number;
    y: (value: number) => number;
    format: (value: number) => string;
  },
) {
  const banded = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  const band = area<ChartPoint>().x((p) => x(p.x)).y0((p) => y(p.low ?? p.y)).y1((p) => y(p.high ?? p.y));
  return (
    <g class={`series-${nth}`}>
      {banded.length > 1 && <path class="band" d={band(banded) ?? ""} />}
      <path class="line" d={line<ChartPoint>().x((p) => x(p.x)).y((p) => y(p.y))(points) ?? ""} />
      {points.length <= 60 && points.map((p) => (
        <circle class="dot" cx={x(p.x)} cy={y(p.y)} r="2.5">
          <title>{`${name}: ${format(p.y)} · ${day(p.x)} UTC`}</title>
        </circle>
      ))}
    </g>
  );
}

/** A line as small as a word. `label` says what it shows. */
export function Sparkline({ values, label }: { values: readonly number[]; label: string }) {
  if (values.length < 2) return null;
  const x = scaleLinear([0, values.length - 1], [2, 98]);
  const y = scaleLinear([0, Math.max(...values) || 1], [22, 2]);
  const d = line<number>().x((_, i) => x(i)).y((value) => y(value))(values) ?? "";
  return (
    <svg class="spark series-1" viewBox="0 0 100 24" role="img" aria-label={label}>
      <path class="line" d={d} />
    </svg>
  );
}

function Levels(
  { y, width, format }: {
    y: { (value: number): number; ticks(n: number): number[] };
    width: number;
    format: (value: number) => string;
  },
) {
  return (
    <g>
      {y.ticks(4).map((value) => (
        <>
          <path class="level" d={`M${MARGIN.left},${y(value)}H${width - MARGIN.right}`} />
          <text class="tick" x={MARGIN.left - 8} y={y(value)} text-anchor="end" dominant-baseline="central">
            {format(value)}
          </text>
        </>
      ))}
    </g>
  );
}

function Names({ series }: { series: readonly Series[] }) {
  return (
    <ul class="names">
      {series.map(({ name }, i) => (
        <li class={`series-${i + 1}`}>
          <svg viewBox="0 0 24 8" aria-hidden="true">
            <path class="line" d="M1,4H23" />
          </svg>
          {name}
        </li>
      ))}
    </ul>
  );
}

/** The chart's numbers as a folded table, for those who cannot see the chart or want exact values. */
function Numbers({ series, format }: { series: readonly Series[]; format: (value: number) => string }) {
  const at = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  return (
    <details class="numbers">
      <summary>The numbers</summary>
      <div class="scroll" tabindex={0} role="region" aria-label="The chart's numbers">
        <table>
          <thead>
            <tr>
              <th scope="col">Time (UTC)</th>
              {series.map(({ name }) => <th scope="col" class="numeric">{name}</th>)}
            </tr>
          </thead>
          <tbody>
            {at.map((x) => (
              <tr>
                <th scope="row">{day(x)}</th>
                {series.map(({ points }) => (
                  <td class="numeric">{valueText(points.find((p) => p.x === x), format)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function valueText(point: ChartPoint | undefined, format: (value: number) => string): string {
  if (point === undefined) return "";
  const { y, low, high } = point;
  return low === undefined || high === undefined
    ? format(y)
    : `${format(y)} (${format(low)} – ${format(high)})`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace("T", " ").replace(" 00:00", "");
}

/** Interpolates to a tenth of a pixel: more digits only add bytes. */
function tenths(from: number, to: number): (t: number) => number {
  return (t) => Math.round(10 * (from + t * (to - from))) / 10;
}
