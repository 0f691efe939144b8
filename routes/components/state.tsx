/** How each state of a run, task or attempt looks: a colour class and a sign, so that colour alone says nothing. */
const LOOKS: Readonly<Record<string, readonly [look: string, sign: string, name?: string]>> = Object.freeze({
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
  const [look = "idle", sign = "·", name = state] = LOOKS[state] ?? [];
  return { look, sign, name };
}

export function State({ state }: { state: string }) {
  const { look, sign, name } = stateLabel(state);
  return (
    <span class={`state is-${look}`}>
      <span aria-hidden="true">{sign}</span>
      {name}
    </span>
  );
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
