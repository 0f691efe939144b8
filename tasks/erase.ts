import { z } from "../deps.ts";
import { defineDag } from "../lib/dag/define.ts";
import type { Services } from "./services.ts";
import { step, type StepContext } from "./step.ts";
import { eraseCopies } from "./steps/erase/copies.ts";
import { compactStores, endErasures } from "./steps/erase/finish.ts";
import { rebuildVersion } from "./steps/erase/rebuild.ts";
import { eraseLeftRows, type EraseOutput } from "./steps/erase/rows.ts";

const erasures = (context: StepContext) => context.output<EraseOutput>("rows");

/** Completes pending erasures: afterwards no file of an embedded store has a byte of these users. */
export function erase() {
  return defineDag<Services>({
    id: "erase",
    doc: "Removes erased users from artifacts, records of runs, indexes and free pages.",
    group: "versions",
    params: z.object({}),
    tasks: [
      { id: "rows", doc: "rows that are left", ...step(eraseLeftRows) },
      { id: "copies", doc: "artifacts, records of runs", needs: ["rows"], ...step(eraseCopies, erasures) },
      { id: "rebuild", doc: "a version without them", needs: ["copies"], ...step(rebuildVersion) },
      { id: "compact", doc: "free pages", needs: ["rebuild"], ...step(compactStores) },
      { id: "finish", doc: "the last record of the ids", needs: ["compact"], ...step(endErasures, erasures) },
    ],
  });
}
