import type { Step } from "../../lib/recommend/trace.ts";
import { Section } from "./layout.tsx";

const [LEFT, WIDTH, ROW, HEAD] = [110, 620, 26, 20];

/** When each stage ran, as a waterfall: what follows waits for what comes before. */
export function Timings({ steps }: { steps: readonly Step[] }) {
  const total = Math.max(...steps.map(({ to_ms }) => to_ms), 0.1);
  const x = (ms: number) => Math.round(10 * (LEFT + ms / total * (WIDTH - LEFT - 90))) / 10;
  const height = HEAD + ROW * steps.length + 4;
  return (
    <Section title="Stages" aside={`${said(total)} in all, without the cache`}>
      <figure class="chart waterfall">
        <svg viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={spoken(steps)}>
          {[0, 0.5, 1].map((share) => (
            <>
              <path class="level" d={`M${x(share * total)},${HEAD - 4}V${height}`} />
              <text class="tick" x={x(share * total)} y="10" text-anchor="middle">{said(share * total)}</text>
            </>
          ))}
          {steps.map(({ stage, from_ms, to_ms }, i) => {
            const middle = HEAD + ROW * i + ROW / 2;
            const wide = Math.max(2, x(to_ms) - x(from_ms));
            return (
              <g class={stage === "rank" ? "series-3" : "series-1"}>
                <text class="name" x={LEFT - 10} y={middle} text-anchor="end" dominant-baseline="central">
                  {stage}
                </text>
                <rect class="bar" x={x(from_ms)} y={middle - 8} width={wide} height="16" rx="2" />
                <text class="value" x={x(from_ms) + wide + 6} y={middle} dominant-baseline="central">
                  {said(to_ms - from_ms)}
                </text>
              </g>
            );
          })}
        </svg>
      </figure>
    </Section>
  );
}

function said(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

function spoken(steps: readonly Step[]): string {
  return steps.map(({ stage, from_ms, to_ms }) =>
    `${stage} from ${said(from_ms)} for ${said(to_ms - from_ms)}`
  ).join("; ");
}
