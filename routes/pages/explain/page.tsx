import { causeOf, ParleyError } from "../../../lib/core/errors.ts";
import { sentence } from "../../../lib/core/text.ts";
import type { UserAnswer } from "../../../lib/recommend/answer.ts";
import { CONTROL_ARM, DEFAULT_ARM } from "../../../lib/recommend/arms.ts";
import type { Explained } from "../../../lib/recommend/recommender.ts";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { type ExplainData, type ExplainQuery, queryOf, readExplained } from "./data.ts";
import { Items, SOURCE_NAMES, Sources } from "./items.tsx";
import { Messages } from "./messages.tsx";
import { HowComputed } from "./provenance.tsx";
import { Timings } from "./timings.tsx";

/** What the API takes as an id. */
const MAX_ID_LENGTH = 256;

/** `GET /explain?user_id=&k=`: the answer that the API gives a user, computed now, and what led to it. */
export async function explain(request: PageRequest): Promise<View> {
  const query = queryOf(request.url);
  return {
    title: "Explain",
    body: (
      <>
        <QueryForm query={query} />
        {query.user_id === "" && (
          <Section title="An answer">
            <Empty>
              Enter a user's id, as in your messages and events: this page then shows what{" "}
              <code>GET /recommendations/USER_ID</code> answers, and all that led to it.
            </Empty>
          </Section>
        )}
        {query.user_id !== "" && query.problem === null && await explanation(request, query)}
      </>
    ),
  };
}

async function explanation(request: PageRequest, query: ExplainQuery) {
  const data = await readExplained(request, query);
  if (!(data instanceof ParleyError)) return <ExplainedAnswer request={request} {...data} />;
  return <p class="warning" role="note">{sentence(data.message)}</p>;
}

function QueryForm({ query: { user_id, k, problem } }: { query: ExplainQuery }) {
  return (
    <form method="get" action="/explain" class="filters" role="search">
      <div class="field wide">
        <label for="user_id">User</label>
        <input
          id="user_id"
          name="user_id"
          value={user_id}
          maxlength={MAX_ID_LENGTH}
          autocomplete="off"
          required
        />
      </div>
      <div class="field narrow">
        <label for="k">Items</label>
        <input id="k" name="k" type="number" min="1" max="100" value={k} />
      </div>
      <button type="submit" class="main">Explain</button>
      {problem !== null && <p class="problem" role="alert">{sentence(problem)}</p>}
    </form>
  );
}

function ExplainedAnswer(
  { request, explained, suppressed, messages }: ExplainData & { request: PageRequest },
) {
  const { answer, provenance, published } = explained;
  return (
    <>
      <Degraded explained={explained} />
      <Figures>
        <Figure name="Strategy" value={answer.strategy} note={strategyNote(answer)} />
        {answer.arm !== DEFAULT_ARM.name && (
          <Figure name="Arm" value={answer.arm} note={<a href="/experiments">compared with others</a>} />
        )}
        {answer.led_by !== null && (
          <Figure name="Led by" value={SOURCE_NAMES[answer.led_by]} note="adds most to the items" />
        )}
        <Figure
          name="Items"
          value={String(answer.items.length)}
          note={`of ${provenance?.considered ?? 0} considered`}
        />
        <Figure
          name="Similar conversations"
          value={String(provenance?.neighbours.length ?? 0)}
          note="of others, which led to engagement"
        />
        <Figure name="Intents" value={String(provenance?.intents.length ?? 0)} note="most expressed" />
        <Figure
          name="Data version"
          value={String(answer.version ?? "–")}
          {...published === null ? {} : { note: published.run_id }}
        />
      </Figures>
      <Items url={request.url} answer={answer} />
      {provenance !== null && (
        <>
          <Sources weights={provenance.weights} items={answer.items} />
          <HowComputed request={request} answer={answer} provenance={provenance} suppressed={suppressed} />
        </>
      )}
      <Timings steps={explained.steps} />
      <Messages messages={messages} />
    </>
  );
}

const STRATEGY_NOTES = {
  personal: "something is known of this user",
  popular: "nothing is known of this user",
} as const;

function strategyNote({ strategy, arm }: UserAnswer): string {
  return arm === CONTROL_ARM.name ? "whatever is known of this user" : STRATEGY_NOTES[strategy];
}

function Degraded({ explained: { answer, failures } }: { explained: Explained }) {
  if (answer.degraded.length === 0) return null;
  return (
    <p class="warning" role="note">
      <strong>Parts are missing</strong>, as the API says by <code>degraded</code>:{" "}
      {answer.degraded.map((store) => (
        <>
          {store} (<code>{causeOf(failures.get(store))}</code>){" "}
        </>
      ))}
      · <a href="/stores">Stores</a> says what to do.
    </p>
  );
}
