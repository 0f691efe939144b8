import type { Published } from "../core/types.ts";
import { type CatalogueReader, type NewCampaigns, NO_NEW_CAMPAIGNS } from "./catalogue_reader.ts";
import type { RequestTrace } from "./request_trace.ts";
import type { LearntData, VersionData } from "./version_data.ts";

/** What was learnt for the published version, or that it is loading, and the campaigns that are newer than its indexes. */
export async function readVersion(
  { trace, version_data, catalogue, published }: {
    readonly trace: RequestTrace;
    readonly version_data: VersionData;
    readonly catalogue: CatalogueReader;
    readonly published: Pick<Published, "version" | "model">;
  },
): Promise<{ readonly loaded: LearntData | "loading"; readonly newCampaigns: NewCampaigns }> {
  const [loaded, epoch] = await Promise.all([
    version_data.get(published.version),
    trace.callStore("analytics", null, (signal) => catalogue.epoch({ signal })),
  ]);
  const built_from = loaded === "loading" ? null : loaded.built_from;
  if (epoch === null || built_from === null) return { loaded, newCampaigns: NO_NEW_CAMPAIGNS };
  const newCampaigns = await trace.callStore(
    "vectors",
    NO_NEW_CAMPAIGNS,
    (signal) => catalogue.newCampaigns({ ...published, built_from, epoch, signal }),
  );
  return { loaded, newCampaigns };
}
