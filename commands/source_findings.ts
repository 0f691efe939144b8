import type { Config } from "../lib/config.ts";
import { KINDS } from "../lib/core/types.ts";
import { probeSources } from "../lib/sources/probe_sources.ts";
import { findingOf, type IdentifiedFinding } from "./known_problems.ts";

/** A finding for each configured path of which something cannot be read now. */
export async function sourceFindings(
  config: Pick<Config, "inbox" | "max_source_bytes" | "sources">,
): Promise<IdentifiedFinding[]> {
  const options = {
    inbox: config.inbox,
    maxBytes: config.max_source_bytes,
    signal: new AbortController().signal,
  };
  const findings: IdentifiedFinding[] = [];
  for (const kind of KINDS) {
    for (const path of config.sources[kind]) {
      const errors = await probeSources({ paths: [path], ...options });
      if (errors.length === 0) continue;
      const more = errors.length > 1 ? `, and ${errors.length - 1} more files of ${path} cannot be read` : "";
      findings.push(findingOf({
        code: "source_unreadable",
        severity: "critical",
        subject: { kind: "source", rows: kind, path },
        figure: errors.length,
        expected: 0,
        text: `${errors[0]!.message}${more}: repair it, or correct PARLEY_${kind.toUpperCase()}`,
      }));
    }
  }
  return findings;
}
