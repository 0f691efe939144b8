import type { Artifact, WriteCounts } from "../../lib/core/types.ts";
import type { Services } from "../services.ts";

/** For a log: `messages: 3 inserted, 1 changed, 20 same`. */
export function countsText(noun: string, { inserted, changed, same }: WriteCounts): string {
  return `${noun}: ${inserted} inserted, ${changed} changed, ${same} same`;
}

/** Rows that reached a store or that it had already. */
export function rowsOf({ inserted, changed, same }: WriteCounts): number {
  return inserted + changed + same;
}

/** The rows of an artifact that this program wrote, which is why they are not checked again. Heeds the signal. */
export async function* readArtifact<Row>(
  { artifacts }: Pick<Services, "artifacts">,
  { uri }: Artifact,
  signal: AbortSignal,
): AsyncGenerator<Row> {
  for await (const line of artifacts.readLines({ uri })) {
    signal.throwIfAborted();
    yield JSON.parse(line);
  }
}
