import { type Clock, iso } from "../../lib/core/clock.ts";
import { UserHasher } from "../../lib/privacy/user_hasher.ts";
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";
import type { AuditEntry, AuditFacts, AuditStore } from "../../lib/stores/runs/port.ts";

/** What the audit log says about a request, and the request log does not. */
export interface AuditNote {
  /** As {@link AuditEntry.by}; set once the request is let in. */
  caller?: string;
  facts?: AuditFacts;
}

/** How many ids an entry lists. */
const MAX_IDS = 100;

/** Ids for the facts of an entry, of which there may be many. */
export function idsOf(ids: readonly string[]): readonly string[] {
  return ids.slice(0, MAX_IDS);
}

/** Records who wrote or administered what. It has hashes of user ids, which cannot be read without the secret. */
export class AuditLog {
  private hasher: Promise<UserHasher> | null = null;

  constructor(
    private readonly options: {
      readonly stores: {
        readonly runs: Pick<AuditStore, "addAuditEntry">;
        readonly analytics: Pick<AnalyticsStore, "secret">;
      };
      readonly clock: Clock;
    },
  ) {}

  /** `user_id` is that of the path. Rejects if a store does not respond. */
  async record(
    { entry, user_id }: { entry: Omit<AuditEntry, "at" | "user_hash">; user_id?: string },
  ): Promise<void> {
    const { stores, clock } = this.options;
    const user_hash = user_id === undefined ? null : (await this.openHasher()).hash(user_id.trim());
    await stores.runs.addAuditEntry({ ...entry, at: iso(clock.now()), user_hash });
  }

  private async openHasher(): Promise<UserHasher> {
    this.hasher ??= UserHasher.open(this.options.stores);
    try {
      return await this.hasher;
    } catch (error) {
      this.hasher = null;
      throw error;
    }
  }
}
