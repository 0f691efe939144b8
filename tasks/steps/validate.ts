import { batches } from "../../lib/core/batches.ts";
import { percent } from "../../lib/core/text.ts";
import { hash } from "../../deps.ts";
import { iso } from "../../lib/core/clock.ts";
import { tryParseJson } from "../../lib/core/json.ts";
import type { Artifact, Kind, QuarantinedRow } from "../../lib/core/types.ts";
import { Fail } from "../../lib/dag/types.ts";
import { ErasedUsers } from "../../lib/privacy/erased_users.ts";
import { UserText } from "../../lib/privacy/user_text.ts";
import { parseRow, rawOf, rowId, SCHEMA_VERSION } from "../../lib/schema/row.ts";
import { type TimeWindow, timeWindow } from "../../lib/schema/time.ts";
import { MAX_ROW_CHARACTERS } from "../../lib/sources/row_buffer.ts";
import { problemOf, type RowProblem } from "../../lib/sources/row_problem.ts";
import type { Register } from "../../lib/stores/artifacts/port.ts";
import type { StepContext } from "../step.ts";
import type { IngestedSource } from "./ingest.ts";

/** One artifact of canonical rows a kind, and what became of the rows that came in. */
export type ValidateOutput = { readonly [K in Kind]: Artifact } & RowCounter;

type RowCounter = {
  /** All rows that came in, without blank lines. */
  readonly rows: number;
  readonly quarantined: number;
  /** Identical rows beyond the first; they are dropped. */
  readonly duplicates: number;
  /** Rows of users who are erased; they are dropped, also from what `ingest` has spooled. */
  readonly erased: number;
};

/** So many bad rows never stop a run, whatever their share, as long as any row is good: a small night is not lost for one row. */
const MIN_BAD_ROWS = 10;
const BATCH = 500;
const REPORT_EVERY = 1_024;

/**
 * Turns spooled rows into canonical ones, an artifact a kind. A bad row goes to quarantine; an identical one is counted
 * and dropped; one with the id of another row and other content is quarantined.
 *
 * Throws {@link Fail} when more than `max_bad_share` of the run's rows are bad, and {@link MIN_BAD_ROWS} or all of them: nothing
 * but the quarantine has been written by then.
 */
export async function validate(
  context: StepContext,
  sources: readonly IngestedSource[],
): Promise<ValidateOutput> {
  const validation = new Validation(context, sources);
  context.version("schema", SCHEMA_VERSION);
  const messages = await validation.kind("messages");
  const campaigns = await validation.kind("campaigns");
  const events = await validation.kind("events");
  await validation.dropErased();
  const { rows, quarantined, duplicates, erased } = validation.tally;
  const dropped = erased === 0 ? "" : `, ${erased} of erased users dropped`;
  context.log(`${rows} rows: ${quarantined} quarantined, ${duplicates} duplicates${dropped}`);
  validation.judge();
  return { messages, campaigns, events, ...validation.tally };
}

class Validation {
  private rows = 0;
  private quarantined = 0;
  private duplicates = 0;
  private erased = 0;
  private readonly erasedIds = new Set<string>();
  private readonly erasedUsers: ErasedUsers;
  private unreported = 0;
  private refused: QuarantinedRow[] = [];
  private readonly total: number;
  private readonly window: TimeWindow;

  constructor(
    private readonly context: StepContext,
    private readonly sources: readonly IngestedSource[],
  ) {
    const { clock, settings: { earliest } } = context.services;
    this.erasedUsers = new ErasedUsers(context.services.analytics);
    this.total = sources.reduce((sum, { rows }) => sum + rows, 0);
    this.window = timeWindow({ now: clock.now(), earliest });
  }

  get tally(): RowCounter {
    const { rows, quarantined, duplicates, erased } = this;
    return { rows, quarantined, duplicates, erased };
  }

  /** Writes the canonical rows of one kind. */
  async kind(kind: Kind): Promise<Artifact> {
    const { services, run: { run_id }, task_id, signal } = this.context;
    const register = await services.artifacts.register();
    const before = this.tally;
    try {
      const name = `${run_id}/${task_id}/${kind}.ndjson`;
      const lines = this.ofOthers(this.canonical(kind, register));
      const artifact = await services.artifacts.writeLines({ name, lines, signal });
      this.context.writes({ ...services.artifact(artifact), quality: growth(before, this.tally) });
      return artifact;
    } finally {
      register.close();
    }
  }

  /** Removes the rows of erased users from what this run has spooled. */
  async dropErased(): Promise<void> {
    if (this.erasedIds.size === 0) return;
    const { services: { artifacts }, run: { run_id }, signal } = this.context;
    const text = new UserText([...this.erasedIds]);
    await artifacts.removeLines({ run_id, matches: (line) => text.isIn(line), signal });
  }

  /** Fails the run where too much of it is bad. */
  judge(): void {
    const { rows, quarantined, context } = this;
    const { services } = context;
    const { max_bad_share } = services.settings;
    if (quarantined > 0) {
      context.writes({ ...services.dataset("documents", "quarantine"), rows: quarantined });
    }
    if (quarantined <= rows * max_bad_share) return;
    if (quarantined < MIN_BAD_ROWS && quarantined < rows) return;
    const what = quarantined === rows
      ? `all rows are bad, ${rows} of them`
      : `${quarantined} of ${rows} rows (${percent(quarantined / rows)}) are bad and at most ${
        percent(max_bad_share)
      } may be (PARLEY_MAX_BAD_SHARE)`;
    const command = `deno task pipeline quarantine --run ${context.run.run_id}`;
    throw new Fail(`${what}, so no store was written; \`${command}\` shows them with their reasons`);
  }

  /** The rows without those of erased users. */
  private async *ofOthers(rows: AsyncIterable<CanonicalRow>): AsyncGenerator<string> {
    for await (const batch of batches(rows, BATCH)) {
      const erased = await this.noteErased(batch.flatMap(({ user_id }) => user_id ?? []));
      for (const { text, user_id } of batch) {
        if (user_id === null || !erased.has(user_id)) yield text;
        else this.erased++;
      }
    }
    this.report();
  }

  private async noteErased(user_ids: readonly string[]): Promise<ReadonlySet<string>> {
    const erased = await this.erasedUsers.among(user_ids, this.context);
    for (const user_id of erased) this.erasedIds.add(user_id);
    return erased;
  }

  private async *canonical(kind: Kind, register: Register): AsyncGenerator<CanonicalRow> {
    for (const source of this.sources.filter((source) => source.kind === kind)) {
      let position = 0;
      for await (const line of this.context.services.artifacts.readLines({ uri: source.artifact.uri })) {
        position++;
        if (line === "") continue;
        this.count();
        const { text, user_id, refusal } = canonicalRow(kind, line, { register, window: this.window });
        if (text !== null) yield { text, user_id };
        else if (refusal === null) this.duplicates++;
        else await this.refuse(line, { kind, source: source.uri, position, reason: refusal });
      }
      this.context.reads(this.context.services.artifact(source.artifact));
    }
    await this.flush();
  }

  private count(): void {
    this.rows++;
    if (++this.unreported < REPORT_EVERY) return;
    this.context.signal.throwIfAborted();
    this.report();
  }

  private report(): void {
    const { rows, quarantined, duplicates, erased } = this;
    this.unreported = 0;
    this.context.progress({ done: rows, total: this.total });
    this.context.rows({ in: rows, out: rows - quarantined - duplicates - erased, quarantined });
  }

  private async refuse(
    line: string,
    where: Pick<QuarantinedRow, "kind" | "source" | "position" | "reason">,
  ): Promise<void> {
    const { run: { run_id }, services: { clock } } = this.context;
    this.refused.push({ run_id, ...where, raw: rawOf(problemOf(line)?.row ?? line), at: iso(clock.now()) });
    this.quarantined++;
    if (this.refused.length === BATCH) await this.flush();
  }

  private async flush(): Promise<void> {
    if (this.refused.length === 0) return;
    const { services: { documents }, signal } = this.context;
    const { stored, erased } = await this.erasedUsers.quarantine(documents, this.refused, { signal });
    for (const user_id of erased) this.erasedIds.add(user_id);
    this.erased += this.refused.length - stored;
    this.quarantined -= this.refused.length - stored;
    this.refused = [];
  }
}

/** `text` is the row; without it, `refusal` says what is wrong, or is null for a row that came before. */
type CheckedRow = CanonicalRow & { readonly refusal: null } | {
  readonly text: null;
  readonly user_id: null;
  readonly refusal: string | null;
};

/** A row as JSON text, with the user that it belongs to. */
interface CanonicalRow {
  readonly text: string;
  /** Null for a campaign. */
  readonly user_id: string | null;
}

const DUPLICATE: CheckedRow = { text: null, user_id: null, refusal: null };

const REASONS: Readonly<Record<RowProblem, string>> = {
  too_long: `the row is longer than ${MAX_ROW_CHARACTERS / 2 ** 20} MiB`,
  not_utf8: "the row is not UTF-8 text",
  too_many_cells: "the row has more cells than the header",
  open_quote: "a quote in the row is not closed, so that the next rows are part of it",
};

function canonicalRow<K extends Kind>(
  kind: K,
  line: string,
  { register, window }: { register: Register; window: TimeWindow },
): CheckedRow {
  const marked = problemOf(line);
  if (marked !== null) return refusal(REASONS[marked.problem]);
  const value = tryParseJson(line);
  if (value === undefined) return refusal("the row is not valid JSON");
  const parsed = parseRow({ kind, value, window });
  if (!parsed.ok) return refusal(parsed.reason);
  const text = JSON.stringify(parsed.row);
  const content = hash("sha256", text, "base64");
  const first = register.putIfAbsent(rowId(kind, parsed.row), content);
  if (first === null) {
    return { text, user_id: "user_id" in parsed.row ? parsed.row.user_id : null, refusal: null };
  }
  return first === content
    ? DUPLICATE
    : refusal("another row of this run has the same id with other content");
}

function refusal(reason: string): CheckedRow {
  return { text: null, user_id: null, refusal: reason };
}

function growth(before: RowCounter, after: RowCounter): Record<string, number> {
  return {
    rows: after.rows - before.rows,
    quarantined: after.quarantined - before.quarantined,
    duplicates: after.duplicates - before.duplicates,
    ...after.erased > before.erased && { erased: after.erased - before.erased },
  };
}
