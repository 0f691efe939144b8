import { DAY_MS, iso } from "../../lib/core/clock.ts";
import { RUN_STATES, type RunFilter, type RunState } from "../../lib/stores/runs/port.ts";
import { Field, Select } from "../components/form.tsx";

/** Which runs a page shows, as its address has it: `?state=failed&from=2026-05-01&to=2026-05-07`. Days are in UTC. */
export interface ShownRuns {
  readonly dag: string;
  readonly state: RunState | undefined;
  readonly from: string;
  readonly to: string;
}

export function shownRuns({ searchParams }: URL): ShownRuns {
  const day = (name: string) => {
    const text = searchParams.get(name) ?? "";
    return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) ? text : "";
  };
  const state = RUN_STATES.find((each) => each === searchParams.get("state"));
  return { dag: searchParams.get("dag") ?? "", state, from: day("from"), to: day("to") };
}

export function isFiltered({ state, from, to }: ShownRuns): boolean {
  return state !== undefined || from !== "" || to !== "";
}

export function toFilter({ dag, state, from, to }: ShownRuns): RunFilter {
  return {
    ...dag !== "" && { dag_id: dag },
    ...state !== undefined && { states: [state] },
    ...from !== "" && { from: iso(Date.parse(from)) },
    ...to !== "" && { to: iso(Date.parse(to) + DAY_MS) },
  };
}

/** Submits by GET, so that the result can be shared. Without `dags` the page is of one. */
export function RunFilterForm(
  { shown, action, dags }: { shown: ShownRuns; action: string; dags?: readonly string[] },
) {
  return (
    <form method="get" action={action} class="filters">
      {dags !== undefined && (
        <Select
          id="dag"
          label="Pipeline"
          all="all"
          values={dags}
          selected={shown.dag}
        />
      )}
      <Select id="state" label="State" all="any" values={RUN_STATES} selected={shown.state} />
      <Field id="from-day" label="From">
        <input id="from-day" name="from" type="date" value={shown.from} />
      </Field>
      <Field id="to-day" label="To, inclusive">
        <input id="to-day" name="to" type="date" value={shown.to} />
      </Field>
      <button type="submit">Show</button>
      {shown.state !== "failed" && <a href={`${action}?state=failed`}>Only what failed</a>}
      {(isFiltered(shown) || shown.dag !== "") && <a href={action}>All</a>}
    </form>
  );
}
