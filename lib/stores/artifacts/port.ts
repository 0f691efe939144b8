import type { Abortable, Artifact, Health } from "../../core/types.ts";

/** Records on disk the first value of each key. Memory does not grow with its size. */
export interface Register {
  /** Sets the value of a new key and returns null; else returns the value that the key has. */
  putIfAbsent(key: string, value: string): string | null;
  close(): void;
}

export interface LineFilter extends Abortable {
  readonly matches: (line: string) => boolean;
}

export interface FoundLine {
  readonly uri: string;
  readonly line: string;
}

/** What tasks leave for their dependents. A name is `run/task/file`; a later write replaces an earlier one whole. */
export interface ArtifactStore {
  /**
   * Streams text lines into an artifact, each ended by `\n`; it exists only once the stream has ended without an error.
   * Lines must not have a line feed.
   */
  writeLines(
    options: { name: string; lines: AsyncIterable<string>; signal?: AbortSignal },
  ): Promise<Artifact>;
  /** The lines of an artifact in order, without their line feeds. Throws `not_found` if the artifact does not exist. */
  readLines(options: { uri: string }): AsyncIterable<string>;
  /** A register for one task; `close()` removes its file. */
  register(): Promise<Register>;
  /** Lines of all artifacts that match, one artifact after the other. */
  findLines(options: LineFilter): AsyncIterable<FoundLine>;
  /**
   * Removes the lines that match from all artifacts, each replaced whole, or from those of one run; returns how many lines.
   * References to an artifact keep the rows, bytes and hash of the former one.
   */
  removeLines(options: LineFilter & { run_id?: string }): Promise<number>;
  /** Removes what a task began to write and did not complete, if nothing was added since this ISO time; returns how many files. */
  removeUnfinished(options: { before: string } & Abortable): Promise<number>;
  /** Removes all artifacts of a run; returns how many. */
  deleteRun(options: { run_id: string }): Promise<number>;
  /** Removes artifacts written before this ISO time; returns how many. */
  prune(options: { before: string }): Promise<number>;
  health(): Promise<Health>;
  close(): Promise<void>;
}
