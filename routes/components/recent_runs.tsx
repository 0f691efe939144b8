import { type RunRecord, statusOf } from "../../lib/stores/runs/port.ts";
import { stateLabel } from "./state.tsx";

/** Runs as small squares, each a link. */
export function RecentRuns({ runs, now }: { runs: readonly RunRecord[]; now: number }) {
  if (runs.length === 0) return null;
  return (
    <span class="strip">
      {runs.map((run) => {
        const { run_id } = run;
        const { look, sign, name } = stateLabel(statusOf(run, now));
        return (
          <a
            class={`cell is-${look}`}
            href={`/runs/${encodeURIComponent(run_id)}`}
            aria-label={`${run_id}: ${name}`}
            title={`${run_id}: ${name}`}
          >
            {sign}
          </a>
        );
      })}
    </span>
  );
}
