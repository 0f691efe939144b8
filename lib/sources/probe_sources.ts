import { tryParseJson } from "../core/json.ts";
import type { ReadOptions } from "./source_bytes.ts";
import { expandSources } from "./expand_sources.ts";
import { readRows } from "./source_rows.ts";
import { SourceError } from "./source.ts";

/** The paths that cannot be read, judged by each file up to its first good row. Pipes and standard input are not read. */
export async function probeSources(
  { paths, inbox, ...options }: ReadOptions & { paths: readonly string[]; inbox: string | null },
): Promise<SourceError[]> {
  const { sources, failed } = await expandSources({ paths, inbox, signal: options.signal });
  const errors = [...failed];
  for (const source of sources.filter(({ bytes }) => bytes !== null)) {
    try {
      for await (const row of readRows(source, options)) if (isReadable(row)) break;
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      errors.push(error);
    }
  }
  return errors;
}

function isReadable(row: string): boolean {
  const value = tryParseJson(row);
  return typeof value === "object" && value !== null;
}
