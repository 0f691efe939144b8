import type { Artifact, Health } from "../../core/types.ts";

/** A first-come register on disk: which value did a key have first? Memory does not grow with its size. */
export interface Register {
  /** Claims a key. Returns null if it was free, else the value that it was claimed with. */
  putIfAbsent(key: string, value: string): string | null;
  close(): void;
}

/** What tasks leave for their dependents. A name is `run/task/file`; a later write replaces an earlier one whole. */
export interface ArtifactStore {
  /**
   * Streams text lines into an artifact, each ended by `\n`; it appears only when the stream has ended well. Lines
   * must not hold a line feed.
   */
  writeLines(
    options: { name: string; lines: AsyncIterable<string>; signal?: AbortSignal },
  ): Promise<Artifact>;
  /** The lines of an artifact in order, without their line feeds. `not_found` where there is none. */
  readLines(options: { uri: string }): AsyncIterable<string>;
  /** A register for the time of one task; whatever it used on disk is gone after `close()`. */
  register(): Promise<Register>;
  /** Removes all artifacts of a run; returns how many. */
  deleteRun(options: { run_id: string }): Promise<number>;
  /** Removes artifacts written before this ISO time; returns how many. */
  prune(options: { before: string }): Promise<number>;
  health(): Promise<Health>;
  close(): Promise<void>;
}
