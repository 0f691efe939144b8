import type { Anomaly } from "./anomaly.ts";
import { forecastShare } from "./robust.ts";
import { percent } from "./unusual.ts";

/** How many of the messages of one run were about nothing that the intent catalogue knows. */
export interface ScopeShare {
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

/** Whether people have begun to talk about what the catalogue does not have. Oldest first; the last one is judged. */
export function outOfScopeAnomalies(shares: readonly ScopeShare[]): Anomaly[] {
  const now = shares.at(-1);
  if (now === undefined || now.messages < MIN_MESSAGES) return [];
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
