import type { LogLine, LogStore } from "../../../lib/stores/runs/port.ts";
import { Section } from "../../components/layout.tsx";
import { Time } from "../../components/time.tsx";

type Line = LogLine & { readonly seq: number };

interface Tail {
  readonly lines: readonly Line[];
  /** Whether there are lines before these. */
  readonly cut: boolean;
}

const AT_ONCE = 1_000;
const SHOWN = 500;

/** The last lines of a log. */
export async function tail(
  runs: Pick<LogStore, "logs">,
  which: { run_id: string; task_id?: string; attempt?: number },
): Promise<Tail> {
  let lines: Line[] = [];
  let cut = false;
  for (let after = 0;;) {
    const next = await runs.logs({ ...which, after, limit: AT_ONCE });
    cut ||= lines.length + next.length > SHOWN;
    lines = [...lines, ...next].slice(-SHOWN);
    if (next.length < AT_ONCE) return { lines, cut };
    after = next.at(-1)!.seq;
  }
}

/** A run's log, of one task or attempt where asked for; the page's script adds what comes. */
export function Log({ run_id, tasks, filter, log, over }: {
  run_id: string;
  tasks: readonly string[];
  filter: { task_id?: string; attempt?: number };
  log: Tail;
  over: boolean;
}) {
  const { task_id, attempt } = filter;
  const of = task_id === undefined
    ? "of all tasks"
    : `of ${task_id}${attempt === undefined ? "" : `, attempt ${attempt}`}`;
  return (
    <Section id="log-part" title="Log" aside={of}>
      <form method="get" action="#log-part" class="filters">
        <div class="field">
          <label for="task">Task</label>
          <select id="task" name="task">
            <option value="">all</option>
            {tasks.map((id) => <option selected={id === task_id}>{id}</option>)}
          </select>
        </div>
        <button type="submit">Show</button>
      </form>
      {log.cut && (
        <p class="empty">
          The last {SHOWN} lines; <code>deno task pipeline logs {run_id}</code> has all of them.
        </p>
      )}
      {log.lines.length === 0 && (
        <p class="empty" id="log-empty">
          {over ? "It said nothing." : "Nothing was said yet; this page follows."}
        </p>
      )}
      <ol class="log" id="log" tabindex={0} aria-label={`Log ${of}`}>
        <LogLines lines={log.lines} />
      </ol>
    </Section>
  );
}

export function LogLines({ lines }: { lines: readonly Line[] }) {
  return (
    <>
      {lines.map(({ at, task_id, attempt, line }) => (
        <li>
          <Time at={at} as="clock" /> <span class="who">{task_id}/{attempt}</span>
          {line}
        </li>
      ))}
    </>
  );
}
