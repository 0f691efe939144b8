import { sentence } from "../../../lib/core/text.ts";
import { causeOf, ParleyError } from "../../../lib/core/errors.ts";
import type { Explained } from "../../../lib/recommend/recommender.ts";
import { parseId } from "../../../lib/schema/ids.ts";
import { HowComputed } from "./provenance.tsx";
import { Items, SOURCE_NAMES, Sources } from "./items.tsx";
import type { Message } from "../../../lib/core/types.ts";
import { Messages, readMessages } from "./messages.tsx";
import { Timings } from "./timings.tsx";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import { readSuppressedCampaigns, type SuppressedCampaigns } from "./suppressed.tsx";
import type { ReadResult } from "../../http/try_read.ts";
import type { PageRequest, View } from "../../http/page.ts";

const DEFAULT_K = 10;
const MAX_ID = 256;

/** What the form asks for. Ids are as the API takes them; `user_id` is "" where none is asked for. */
interface ExplainQuery {
  readonly user_id: string;
  readonly k: number;
  /** What is wrong with it; null where nothing is. */
  readonly wrong: string | null;
}

/**
 * `GET /explain?user_id=&k=`: the answer that the API gives this user now, computed now, and what led to it. The user's own
 * words only to those with the scope `admin`.
 */
export async function explain(visit: PageRequest): Promise<View> {
  const wish = queryOf(visit.url);
  const asked = wish.user_id === "" || wish.wrong !== null ? null : await readExplained(visit, wish);
  return {
    title: "Explain",
    body: (
      <>
        <QueryForm wish={wish} />
        {wish.user_id === "" && (
          <Section title="An answer">
            <Empty>
              Enter a user's id, as your messages and events have it: what{" "}
              <code>GET /recommendations/USER_ID</code> answers is then shown here, with all that led to it.
            </Empty>
          </Section>
        )}
        {asked instanceof ParleyError && <p class="warning" role="note">{sentence(asked.message)}</p>}
        {asked !== null && !(asked instanceof ParleyError) && <ExplainedAnswer visit={visit} {...asked} />}
      </>
    ),
  };
}

function queryOf(url: URL): ExplainQuery {
  const given = url.searchParams.get("user_id") ?? "";
  const k = Number(url.searchParams.get("k") || DEFAULT_K);
  try {
    const user_id = given.trim() === "" ? "" : parseId("the id", given);
    const good = Number.isInteger(k) && k >= 1 && k <= 100;
    return {
      user_id,
      k: good ? k : DEFAULT_K,
      wrong: good ? null : "items are a whole number from 1 to 100",
    };
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    return { user_id: "", k: DEFAULT_K, wrong: error.message };
  }
}

/** All that the page shows of an answer. */
interface ExplainData {
  readonly explained: Explained;
  readonly suppressed: SuppressedCampaigns;
  readonly messages: ReadResult<Message[]> | null;
}

/** Before the first publish there is nothing to explain, and the sentence says so. */
async function readExplained(
  visit: PageRequest,
  { user_id, k }: ExplainQuery,
): Promise<ExplainData | ParleyError> {
  const { site } = visit;
  try {
    const [explained, messages] = await Promise.all([
      site.recommender.explain({ user_id, k }),
      readMessages(visit, user_id),
    ]);
    const suppressed = await readSuppressedCampaigns(site, explained.provenance?.suppressed ?? []);
    return { explained, messages, suppressed };
  } catch (error) {
    if (error instanceof ParleyError) return error;
    throw error;
  }
}

function QueryForm({ wish: { user_id, k, wrong } }: { wish: ExplainQuery }) {
  return (
    <form method="get" action="/explain" class="filters" role="search">
      <div class="field wide">
        <label for="user_id">User</label>
        <input id="user_id" name="user_id" value={user_id} maxlength={MAX_ID} autocomplete="off" required />
      </div>
      <div class="field narrow">
        <label for="k">Items</label>
        <input id="k" name="k" type="number" min="1" max="100" value={k} />
      </div>
      <button type="submit" class="main">Explain</button>
      {wrong !== null && <p class="problem" role="alert">{sentence(wrong)}</p>}
    </form>
  );
}

function ExplainedAnswer(
  { visit, explained, suppressed, messages }: ExplainData & { visit: PageRequest },
) {
  const { answer, provenance, published } = explained;
  return (
    <>
      <Degraded explained={explained} />
      <Figures>
        <Figure name="Strategy" value={answer.strategy} note={STRATEGY[answer.strategy]} />
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
          note="of others, that led to engagement"
        />
        <Figure name="Intents" value={String(provenance?.intents.length ?? 0)} note="most expressed" />
        <Figure
          name="Data version"
          value={String(answer.version ?? "–")}
          {...published === null ? {} : { note: published.run_id }}
        />
      </Figures>
      <Items visit={visit} answer={answer} />
      {provenance !== null && (
        <>
          <Sources weights={provenance.weights} items={answer.items} />
          <HowComputed visit={visit} answer={answer} provenance={provenance} suppressed={suppressed} />
        </>
      )}
      <Timings steps={explained.steps} />
      <Messages messages={messages} />
    </>
  );
}

const STRATEGY = {
  personal: "something is known of this user",
  popular: "nothing is known of this user",
} as const;

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
