import { Select } from "../../components/form.tsx";
import { Section } from "../../components/layout.tsx";
import { Time } from "../../components/time.tsx";
import { type Line, type LogFilter, MAX_LINES, type Tail } from "./data.ts";

/** A run's log, or that of one task or attempt. The page's script adds new lines. */
export function Log({ run_id, tasks, filter, log, over }: {
  run_id: string;
  tasks: readonly string[];
  filter: LogFilter;
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
        <Select id="task" label="Task" all="all" values={tasks} selected={task_id} />
        <button type="submit">Show</button>
      </form>
      {log.cut && (
        <p class="empty">
          The last {MAX_LINES} lines; <code>deno task pipeline logs {run_id}</code> has all of them.
        </p>
      )}
      {log.lines.length === 0 && (
        <p class="empty" id="log-empty">
          {over ? "It logged nothing." : "Nothing is logged yet. New lines appear here."}
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
