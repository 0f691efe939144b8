import type { Published } from "../core/types.ts";
import { type CatalogueReader, type NewCampaigns, NO_NEW_CAMPAIGNS } from "./catalogue_reader.ts";
import type { RequestTrace } from "./request_trace.ts";
import { type LearntData, NOTHING_LEARNT, type VersionData } from "./version_data.ts";

/** What was learnt for the published version, as far as it is in memory, the campaigns that are newer than its indexes, and the catalogue's epoch. */
export async function readVersion(
  { trace, version_data, catalogue, published }: {
    readonly trace: RequestTrace;
    readonly version_data: Pick<VersionData, "get">;
    readonly catalogue: Pick<CatalogueReader, "epoch" | "newCampaigns">;
    readonly published: Pick<Published, "version" | "model">;
  },
): Promise<{ readonly learnt: LearntData; readonly newCampaigns: NewCampaigns; readonly epoch: number }> {
  const [loaded, epoch] = await Promise.all([
    version_data.get(published.version),
    trace.callStore("analytics", null, (signal) => catalogue.epoch({ signal })),
  ]);
  if (loaded === "loading") trace.markIncomplete("analytics", "the data of the version are being loaded");
  const learnt = loaded === "loading" ? NOTHING_LEARNT : loaded;
  const { built_from } = learnt;
  // Without analytics no campaign is read.
  if (epoch === null) return { learnt, newCampaigns: NO_NEW_CAMPAIGNS, epoch: -1 };
  if (built_from === null) return { learnt, newCampaigns: NO_NEW_CAMPAIGNS, epoch };
  const newCampaigns = await trace.callStore(
    "vectors",
    NO_NEW_CAMPAIGNS,
    (signal) => catalogue.newCampaigns({ ...published, built_from, epoch, signal }),
  );
  return { learnt, newCampaigns, epoch };
}
