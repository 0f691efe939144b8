import { runPath } from "./run_link.tsx";
/** Each state of a run, task or attempt as a colour class and a sign: colour alone must not carry meaning. */
const LABELS: Readonly<Record<string, readonly [look: string, sign: string, name?: string]>> = Object.freeze({
  success: ["good", "✓"],
  running: ["busy", "▶"],
  failed: ["bad", "✕"],
  timed_out: ["bad", "✕", "timed out"],
  upstream_failed: ["warn", "↥", "upstream failed"],
  lost: ["warn", "?"],
  interrupted: ["warn", "‖"],
  cancelled: ["off", "⊘"],
  skipped: ["off", "»"],
  removed: ["off", "−"],
  queued: ["wait", "…"],
  ready: ["wait", "…"],
  waiting: ["idle", "·"],
  none: ["idle", "·", "not in this run"],
});

export function stateLabel(state: string): { look: string; sign: string; name: string } {
  const [look = "idle", sign = "·", name = state] = LABELS[state] ?? [];
  return { look, sign, name };
}

/** A word with its colour class, such as `good`, and its sign. */
export function Mark({ look, sign, name }: { look: string; sign: string; name: string }) {
  return (
    <span class={`state is-${look}`}>
      <span aria-hidden="true">{sign}</span>
      {name}
    </span>
  );
}

export function State({ state }: { state: string }) {
  return <Mark {...stateLabel(state)} />;
}

/** The signs of the grid and the graphs, explained. */
export function Legend({ states }: { states: readonly string[] }) {
  return (
    <ul class="legend" aria-label="Legend">
      {states.map((state) => (
        <li>
          <State state={state} />
        </li>
      ))}
    </ul>
  );
}

/** Runs as small squares, each a link. */
export function RecentRuns(
  { runs }: { runs: readonly { readonly run_id: string; readonly state: string }[] },
) {
  if (runs.length === 0) return null;
  return (
    <span class="strip">
      {runs.map(({ run_id, state }) => {
        const { look, sign, name } = stateLabel(state);
        const label = `${run_id}: ${name}`;
        return (
          <a
            class={`cell is-${look}`}
            href={runPath(run_id)}
            aria-label={label}
            title={label}
          >
            {sign}
          </a>
        );
      })}
    </span>
  );
}
