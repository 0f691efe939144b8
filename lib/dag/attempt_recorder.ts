import type { LineageEntry } from "../stores/runs/port.ts";
import type { Dataset, DatasetUse, Progress, RowCounts } from "./types.ts";

/**
 * What an attempt says of itself while it runs. Closed when the attempt ends: one that was given up may still be
 * running, and must not speak for the one that follows.
 */
export class AttemptRecorder {
  private readonly uses: LineageEntry[] = [];
  private readonly named: Record<string, string>;
  private counts: RowCounts = { in: 0, out: 0, quarantined: 0 };
  private progressed: Progress = { done: 0, total: null };
  private closed = false;

  constructor(versions: Readonly<Record<string, string>>) {
    this.named = { ...versions };
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get progress(): Progress {
    return this.progressed;
  }

  get rows(): RowCounts {
    return this.counts;
  }

  get versions(): Readonly<Record<string, string>> {
    return this.named;
  }

  get lineage(): readonly LineageEntry[] {
    return this.uses;
  }

  close(): void {
    this.closed = true;
  }

  setProgress({ done, total }: Progress): void {
    if (this.closed) return;
    this.progressed = { done: toCount(done), total: total === null ? null : toCount(total) };
  }

  setRows(counts: Partial<RowCounts>): void {
    if (this.closed) return;
    const all = { ...this.counts, ...counts };
    this.counts = { in: toCount(all.in), out: toCount(all.out), quarantined: toCount(all.quarantined) };
  }

  addUse(direction: LineageEntry["direction"], use: DatasetUse): void {
    if (!this.closed) this.uses.push(entry(direction, use));
  }

  setVersion(what: string, version: string): void {
    if (!this.closed) this.named[what] = version;
  }

  /** Adds the datasets that a task declares and has said nothing of. */
  addDeclared({ inputs = [], outputs = [] }: {
    inputs?: readonly Dataset[];
    outputs?: readonly Dataset[];
  }): void {
    const key = ({ direction, namespace, name }: LineageEntry) =>
      JSON.stringify([direction, namespace, name]);
    const said = new Set(this.uses.map(key));
    const declared = [
      ...inputs.map((use) => entry("input", use)),
      ...outputs.map((use) => entry("output", use)),
    ];
    this.uses.push(...declared.filter((use) => !said.has(key(use))));
  }
}

/** A count as a store can keep it: a task's slip in its figures must not take the run with it. */
function toCount(value: number): number {
  return Number.isFinite(value) ? Math.max(0, Math.round(value)) : 0;
}

function entry(direction: LineageEntry["direction"], use: DatasetUse): LineageEntry {
  const { namespace, name, rows = null, bytes = null, version = null, fields = [], quality = {} } = use;
  return {
    direction,
    namespace,
    name,
    rows: rows === null ? null : toCount(rows),
    bytes: bytes === null ? null : toCount(bytes),
    version,
    fields: [...fields],
    quality: { ...quality },
  };
}
