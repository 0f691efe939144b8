import type { QuarantinedRow } from "../../../lib/core/types.ts";
import { field, type PageRequest } from "../../http/page.ts";
import { quarantineFilter } from "./filter.ts";

const PER_READ = 500;
/** Each read passes over those before it, so they are bounded. */
const MAX_ROWS = 100_000;

/** `POST /data/quarantine/download`, for `admin`: the refused rows that the form's filter leaves, with their text, as NDJSON. */
export async function download(visit: PageRequest): Promise<Response> {
  const filter = quarantineFilter({
    run_id: field(visit, "run_id"),
    kind: field(visit, "kind"),
    source: field(visit, "source"),
    reason: field(visit, "reason"),
  });
  const { documents } = visit.site.stores;
  const read = (offset: number) => documents.quarantined({ ...filter, limit: PER_READ, offset });
  const readOn = (offset: number) =>
    read(offset).catch((error) => {
      visit.report(error);
      throw error;
    });
  // A store that is down is an answer of its own, before anything is sent.
  const body = ReadableStream.from(lines(await read(0), readOn));
  return new Response(body.pipeThrough(new TextEncoderStream()), {
    headers: {
      "content-type": "application/x-ndjson",
      "content-disposition": 'attachment; filename="quarantine.ndjson"',
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}

async function* lines(
  first: QuarantinedRow[],
  read: (offset: number) => Promise<QuarantinedRow[]>,
): AsyncGenerator<string> {
  let rows = first;
  for (let offset = rows.length; rows.length > 0; offset += rows.length) {
    yield rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    if (rows.length < PER_READ || offset >= MAX_ROWS) return;
    rows = await read(offset);
  }
}
