import type { Step } from "../../../lib/recommend/request_trace.ts";
import { Bars } from "../../components/bars.tsx";
import { Section } from "../../components/layout.tsx";

/** When each stage ran, as a waterfall: what follows waits for what comes before. */
export function Timings({ steps }: { steps: readonly Step[] }) {
  const total = Math.max(...steps.map(({ to_ms }) => to_ms), 0.1);
  const bars = steps.map(({ stage, from_ms, to_ms }) => ({
    name: stage,
    parts: [{
      from: from_ms / total,
      to: to_ms / total,
      series: stage === "rank" ? 3 as const : 1 as const,
      title: `from ${said(from_ms)} to ${said(to_ms)}`,
    }],
    value: said(to_ms - from_ms),
  }));
  return (
    <Section title="Stages" aside={`${said(total)} in all, without the cache`}>
      <figure class="chart waterfall">
        <Bars bars={bars} axis={[said(0), said(total / 2), said(total)]} />
      </figure>
    </Section>
  );
}

function said(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}
