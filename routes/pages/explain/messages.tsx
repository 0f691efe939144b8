import type { Message } from "../../../lib/core/types.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";
import type { PageRequest } from "../../http/page.ts";
import { allows } from "../../../lib/core/types.ts";
import { Empty, Section } from "../../components/layout.tsx";
import { Time } from "../../components/time.tsx";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";

/** Messages read, which bounds the time of the page, and of those the newest that are shown. */
const MOST = Object.freeze({ read: 2_000, shown: 10 });

/** What the user said: personal, so for those with the scope `admin` alone, and null for others. Nothing of it is logged. */
export async function readMessages(
  { site, session }: PageRequest,
  user_id: string,
): Promise<ReadResult<Message[]> | null> {
  if (!allows(session.scopes, "admin")) return null;
  const { documents } = site.stores;
  return await tryRead(() => documents.page({ after: null, limit: MOST.read, user_ids: [user_id] }));
}

export function Messages({ messages }: { messages: ReadResult<Message[]> | null }) {
  return (
    <Section title="What the user said" aside="the newest messages">
      {messages !== null ? <Said messages={messages} /> : (
        <Empty>
          Conversation text is personal. It is shown to a session with the scope <code>admin</code> alone.
        </Empty>
      )}
    </Section>
  );
}

function Said({ messages: { value, error } }: { messages: ReadResult<Message[]> }) {
  if (value === null) return <StoreUnavailable what="The documents store" error={error} />;
  if (value.length === 0) return <Empty>Nothing: no message of this user is stored.</Empty>;
  return (
    <>
      {value.length === MOST.read && <p class="muted">Looked for in {MOST.read} of this user's messages.</p>}
      <ol class="said">{newest(value).map((message) => <Line message={message} />)}</ol>
    </>
  );
}

function newest(messages: readonly Message[]): Message[] {
  return messages.toSorted((a, b) => a.timestamp < b.timestamp ? 1 : -1).slice(0, MOST.shown);
}

function Line({ message: { timestamp, role, intent, message } }: { message: Message }) {
  return (
    <li>
      <div class="muted">
        <Time at={timestamp} /> · {role}
        {intent !== null && <>{" "}· {intent}</>}
      </div>
      {message}
    </li>
  );
}
