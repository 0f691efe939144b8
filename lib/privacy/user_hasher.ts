import { createHmac } from "../../deps.ts";
import { sha256 } from "../core/hash.ts";
import type { Abortable } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";

/** Separates these hashes from whatever else is made with the secret. */
const PURPOSE = "parley.tombstone.v1";
const KEY_CHARACTERS = 8;

/**
 * Hashes of user ids, by the secret of the analytics store: without it, trying an id does not show whether it was erased.
 * A hash begins with a few characters that name the secret, since tombstones by another one cannot be applied.
 */
export class UserHasher {
  private readonly key: string;

  private constructor(private readonly secret: Uint8Array) {
    this.key = `${sha256(`${PURPOSE} ${secret.toHex()}`).slice(0, KEY_CHARACTERS)}.`;
  }

  static async open(
    { analytics, ...options }: { analytics: Pick<AnalyticsStore, "secret"> } & Abortable,
  ): Promise<UserHasher> {
    return new UserHasher(await analytics.secret(options));
  }

  hash(user_id: string): string {
    return this.key + createHmac("sha256", this.secret).update(`${PURPOSE} ${user_id}`).digest("hex");
  }

  /** Whether a hash was made with this secret. */
  owns(hash: string): boolean {
    return hash.startsWith(this.key);
  }
}
