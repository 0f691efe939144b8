import { iso } from "../../../lib/core/clock.ts";
import { counted } from "../../../lib/core/text.ts";
import { Skip } from "../../../lib/dag/types.ts";
import { type ErasedRows, eraseRows, pendingErasures } from "../../../lib/privacy/erase_users.ts";
import type { StepContext } from "../../step.ts";

/** Which erasures the run completes: those that began no later than this ISO time. Ids stay out of the records of runs. */
export type EraseOutput = { readonly until: string; readonly users: number } & ErasedRows;

/** Removes rows of users whose erasure was interrupted, or that were written meanwhile. Throws {@link Skip} if none is pending. */
export async function eraseLeftRows({ services, log, signal }: StepContext): Promise<EraseOutput> {
  const until = iso(services.clock.now());
  const user_ids = await pendingUsers({ services, signal }, { until });
  if (user_ids.length === 0) throw new Skip("no erasure is pending");
  const erased = await eraseRows({ stores: services, user_ids, log, signal });
  const left = Object.values(erased).reduce((sum, rows) => sum + rows, 0);
  log(`${counted(user_ids.length, "user")} to erase, ${counted(left, "row")} of them left`);
  return { until, users: user_ids.length, ...erased };
}

export async function pendingUsers(
  { services, signal }: Pick<StepContext, "services" | "signal">,
  { until }: Pick<EraseOutput, "until">,
): Promise<string[]> {
  const pending = await pendingErasures(services.analytics, { until, signal });
  return pending.map(({ user_id }) => user_id);
}
