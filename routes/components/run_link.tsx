import type { Child } from "../../deps.ts";

export function runPath(run_id: string): string {
  return `/runs/${encodeURIComponent(run_id)}`;
}

/** A link to a run, by default with its id as text. */
export function RunLink({ run_id, children = run_id }: { run_id: string; children?: Child }) {
  return <a href={runPath(run_id)}>{children}</a>;
}
