import type { z } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { counted } from "../../lib/core/text.ts";
import { type Artifact, type Kind, KINDS } from "../../lib/core/types.ts";
import { type DatasetUse, Fail, Skip } from "../../lib/dag/types.ts";
import type { INGEST_OUTPUT } from "../../lib/monitoring/task_outputs.ts";
import { hashSource, type ReadOptions } from "../../lib/sources/source_bytes.ts";
import { expandSources } from "../../lib/sources/expand_sources.ts";
import { readRows, type SourceRows } from "../../lib/sources/source_rows.ts";
import { printable, type Source, SourceError } from "../../lib/sources/source.ts";
import type { StepContext } from "../step.ts";
import { forgetSourcesForSettings } from "./derivation.ts";
import { detectEmptiedStores } from "./detect_emptied_stores.ts";
import { hasPendingWork, keepsOldIntents } from "./pending_work.ts";
import { prune } from "./prune.ts";

type Report = z.infer<typeof INGEST_OUTPUT>;

/** A source that is new or changed, and the artifact that its rows were spooled into, one JSON text per line. */
export type IngestedSource = Report["sources"][number] & {
  /** Of the source's bytes on disk. */
  readonly sha256: string;
  readonly bytes: number;
  /** It keeps blank lines, so that line numbers hold. */
  readonly artifact: Artifact;
};

/** A source as it was read. */
export type ReadSource = Omit<IngestedSource, "kind" | "artifact">;

export type IngestOutput = Omit<Report, "sources"> & { readonly sources: readonly IngestedSource[] };

type SourceName = { readonly kind: Kind; readonly uri: string };
type GivenPath = Report["given"][number];
type FailedSource = SourceName & Report["failed"][number];

/** The state from which a retry continues. `opened` are sources with one reading only, from the moment when that was begun. */
type Checkpoint = { readonly sources: readonly IngestedSource[]; readonly opened: readonly string[] };

interface Planned extends GivenPath {
  readonly source: Source;
}

/** Paths by kind, as the dag has checked them. */
type Params = { readonly [K in Kind]?: readonly string[] } & { readonly all?: boolean };

/** Rows between two reports of how far it is. */
const REPORT_EVERY = 4_096;

/**
 * Spools every source that is new or changed into an artifact, so that stdin and retries can be replayed. A source that
 * cannot be read is recorded, and the others are read. A retry keeps what an earlier attempt has spooled. If the param `all`
 * is set, or a store was replaced by an empty one, all sources are new, and all users are dirty.
 *
 * Throws {@link Fail} when no source could be read, {@link Skip} when there is nothing to do, both with this output, and
 * `unavailable` when that is not known because a store cannot be read. What is stored is compared with what the dag's task
 * `check` has counted in an earlier run.
 */
export async function ingest(
  context: StepContext,
  { check }: { check: string },
): Promise<IngestOutput> {
  const old_intents = await keepsOldIntents(context);
  if (old_intents) {
    context.log(
      "no catalogue of intents is set any more (PARLEY_INTENTS): messages keep the intents that they have",
    );
  }
  const ingestion = new Ingestion(context, await planRefill(context), old_intents ? { old_intents } : {});
  if (await forgetSourcesForSettings(context.services, context)) {
    context.log("PARLEY_EARLIEST has changed: sources are read again; what is stored stays");
  }
  for (const planned of await ingestion.plan()) await ingestion.take(planned);
  return await ingestion.conclude(check);
}

/** Whether all sources are read again. `unknown` is why that is not known: a store that cannot be read may be empty. */
interface Refill {
  readonly all: boolean;
  readonly unknown: ParleyError | null;
}

async function planRefill(context: StepContext): Promise<Refill> {
  const { services: { documents, analytics }, signal } = context;
  if ((context.run.params as Params).all) {
    context.log("unchanged sources are read again, and all users are derived again");
  } else {
    const emptied = await detectEmptiedStores(context);
    if (emptied instanceof ParleyError) return { all: false, unknown: emptied };
    if (emptied.length === 0) return { all: false, unknown: null };
    const which = emptied.join(", of ");
    context.log(`the store of ${which} is empty and others are not: it is filled again from all sources`);
  }
  for (const store of [documents, analytics]) await store.markAllDirty({ signal });
  return { all: true, unknown: null };
}

class Ingestion {
  private readonly sources: IngestedSource[];
  private readonly opened: string[];
  private unchanged = 0;
  private readonly failed: FailedSource[] = [];
  /** Bytes of all sources that are spooled or have to be; null where one of them has no known size. */
  private bytesToRead: number | null;

  constructor(
    private readonly context: StepContext,
    private readonly refill: Refill,
    private readonly noticed: Pick<IngestOutput, "old_intents">,
  ) {
    const saved = context.loadCheckpoint<Checkpoint>();
    this.sources = [...saved?.sources ?? []];
    this.opened = [...saved?.opened ?? []];
    this.bytesToRead = sum(this.sources, "bytes");
  }

  /** The sources behind the run's paths that no earlier attempt has spooled. */
  async plan(): Promise<Planned[]> {
    const found = new Map<string, Planned>();
    for (const { kind, path } of this.given()) {
      if (this.isSpooled({ kind, uri: path })) continue;
      const { sources, failed, notes } = await expandSources({
        paths: [path],
        signal: this.context.signal,
        inbox: this.context.services.settings.inbox,
      });
      for (const source of sources) found.set(kind + source.uri, { kind, path, source });
      for (const error of failed) this.record({ kind, path }, error);
      for (const line of notes) this.context.log(line);
    }
    const planned = [...found.values()].filter(({ kind, source: { uri } }) => !this.isSpooled({ kind, uri }));
    for (const { source } of planned) this.bytesToRead = addSize(this.bytesToRead, source.bytes);
    return planned;
  }

  /** Spools one source, unless it is what the last published run read. */
  async take({ kind, path, source }: Planned): Promise<void> {
    const { uri, bytes } = source;
    try {
      if (bytes === null) this.refuseSecondReading(uri);
      else if (await this.isUnchanged(kind, source)) {
        this.context.log(`${kind}: ${printable(uri)} is unchanged`);
        this.unchanged++;
        this.bytesToRead = addSize(this.bytesToRead, -bytes);
        return;
      }
      const spooled = await this.spool(kind, source);
      this.context.log(`${kind}: ${counted(spooled.rows, "row")} from ${printable(uri)}`);
      this.sources.push(spooled);
      await this.save();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      this.record({ kind, path }, error);
    }
  }

  /** What the step returns. */
  async conclude(check: string): Promise<IngestOutput> {
    const { sources } = this;
    if (sources.length === 0) await this.stopWhereNothingIsNew(check);
    for (const source of sources) {
      this.context.reads(asDataset(source, this.context.run.run_id));
      this.context.writes(this.context.services.artifact(source.artifact));
    }
    return { sources, ...this.looked() };
  }

  private looked(): Omit<IngestOutput, "sources"> {
    return { given: this.given(), failed: this.failed, ...this.noticed };
  }

  private given(): GivenPath[] {
    const params = this.context.run.params as Params;
    return KINDS.flatMap((kind) => (params[kind] ?? []).map((path) => ({ kind, path })));
  }

  private isSpooled({ kind, uri }: SourceName): boolean {
    return this.sources.some((source) => source.kind === kind && source.uri === uri);
  }

  private record(given: GivenPath, { uri, message }: SourceError): void {
    this.failed.push({ ...given, uri, error: message });
    this.context.log(message);
  }

  private refuseSecondReading(uri: string): void {
    if (!this.opened.includes(uri)) return;
    const complaint =
      "can be read only once and has been: give it for one kind, and after an interruption start a new run";
    throw new SourceError("invalid", uri, complaint);
  }

  private async isUnchanged(kind: Kind, source: Source): Promise<boolean> {
    if (this.refill.all) return false;
    const { services: { analytics }, signal } = this.context;
    const record = await analytics.source({ kind, uri: source.uri, signal });
    return record !== null && record.sha256 === await hashSource(source, this.readOptions());
  }

  private async spool(kind: Kind, source: Source): Promise<IngestedSource> {
    const { services: { artifacts }, run: { run_id }, task_id, signal } = this.context;
    if (source.bytes === null) await this.noteOpened(source.uri);
    const n = this.sources.filter((done) => done.kind === kind).length + 1;
    const read = readRows(source, this.readOptions());
    const name = `${run_id}/${task_id}/${kind}-${n}.ndjson`;
    const artifact = await artifacts.writeLines({ name, lines: this.reported(read), signal });
    this.report(read);
    return { kind, uri: source.uri, sha256: read.sha256(), bytes: read.bytes, rows: read.rows, artifact };
  }

  private readOptions(): ReadOptions {
    const { services: { settings }, signal } = this.context;
    return { signal, maxBytes: settings.max_source_bytes };
  }

  /** From here on a source with one reading has no second one: a process that resumes this run must not wait for it forever. */
  private async noteOpened(uri: string): Promise<void> {
    this.opened.push(uri);
    await this.save();
    if (uri !== "stdin") {
      this.context.log(`${printable(uri)} is a pipe: it is read once a writer has opened it`);
    }
  }

  private async *reported(read: SourceRows): AsyncGenerator<string> {
    let unreported = 0;
    for await (const row of read) {
      yield row;
      if (++unreported < REPORT_EVERY) continue;
      unreported = 0;
      this.report(read);
    }
  }

  /** Progress is in rows; their total is guessed from the bytes. */
  private report(reading: SourceRows): void {
    const done = sum(this.sources, "rows") + reading.rows;
    const bytes = sum(this.sources, "bytes") + reading.bytes;
    const total = this.bytesToRead === null ? null : Math.round(done * this.bytesToRead / Math.max(1, bytes));
    this.context.progress({ done, total });
    this.context.rows({ in: done, out: done });
  }

  private save(): Promise<void> {
    return this.context.saveCheckpoint({ sources: this.sources, opened: this.opened });
  }

  private async stopWhereNothingIsNew(check: string): Promise<void> {
    const { unchanged, failed } = this;
    const output = { sources: [], ...this.looked() };
    if (failed.length > 0 && unchanged === 0) {
      throw new Fail(`no source could be read: ${told(failed)}`, { output });
    }
    if (await hasPendingWork(this.context, { check, unknown: this.refill.unknown })) return;
    await prune(this.context);
    if (failed.length > 0) throw new Skip(`no readable source has changed; ${told(failed)}`, { output });
    throw new Skip(unchanged > 0 ? "every source is unchanged" : "there is no source", { output });
  }
}

/** A source that a run has read, as lineage names it. */
export function asDataset({ uri, rows, bytes, sha256 }: ReadSource, run_id: string): DatasetUse {
  const name = uri === "stdin" ? { namespace: "stdin", name: run_id } : { namespace: "file", name: uri };
  return { ...name, rows, bytes, version: sha256 };
}

function told(failed: readonly FailedSource[]): string {
  const more = failed.length > 1 ? `; and ${failed.length - 1} more` : "";
  return failed[0]!.error + more;
}

function addSize(sum: number | null, bytes: number | null): number | null {
  return sum === null || bytes === null ? null : sum + bytes;
}

function sum(sources: readonly IngestedSource[], of: "rows" | "bytes"): number {
  return sources.reduce((total, source) => total + source[of], 0);
}
