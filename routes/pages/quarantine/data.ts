import { ParleyError } from "../../../lib/core/errors.ts";
import { KINDS, type QuarantinedRow } from "../../../lib/core/types.ts";
import type { QuarantineFilter, ReasonCount } from "../../../lib/stores/documents/port.ts";
import { z } from "../../../deps.ts";
import { field, type PageContext, type PageRequest } from "../../http/page.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";

export const PER_PAGE = 50;
const MAX_REASONS = 20;

export type Filter = Omit<QuarantineFilter, "position">;
/** Without its text, which the list does not show. */
export type RefusedRow = Omit<QuarantinedRow, "raw">;

/** A filter from an address or a form. What is empty, missing or no kind filters nothing. */
export function quarantineFilter(
  values: Readonly<Record<"run_id" | "kind" | "source" | "reason", string | null>>,
): Filter {
  const kind = KINDS.find((each) => each === values.kind);
  const { run_id, source, reason } = values;
  return {
    ...kind === undefined ? {} : { kind },
    ...run_id ? { run_id } : {},
    ...source ? { source } : {},
    ...reason ? { reason } : {},
  };
}

/** A page of refused rows, with one more if there is another page, and how many rows each reason has. */
export async function readQuarantine(
  { stores: { documents } }: PageContext,
  filter: Filter,
  page: number,
): Promise<{ rows: ReadResult<RefusedRow[]>; reasons: ReadResult<ReasonCount[]> }> {
  const offset = (page - 1) * PER_PAGE;
  const [rows, reasons] = await Promise.all([
    tryRead(async () => {
      const found = await documents.quarantined({ ...filter, limit: PER_PAGE + 1, offset });
      return found.map(({ raw: _, ...row }) => row);
    }),
    tryRead(() => documents.quarantineReasons({ ...filter, limit: MAX_REASONS })),
  ]);
  return { rows, reasons };
}

const RowPosition = z.object({
  run_id: z.string().min(1),
  kind: z.enum(KINDS),
  source: z.string().min(1),
  position: z.coerce.number().int().min(0),
});

/** The one row that a form names, with its text. */
export async function readRefusedRow(request: PageRequest): Promise<QuarantinedRow> {
  const names = Object.keys(RowPosition.shape);
  const { data } = RowPosition.safeParse(
    Object.fromEntries(names.map((name) => [name, field(request, name)])),
  );
  if (data === undefined) throw new ParleyError("invalid", "this form does not name a refused row");
  const [row] = await request.context.stores.documents.quarantined({ ...data, limit: 1, offset: 0 });
  if (row === undefined) throw new ParleyError("not_found", "this row is no longer in quarantine");
  return row;
}
