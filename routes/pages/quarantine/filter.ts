import { KINDS } from "../../../lib/core/types.ts";
import type { QuarantineFilter } from "../../../lib/stores/documents/port.ts";

/** A filter of what an address or a form gives; what is empty, missing or no kind may be anything. */
export function quarantineFilter(
  given: Readonly<Record<"run_id" | "kind" | "source" | "reason", string | null>>,
): Omit<QuarantineFilter, "position"> {
  const kind = KINDS.find((each) => each === given.kind);
  const { run_id, source, reason } = given;
  return {
    ...kind === undefined ? {} : { kind },
    ...run_id ? { run_id } : {},
    ...source ? { source } : {},
    ...reason ? { reason } : {},
  };
}
