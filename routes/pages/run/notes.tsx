import type { RunNote } from "../../../lib/stores/runs/port.ts";
import { Action, Field } from "../../components/form.tsx";
import { Section } from "../../components/layout.tsx";
import { Time } from "../../components/time.tsx";
import type { PageRequest } from "../../http/page.ts";
import type { RunPageData } from "./data.ts";

/** What operators did to the run, and a form to mark it or a task once it has ended; nothing without either. */
export function Notes(
  { request, data: { run, dag, order, tasks }, notes }: {
    request: PageRequest;
    data: RunPageData;
    notes: readonly RunNote[];
  },
) {
  const canMark = run.ended_at !== null && dag !== undefined;
  if (!canMark && notes.length === 0) return null;
  const known = new Set(tasks.map(({ task_id }) => task_id));
  return (
    <Section id="notes" title="Marked and cleared">
      {notes.length > 0 && (
        <ol>
          {notes.map(({ task_id, action, by, note, at }) => (
            <li>
              {task_id === null ? "The run" : <code>{task_id}</code>} was {DONE[action]} by {by},{" "}
              <Time at={at} />
              {note !== "" && <>: {note}</>}
            </li>
          ))}
        </ol>
      )}
      {canMark && (
        <details class="form">
          <summary>Mark the run or a task as successful or failed</summary>
          <Action session={request.session} to={`/runs/${encodeURIComponent(run.run_id)}/mark`} label="Mark">
            <div class="pair">
              <Field id="mark-task" label="What">
                <select id="mark-task" name="task">
                  <option value="">the run</option>
                  {order.filter((id) => known.has(id) && dag.tasksById.has(id)).map((id) => (
                    <option value={id}>{id}</option>
                  ))}
                </select>
              </Field>
              <Field id="mark-state" label="As">
                <select id="mark-state" name="state">
                  <option value="success">success</option>
                  <option value="failed">failed</option>
                </select>
              </Field>
            </div>
            <NoteFields of="mark" />
            <p class="hint">
              After a task is marked as success, what did not run because of it runs. Nothing else runs.
            </p>
          </Action>
        </details>
      )}
    </Section>
  );
}

const DONE: Readonly<Record<RunNote["action"], string>> = {
  success: "marked as success",
  failed: "marked as failed",
  cleared: "cleared",
};

/** Why, and who does it. `of` is the form that they are in. */
export function NoteFields({ of }: { of: string }) {
  return (
    <div class="pair">
      <Field id={`${of}-note`} label="Note">
        <input id={`${of}-note`} name="note" maxlength={1_000} />
      </Field>
      <Field id={`${of}-by`} label="Your name">
        <input id={`${of}-by`} name="by" maxlength={100} />
      </Field>
    </div>
  );
}
