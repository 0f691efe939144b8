import { loadScales } from "../../deps.ts";
import { stateLabel } from "./state.tsx";
import { duration, span } from "./time.tsx";

const { scaleLinear } = await loadScales();

/** A bar, such as an attempt. Times are epoch milliseconds. */
export interface Span {
  readonly row: string;
  readonly name: string;
  readonly state: string;
  readonly from: number;
  readonly to: number;
}

const ROW = 26;
const LEFT = 130;
const HEAD = 22;

/** A timeline: a row per task, a bar per attempt, with time from the start of the first one. */
export function Gantt(
  { label, rows, spans, width = 1120 }: {
    label: string;
    rows: readonly string[];
    spans: readonly Span[];
    width?: number;
  },
) {
  const from = Math.min(...spans.map((each) => each.from));
  const to = Math.max(...spans.map((each) => each.to), from + 1);
  const x = scaleLinear([0, to - from], [LEFT, width - 70]);
  const height = HEAD + ROW * rows.length + 4;
  const top = (row: string) => HEAD + ROW * rows.indexOf(row);
  return (
    <div class="scroll gantt" role="region" aria-label={label} tabindex={0}>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={summary(label, spans)}>
        {x.ticks(6).map((ms) => (
          <>
            <path class="level" d={`M${x(ms)},${HEAD - 4}V${height}`} />
            <text class="tick" x={x(ms)} y="12" text-anchor="middle">{ms === 0 ? "0" : tick(ms)}</text>
          </>
        ))}
        {rows.map((row) => (
          <text
            class="name"
            x={LEFT - 10}
            y={top(row) + ROW / 2}
            text-anchor="end"
            dominant-baseline="central"
          >
            {row}
          </text>
        ))}
        {spans.map((each) => {
          const start = x(each.from - from);
          const barWidth = Math.max(3, x(each.to - from) - start);
          return (
            <g class={`is-${stateLabel(each.state).look}`}>
              <rect class="bar" x={start} y={top(each.row) + 5} width={barWidth} height={ROW - 10} rx="3">
                <title>
                  {`${each.name}: ${stateLabel(each.state).name}, ${duration(each.to - each.from)}`}
                </title>
              </rect>
              <text
                class="value"
                x={start + barWidth + 5}
                y={top(each.row) + ROW / 2}
                dominant-baseline="central"
              >
                {isLast(each, spans) ? duration(each.to - each.from) : ""}
              </text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function tick(ms: number): string {
  return ms < 1_000 || ms % 1_000 === 0 ? span(ms) : `${ms / 1_000} s`;
}

/** Only the last bar of a row has room for its duration. */
function isLast(span: Span, spans: readonly Span[]): boolean {
  return !spans.some(({ row, from }) => row === span.row && from > span.from);
}

function summary(label: string, spans: readonly Span[]): string {
  return `${label}: ${
    spans.map(({ name, state, from, to }) => `${name} ${stateLabel(state).name} in ${duration(to - from)}`)
      .join(
        "; ",
      )
  }`;
}
