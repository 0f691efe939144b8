import { countsText, summarizeMapped } from "../../../lib/dag/mapped_summary.ts";
import { type RunSnapshot, statusOf } from "../../../lib/stores/runs/port.ts";
import { Empty } from "../../components/layout.tsx";
import { Legend, State, stateLabel } from "../../components/state.tsx";
import { Time } from "../../components/time.tsx";
import { runPath } from "../../components/run_link.tsx";

/** Runs × tasks: a line per run, a square per task, each a link to its attempts. */
export function RunGrid(
  { tasks, snapshots, now }: {
    tasks: readonly string[];
    snapshots: readonly RunSnapshot[];
    now: number;
  },
) {
  if (snapshots.length === 0) {
    return (
      <Empty>
        There are no such runs. Queue a run below, or use <code>deno task pipeline</code>.
      </Empty>
    );
  }
  return (
    <>
      <div class="scroll" role="region" aria-label="Runs and tasks" tabindex={0}>
        <table class="grid">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col">State</th>
              {tasks.map((task) => (
                <th scope="col">
                  <span>{task}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{snapshots.map((snapshot) => <Line tasks={tasks} snapshot={snapshot} now={now} />)}</tbody>
        </table>
      </div>
      <Legend states={["success", "running", "failed", "upstream_failed", "skipped", "ready", "waiting"]} />
    </>
  );
}

function Line(
  { tasks, snapshot, now }: {
    tasks: readonly string[];
    snapshot: RunSnapshot;
    now: number;
  },
) {
  const { run, tasks: records } = snapshot;
  const mapped = summarizeMapped(snapshot);
  const path = runPath(run.run_id);
  const stateOf = new Map(records.map(({ task_id, state }) => [task_id, state]));
  return (
    <tr>
      <th scope="row">
        <a href={path}>
          <Time at={run.logical_date} />
        </a>
      </th>
      <td>
        <State state={statusOf(run, now)} />
      </td>
      {tasks.map((task) => {
        const { look, sign, name } = stateLabel(stateOf.get(task) ?? "none");
        const instances = mapped.get(task);
        const label = `${task}: ${name}${instances === undefined ? "" : ` (${countsText(instances)})`}`;
        return (
          <td>
            <a
              class={`cell is-${look}`}
              href={`${path}?task=${task}#task-${task}`}
              title={label}
              aria-label={label}
            >
              {sign}
            </a>
          </td>
        );
      })}
    </tr>
  );
}
