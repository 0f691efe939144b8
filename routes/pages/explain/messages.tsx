import type { Message } from "../../../lib/core/types.ts";
import { Empty, Section, StoreUnavailable } from "../../components/layout.tsx";
import { Time } from "../../components/time.tsx";
import { type ExplainData, MAX_READ } from "./data.ts";

export function Messages({ messages }: Pick<ExplainData, "messages">) {
  return (
    <Section title="What the user said" aside="the newest messages">
      {messages !== null ? <MessageList messages={messages} /> : (
        <Empty>
          Conversation text is personal. It is shown to a session with the scope <code>admin</code> alone.
        </Empty>
      )}
    </Section>
  );
}

function MessageList({ messages: { value, error } }: { messages: NonNullable<ExplainData["messages"]> }) {
  if (value === null) return <StoreUnavailable what="The documents store" error={error} />;
  if (value.newest.length === 0) return <Empty>No message of this user is stored.</Empty>;
  return (
    <>
      {value.cut && <p class="muted">The newest of {MAX_READ} of this user's messages.</p>}
      <ol class="messages">{value.newest.map((message) => <Line message={message} />)}</ol>
    </>
  );
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
