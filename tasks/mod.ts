import { backup, type BackupSettings } from "./backup.ts";
import { erase } from "./erase.ts";
import { evaluate, type EvaluateSettings } from "./evaluate.ts";
import { exportAnswers } from "./export.ts";
import { intents } from "./intents.ts";
import { nightly, type NightlySettings } from "./nightly.ts";
import { reembed, type ReembedSettings } from "./reembed.ts";

/** What all dags together are set to. */
type DagSettings = BackupSettings & NightlySettings & ReembedSettings & EvaluateSettings;

export function defineDags(settings: DagSettings) {
  return [
    nightly(settings),
    intents(),
    reembed(settings),
    evaluate(settings),
    exportAnswers(),
    erase(),
    backup(settings),
  ];
}
