import type { EngagementEvent } from "../core/types.ts";
import type { AssignedEvent } from "../stores/analytics/port.ts";
import { IdSigner } from "./recommendation_id.ts";

/**
 * Gives events the arm of the answer that led to them, by their `recommendation_id`. It does so before they are stored, where the secret is
 * at hand, and not when they are counted, which would check signatures of all events at each look. An id that was not signed by this
 * deployment, or for another user, gives none: a client cannot choose an arm.
 */
export class EventArms {
  private signer: Promise<IdSigner> | null = null;

  /** `secret` is what ids are signed with. */
  constructor(private readonly secret: () => Promise<Uint8Array>) {}

  async assign(events: readonly EngagementEvent[]): Promise<readonly AssignedEvent[]> {
    if (events.every(({ recommendation_id }) => (recommendation_id ?? null) === null)) return events;
    const signer = await this.open();
    // Events of one answer have the same id and mostly follow each other.
    let [id, user, arm]: [string | null, string, string | null] = [null, "", null];
    return events.map((event) => {
      const { recommendation_id, user_id } = event;
      if ((recommendation_id ?? null) === null) return event;
      if (recommendation_id !== id || user_id !== user) {
        [id, user, arm] = [recommendation_id!, user_id, signer.armFor(recommendation_id!, user_id)];
      }
      return { ...event, arm };
    });
  }

  /** Once for all calls; an error is not kept. */
  private open(): Promise<IdSigner> {
    return this.signer ??= this.secret().then((bytes) => new IdSigner(bytes)).catch((error) => {
      this.signer = null;
      throw error;
    });
  }
}
