import { eventInput } from "../../lib/schema/event.ts";
import { batchEndpoint } from "../http/batch.ts";

export const writeEvents = batchEndpoint({
  kind: "events",
  operation: "writeEvents",
  summary: "Store engagement events",
  description:
    "Stores what users did with campaigns. What a user dismisses or buys is not in their next answer; all else shows " +
    "there within a second.",
  row: eventInput.meta({
    id: "Event",
    examples: [{
      user_id: "ann",
      campaign_id: "trail-shoes-grip",
      type: "click",
      timestamp: "2026-05-01T09:31:00Z",
    }],
  }),
});
