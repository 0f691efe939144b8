import type { Anomaly } from "./anomaly.ts";
import { findIncidents, type Incidents } from "./incidents.ts";
import { forecastShare } from "./forecast.ts";
import { percent } from "../core/text.ts";
import type { WatchedDag, WatchedRuns } from "./run_history.ts";
import { CLASSIFY_OUTPUT, outputsOf } from "./task_outputs.ts";

/** How many of the messages of one run were about nothing that the intent catalogue knows. */
interface OosShare {
  readonly run_id: string;
  /** When the run ended, ISO. */
  readonly at: string;
  /** Messages that were classified. */
  readonly messages: number;
  /** Those of them that were out of scope. */
  readonly out_of_scope: number;
}

/** How much the share must have grown, besides being improbable. */
const FACTOR = 1.5;
const MIN_MESSAGES = 50;

/**
 * The shares of one dag's runs under the classifier of the newest of them, oldest first: another classifier knows other
 * intents, so its shares are not compared.
 */
export async function oosShares(
  runs: Pick<WatchedRuns, "outputs">,
  dag: WatchedDag,
  since: string,
): Promise<OosShare[]> {
  const newestFirst = await outputsOf(runs, dag, { role: "classify", since });
  const told = newestFirst.flatMap(({ run_id, ended_at, created_at, output }) => {
    const { data } = CLASSIFY_OUTPUT.safeParse(output);
    // Without a catalogue or anything to classify, a run says nothing.
    if (data === undefined || data.classifier === null || data.classified === 0) return [];
    const { classifier, classified: messages, out_of_scope } = data;
    return [{ classifier, run_id, at: ended_at ?? created_at, messages, out_of_scope }];
  });
  return told.filter(({ classifier }) => classifier === told[0]?.classifier)
    .map(({ classifier: _classifier, ...share }) => share).reverse();
}

/** Whether people talk about what the catalogue does not have, or did; `shares` are oldest first. */
export function oosAnomalies(shares: readonly OosShare[]): Incidents {
  return findIncidents(shares, { at: ({ at }) => at, judge });
}

function judge(shares: readonly OosShare[]): Anomaly[] {
  const now = shares.at(-1)!;
  if (now.messages < MIN_MESSAGES) return [];
  const parts = shares.slice(0, -1).map((one) => ({ part: one.out_of_scope, whole: one.messages }));
  const usual = forecastShare(parts, now.messages);
  const figure = now.out_of_scope / now.messages;
  if (usual === null || figure <= usual.high || figure < FACTOR * usual.expected) return [];
  return [{
    code: "out_of_scope",
    severity: "warning",
    subject: { kind: "store", store: "intents" },
    figure,
    expected: usual.expected,
    usual: [usual.low, usual.high],
    unit: "share",
    since: now.at,
    run_id: now.run_id,
    text:
      `${percent(figure)} of the messages fit no known intent where ${percent(usual.expected)} are usual: ` +
      "look at what intent discovery proposes and add what is missing to the catalogue",
    history: [...parts.map(({ part, whole }) => whole === 0 ? 0 : part / whole), figure],
  }];
}
