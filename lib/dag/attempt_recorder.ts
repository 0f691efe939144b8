import type { LineageEntry } from "../stores/runs/port.ts";
import type { Dataset, DatasetUse, Progress, RowCounts } from "./types.ts";

/**
 * What an attempt reports while it runs. It is closed when the attempt ends: a task that was given up may still be running, and
 * must not report for the next attempt.
 */
export class AttemptRecorder {
  private readonly uses: LineageEntry[] = [];
  private readonly versionsByName: Record<string, string>;
  private counts: RowCounts = { in: 0, out: 0, quarantined: 0 };
  private current: Progress = { done: 0, total: null };
  private closed = false;

  constructor(versions: Readonly<Record<string, string>>) {
    this.versionsByName = { ...versions };
  }

  get isClosed(): boolean {
    return this.closed;
  }

  get progress(): Progress {
    return this.current;
  }

  get rows(): RowCounts {
    return this.counts;
  }

  get versions(): Readonly<Record<string, string>> {
    return this.versionsByName;
  }

  get lineage(): readonly LineageEntry[] {
    return this.uses;
  }

  close(): void {
    this.closed = true;
  }

  setProgress({ done, total }: Progress): void {
    if (this.closed) return;
    this.current = { done: toCount(done), total: total === null ? null : toCount(total) };
  }

  setRows(counts: Partial<RowCounts>): void {
    if (this.closed) return;
    const all = { ...this.counts, ...counts };
    this.counts = { in: toCount(all.in), out: toCount(all.out), quarantined: toCount(all.quarantined) };
  }

  addUse(direction: LineageEntry["direction"], use: DatasetUse): void {
    if (!this.closed) this.uses.push(entry(direction, use));
  }

  setVersion(name: string, version: string): void {
    if (!this.closed) this.versionsByName[name] = version;
  }

  /** Adds the datasets that a task declares and has not reported. */
  addDeclared({ inputs = [], outputs = [] }: {
    inputs?: readonly Dataset[];
    outputs?: readonly Dataset[];
  }): void {
    const key = ({ direction, namespace, name }: LineageEntry) =>
      JSON.stringify([direction, namespace, name]);
    const reported = new Set(this.uses.map(key));
    const declared = [
      ...inputs.map((use) => entry("input", use)),
      ...outputs.map((use) => entry("output", use)),
    ];
    this.uses.push(...declared.filter((use) => !reported.has(key(use))));
  }
}

/** A count that a store can hold: a wrong number of a task must not fail the run. */
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
