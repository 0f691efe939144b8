import type { Step } from "../../../lib/recommend/request_trace.ts";
import { Bars } from "../../components/bars.tsx";
import { Section } from "../../components/layout.tsx";

/** When each stage ran, as a waterfall. */
export function Timings({ steps }: { steps: readonly Step[] }) {
  const total = Math.max(...steps.map(({ to_ms }) => to_ms), 0.1);
  const bars = steps.map(({ stage, from_ms, to_ms }) => ({
    name: stage,
    parts: [{
      from: from_ms / total,
      to: to_ms / total,
      series: stage === "rank" ? 3 as const : 1 as const,
      title: `from ${formatTiming(from_ms)} to ${formatTiming(to_ms)}`,
    }],
    value: formatTiming(to_ms - from_ms),
  }));
  return (
    <Section title="Stages" aside={`${formatTiming(total)} in all, without the cache`}>
      <figure class="chart waterfall">
        <Bars bars={bars} axis={[formatTiming(0), formatTiming(total / 2), formatTiming(total)]} />
      </figure>
    </Section>
  );
}

function formatTiming(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}
