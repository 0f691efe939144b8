import type { Abortable, QuarantinedRow } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { QuarantineStore } from "../stores/documents/port.ts";
import { possibleIds } from "./user_text.ts";
import { UserHasher } from "./user_hasher.ts";

/** Says which users are erased, by the tombstones in analytics, which an erasure adds before it removes any row. */
export class ErasedUsers {
  private hasher: Promise<UserHasher> | null = null;

  constructor(private readonly analytics: Pick<AnalyticsStore, "secret" | "tombstones">) {}

  /** Those of these users who are erased. Costs one small query if no user is. */
  async among(user_ids: Iterable<string>, { signal }: Abortable = {}): Promise<ReadonlySet<string>> {
    const { tombstones } = this.analytics;
    const [first] = await tombstones.page({ after: null, limit: 1, signal });
    if (first === undefined) return NO_USERS;
    const hasher = await this.open();
    const byHash = new Map([...new Set(user_ids)].map((user_id) => [hasher.hash(user_id), user_id]));
    const found = await tombstones.among({ hashes: [...byHash.keys()], signal });
    return new Set(found.map((hash) => byHash.get(hash)!));
  }

  /**
   * Writes rows without those of erased users. The check is repeated after the write: of a user whose erasure began in between
   * `undo` removes what was written, so that whichever of the two comes last, no row stays.
   */
  async write<Row extends { readonly user_id: string }, T>(
    rows: readonly Row[],
    { write, undo, signal }: {
      write: (rows: readonly Row[]) => Promise<T>;
      undo: (user_ids: string[]) => Promise<unknown>;
    } & Abortable,
  ): Promise<{ readonly result: T; readonly refused: ReadonlySet<string> }> {
    const before = await this.among(rows.map(({ user_id }) => user_id), { signal });
    const kept = before.size === 0 ? rows : rows.filter(({ user_id }) => !before.has(user_id));
    const result = await write(kept);
    const after = await this.among(kept.map(({ user_id }) => user_id), { signal });
    if (after.size === 0) return { result, refused: before };
    await undo([...after]);
    return { result, refused: before.union(after) };
  }

  /**
   * Quarantines refused rows without those that may be of erased users, also if the erasure begins meanwhile. Returns how many it
   * stored, and the erased users.
   */
  async quarantine(
    documents: Pick<QuarantineStore, "quarantine" | "deleteQuarantined">,
    rows: readonly QuarantinedRow[],
    { signal }: Abortable = {},
  ): Promise<{ readonly stored: number; readonly erased: ReadonlySet<string> }> {
    const ids = new Map(rows.map((row) => [row, possibleIds(row.raw)]));
    const all = [...ids.values()].flat();
    const before = await this.among(all, { signal });
    const namesOne = (erased: ReadonlySet<string>) => (row: QuarantinedRow) =>
      ids.get(row)!.some((id) => erased.has(id));
    const kept = before.size === 0 ? rows : rows.filter((row) => !namesOne(before)(row));
    await documents.quarantine({ rows: kept, signal });
    const erased = await this.among(all, { signal });
    const late = kept.filter(namesOne(erased));
    if (late.length > 0) await documents.deleteQuarantined({ rows: late, signal });
    return { stored: kept.length - late.length, erased };
  }

  /** Once for all calls; an error is not kept. */
  private open(): Promise<UserHasher> {
    return this.hasher ??= UserHasher.open({ analytics: this.analytics }).catch((error) => {
      this.hasher = null;
      throw error;
    });
  }
}

const NO_USERS: ReadonlySet<string> = new Set();
