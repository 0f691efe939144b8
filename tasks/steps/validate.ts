import { hash } from "../../deps.ts";
import { iso } from "../../lib/core/clock.ts";
import { type Artifact, type Kind, KINDS, type QuarantinedRow, type Rows } from "../../lib/core/types.ts";
import { Fail, type TaskContext } from "../../lib/dag/types.ts";
import { parseRow, SCHEMA_VERSION } from "../../lib/schema/row.ts";
import { CUT, MAX_ROW } from "../../lib/sources/pending.ts";
import type { Register } from "../../lib/stores/artifacts/port.ts";
import type { Services } from "../services.ts";
import type { IngestedSource, IngestOutput } from "./ingest.ts";

/** One artifact of canonical rows a kind, and what became of the rows that came in. */
export type ValidateOutput = { readonly [K in Kind]: Artifact } & Tally;

type Tally = {
  /** All that came in; blank lines are none. */
  readonly rows: number;
  readonly quarantined: number;
  /** Identical rows beyond the first; they are dropped. */
  readonly duplicates: number;
};

const BATCH = 500;
const REPORT_EVERY = 1_024;
/** UTF-16 units of a refused row that are kept, so that they take at most 64 KB in UTF-8. */
const KEPT_RAW = 21_845;

/** What the step `validate` of this run returned. */
export function validated(context: TaskContext<Services>): ValidateOutput {
  return context.output("validate") as ValidateOutput;
}

/**
 * Turns spooled rows into canonical ones, an artifact a kind. A bad row goes to quarantine; an identical one is counted
 * and dropped; one with the id of another row and other content is quarantined.
 *
 * Throws {@link Fail} when more than `max_bad_share` of the run's rows are bad: nothing but the quarantine has been
 * written by then.
 */
export async function validate(context: TaskContext<Services>): Promise<ValidateOutput> {
  const { sources } = context.output("ingest") as IngestOutput;
  const validation = new Validation(context, sources);
  context.version("schema", SCHEMA_VERSION);
  const messages = await validation.kind("messages");
  const campaigns = await validation.kind("campaigns");
  const events = await validation.kind("events");
  validation.judge();
  return { messages, campaigns, events, ...validation.tally };
}

class Validation {
  private rows = 0;
  private quarantined = 0;
  private duplicates = 0;
  private unreported = 0;
  private refused: QuarantinedRow[] = [];
  private readonly total: number;

  constructor(
    private readonly context: TaskContext<Services>,
    private readonly sources: readonly IngestedSource[],
  ) {
    this.total = sources.reduce((sum, { rows }) => sum + rows, 0);
  }

  get tally(): Tally {
    return { rows: this.rows, quarantined: this.quarantined, duplicates: this.duplicates };
  }

  /** Writes the canonical rows of one kind. */
  async kind(kind: Kind): Promise<Artifact> {
    const { services: { artifacts }, run: { run_id }, signal } = this.context;
    const register = await artifacts.register();
    try {
      const lines = this.canonical(kind, register);
      const artifact = await artifacts.writeLines({ name: `${run_id}/validate/${kind}.ndjson`, lines, signal });
      this.context.writes(this.context.services.artifact(artifact));
      return artifact;
    } finally {
      register.close();
    }
  }
