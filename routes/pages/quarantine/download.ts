import type { QuarantinedRow } from "../../../lib/core/types.ts";
import { field, type PageRequest } from "../../http/page.ts";
import { quarantineFilter } from "./data.ts";

const PER_READ = 500;
/** Each read skips those before it, so they are bounded. */
const MAX_ROWS = 100_000;

/** `POST /data/quarantine/download`, for `admin`: the refused rows that match the form's filter, with their text, as NDJSON. */
export async function download(request: PageRequest): Promise<Response> {
  const filter = quarantineFilter({
    run_id: field(request, "run_id"),
    kind: field(request, "kind"),
    source: field(request, "source"),
    reason: field(request, "reason"),
  });
  const { documents } = request.context.stores;
  const read = (offset: number) => documents.quarantined({ ...filter, limit: PER_READ, offset });
  const readOn = (offset: number) =>
    read(offset).catch((error) => {
      request.report(error);
      throw error;
    });
  // If the store is down, that is the answer: nothing was sent yet.
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
