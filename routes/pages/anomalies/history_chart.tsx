import { loadScales, loadShapes } from "../../../deps.ts";
import type { Unit } from "../../../lib/monitoring/anomaly.ts";
import { inUnit } from "../../components/anomaly_table.tsx";

const { scaleLinear } = await loadScales();
const { line } = await loadShapes();

const [WIDTH, HEIGHT, RIGHT] = [420, 96, 96];

/** The values that a value was compared with, itself last and marked, and the usual range. */
export function HistoryChart(
  { history, expected, usual, unit }: {
    history: readonly number[];
    expected: number;
    usual?: readonly [low: number, high: number] | undefined;
    unit: Unit;
  },
) {
  const last = history.at(-1);
  if (last === undefined || history.length < 2) return null;
  const top = Math.max(...history, expected, usual?.[1] ?? 0) || 1;
  const x = scaleLinear([0, history.length - 1], [6, WIDTH - RIGHT]);
  const y = scaleLinear([0, top], [HEIGHT - 6, 8]);
  const at = (value: number) => Math.round(10 * y(value)) / 10;
  const d = line<number>().x((_, i) => Math.round(10 * x(i)) / 10).y(at)(history) ?? "";
  return (
    <figure class="chart history">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={describe({ history, expected, usual, unit })}
      >
        {usual !== undefined && (
          <rect
            class="usual"
            x="0"
            y={at(usual[1])}
            width={WIDTH - RIGHT + 6}
            height={Math.max(1, at(usual[0]) - at(usual[1]))}
          >
            <title>{`usual: ${inUnit(usual[0], unit)} to ${inUnit(usual[1], unit)}`}</title>
          </rect>
        )}
        <path class="expected" d={`M0,${at(expected)}H${WIDTH - RIGHT + 6}`} />
        <g class="series-1">
          <path class="line" d={d} />
        </g>
        <circle class="marked" cx={x(history.length - 1)} cy={at(last)} r="4.5" />
        <text class="value" x={WIDTH - RIGHT + 10} y={at(last)} dominant-baseline="central">
          {inUnit(last, unit)}
        </text>
      </svg>
    </figure>
  );
}

function describe(
  { history, expected, usual, unit }: {
    history: readonly number[];
    expected: number;
    usual: readonly [number, number] | undefined;
    unit: Unit;
  },
): string {
  const range = usual === undefined ? "" : `, ${inUnit(usual[0], unit)} to ${inUnit(usual[1], unit)} usual`;
  return `${history.length} values, newest last: ${history.map((value) => inUnit(value, unit)).join(", ")}; ${
    inUnit(expected, unit)
  } expected${range}`;
}
