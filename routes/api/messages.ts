import { messageInput } from "../../lib/schema/message.ts";
import { batchEndpoint } from "../http/batch.ts";

export const writeMessages = batchEndpoint({
  kind: "messages",
  operation: "writeMessages",
  summary: "Store messages",
  description: "Stores what users said. It shows in the user's next answer within a second.",
  row: messageInput.meta({
    id: "Message",
    examples: [{ user_id: "ann", message: "I need shoes for wet rock", timestamp: "2026-05-01T09:30:00Z" }],
  }),
});
