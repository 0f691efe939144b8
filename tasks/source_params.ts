import { z } from "../deps.ts";
import { type Kind, KINDS } from "../lib/core/types.ts";
import type { RemoteValues } from "../lib/dag/define.ts";
import { inboxFiles } from "../lib/sources/inbox.ts";

/** Which sources a dag reads where a run is not given its own. */
export interface SourceSettings {
  readonly sources: Readonly<Record<Kind, readonly string[]>>;
  /** Folder of files that a run may be given over HTTP; null for none. */
  readonly inbox: string | null;
}

/** Params for the sources of each kind, by default the configured ones. */
export function sourceParams({ sources }: SourceSettings) {
  const paths = (kind: Kind, what: string) =>
    z.array(z.string()).default([...sources[kind]]).describe(`files or folders of ${what}`);
  return {
    messages: paths("messages", "conversations"),
    campaigns: paths("campaigns", "campaigns"),
    events: paths("events", "engagement events"),
  };
}

/** The values that these params may be given over HTTP: what is configured, and the files in the inbox. */
export function remoteSources({ sources, inbox }: SourceSettings): Record<Kind, RemoteValues> {
  const remote = (kind: Kind): RemoteValues => ({
    values: async () => [...new Set([...sources[kind], ...inbox === null ? [] : await inboxFiles(inbox)])],
    settings: `PARLEY_${kind.toUpperCase()}, and the files in the folder PARLEY_INBOX`,
  });
  return Object.fromEntries(KINDS.map((kind) => [kind, remote(kind)])) as Record<Kind, RemoteValues>;
}
