import { type ArmSettings, readReport } from "../../../lib/experiments/report.ts";
import type { PageContext } from "../../http/page.ts";
import { cachedRead, type ReadResult } from "../../http/try_read.ts";

type ExperimentsData = Awaited<ReturnType<typeof readReport>>;

const NO_ARMS: ArmSettings = { control_share: 0, experiments: [] };

/** The uplift over the control share, and all experiments, read again after a while. */
export function readExperiments(context: PageContext, now: number): Promise<ReadResult<ExperimentsData>> {
  const { stores: { analytics }, arms = NO_ARMS } = context;
  return cachedRead(context, "experiments", () => readReport({ ...arms, analytics, now }));
}
