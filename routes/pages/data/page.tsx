import type { PageRequest, View } from "../../http/page.ts";
import { readData } from "./data.ts";
import { DatasetUses, Lineage, Quarantine, Rows } from "./parts.tsx";

/** `GET /data?dataset=`: what is stored, which task reads and writes it, and the newest uses of one dataset. */
export async function data({ context, url, now }: PageRequest): Promise<View> {
  const { uses, counts, quarantined } = await readData(context, now);
  const chosen = url.searchParams.get("dataset");
  return {
    title: "Data",
    body: (
      <>
        <Rows counts={counts} now={now} />
        {chosen !== null && uses.value !== null && (
          <DatasetUses url={url} now={now} dataset={chosen} uses={uses.value} />
        )}
        <Lineage url={url} now={now} uses={uses} chosen={chosen} />
        <Quarantine quarantined={quarantined} />
      </>
    ),
  };
}
