import { CLEARABLE } from "../../../lib/dag/clear_runs.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { Action, Field, type FormSession } from "../../components/form.tsx";
import { Section } from "../../components/layout.tsx";
import { NoteFields } from "../run/notes.tsx";
import type { ShownRuns } from "../run_filter.tsx";

/** A form that runs what failed in many runs again. It begins with the runs that the page shows. */
export function ClearRuns(
  { session, dag, shown }: { session: FormSession; dag: Dag<never>; shown: ShownRuns },
) {
  return (
    <Section id="clear" title="Many runs at once">
      <details class="form">
        <summary>Clear them: run again what failed in runs of some days</summary>
        <Action session={session} to={`/pipelines/${dag.id}/clear`} label="Clear them">
          <div class="pair">
            <Field id="clear-from" label="From">
              <input id="clear-from" name="from" type="date" value={shown.from} />
            </Field>
            <Field id="clear-to" label="To, inclusive">
              <input id="clear-to" name="to" type="date" value={shown.to} />
            </Field>
          </div>
          <div class="pair">
            <Field id="clear-state" label="Runs that are">
              <select id="clear-state" name="state">
                {CLEARABLE.map((state) => <option selected={state === shown.state}>{state}</option>)}
              </select>
            </Field>
            <Field id="clear-tasks" label="Tasks">
              <select id="clear-tasks" name="tasks">
                <option value="failed">that failed, and those after them</option>
                <option value="all">all</option>
              </select>
            </Field>
            <Field id="clear-max-active" label="Runs at one time">
              <input
                id="clear-max-active"
                name="max_active"
                type="number"
                min="1"
                max="100"
                value="1"
                required
              />
            </Field>
          </div>
          <NoteFields of="clear" />
          <p class="hint">
            Logical dates in UTC. The runs are shown as a backfill, which can be cancelled; other runs that
            are queued start before them.
          </p>
        </Action>
      </details>
    </Section>
  );
}
