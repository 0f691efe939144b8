import type { Config } from "../lib/config.ts";
import { withTimeout } from "../lib/core/abort.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { counted } from "../lib/core/text.ts";
import type { Dag } from "../lib/dag/define.ts";
import { queueOnce } from "../lib/dag/runs.ts";
import { applyTombstones, findLacking } from "../lib/privacy/apply_tombstones.ts";
import { pendingErasures } from "../lib/privacy/erase_users.ts";
import type { UserStores } from "../lib/privacy/stores.ts";
import { openCache } from "../lib/stores/open.ts";
import type { RunStore } from "../lib/stores/runs/port.ts";
import { warn } from "./exit.ts";

/** How long stores may take to say which tombstones they have. */
const READ_TIMEOUT_MS = 5_000;

interface ReapplyOptions {
  readonly stores: UserStores;
  readonly runs: RunStore;
  /** The dag that completes erasures. */
  readonly erase: Dag<never>;
}

/**
 * Before anything is served or written: erases users of whom a store has rows although another store has their tombstones, as after
 * one store was restored alone, and queues a run if an erasure is pending and none is about to complete it. Reports on stderr what it
 * did, and which store could not be asked; the others start without it.
 */
export async function reapplyTombstones(
  config: Pick<Config, "cache">,
  { stores, runs, erase }: ReapplyOptions,
): Promise<void> {
  try {
    // Those that do not respond are reported by whatever uses them.
    const { lacking, foreign } = await withTimeout(
      READ_TIMEOUT_MS,
      (signal) => findLacking({ stores, log: () => {}, signal }),
    );
    if (foreign > 0) {
      warn(
        `${
          counted(foreign, "tombstone")
        } cannot be applied, since analytics has another secret than when they were made: restore ` +
          "analytics from the same time, or erase those users again",
      );
    }
    if (lacking.length > 0) await reapply(config, stores);
    await queuePending({ stores, runs, erase });
  } catch (error) {
    // Nothing is stored yet, or a store is down: its own health says which.
    if (!(error instanceof ParleyError)) throw error;
  }
}

async function reapply(config: Pick<Config, "cache">, stores: UserStores): Promise<void> {
  const cache = await openCache(config.cache);
  try {
    const { users, lacking } = await applyTombstones({
      stores: { ...stores, cache },
      clock: systemClock,
      log: warn,
    });
    warn(
      `${lacking.join(", ")} lacked tombstones, as after a restore: ${counted(users, "user")} erased again`,
    );
  } catch (error) {
    if (error instanceof ParleyError) {
      warn(`tombstones could not be applied to every store: ${error.message}`);
    }
    throw error;
  } finally {
    await cache.close();
  }
}

async function queuePending({ stores: { analytics }, runs, erase }: ReapplyOptions): Promise<void> {
  if ((await pendingErasures(analytics)).length === 0) return;
  const [running] = await runs.runs({ dag_id: erase.id, states: ["running"], limit: 1 });
  if (running === undefined) await queueOnce({ dag: erase, runs, clock: systemClock });
}
