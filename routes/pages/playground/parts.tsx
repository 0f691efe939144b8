import { DEFAULT_ARM } from "../../../lib/recommend/arms.ts";
import { SOURCES } from "../../../lib/recommend/answer.ts";
import { CampaignLink } from "../../components/campaign_link.tsx";
import { numberColumn } from "../../components/columns.tsx";
import { CsrfToken, Field, type FormSession } from "../../components/form.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { type Column, Table } from "../../components/table.tsx";
import type { PageRequest } from "../../http/page.ts";
import { Suppressed } from "../explain/suppressed.tsx";
import { SHORT_SOURCE_NAMES, SOURCE_NAMES } from "../explain/items.tsx";
import {
  type ComparedItem,
  type Comparison,
  MAX_CHARACTERS,
  MAX_ID_LENGTH,
  MAX_ITEMS,
  MAX_WEIGHT,
  type Trial,
} from "./data.ts";

export function TrialForm({ session, trial }: { session: FormSession; trial: Trial }) {
  return (
    <Section title="What to try" aside="nothing of it is stored or logged">
      <form method="post" action="/playground" class="fields">
        <CsrfToken session={session} />
        <Field
          id="text"
          label="Conversation"
          hint="What the user says, a line for each message. Of both sides if lines begin with user: or assistant:"
        >
          <textarea id="text" name="text" rows={5} maxlength={MAX_CHARACTERS} aria-describedby="text-hint">
            {trial.text}
          </textarea>
        </Field>
        <Field
          id="user_id"
          label="Stored user"
          hint="Whose rows count too. Without one the conversation counts alone."
        >
          <input
            id="user_id"
            name="user_id"
            value={trial.user_id}
            maxlength={MAX_ID_LENGTH}
            autocomplete="off"
            aria-describedby="user_id-hint"
          />
        </Field>
        <fieldset class="pair">
          <legend>Weights of sources; only their ratios matter</legend>
          {SOURCES.map((source) => (
            <Field id={`weight-${source}`} label={SOURCE_NAMES[source]}>
              <NumberInput id={`weight-${source}`} value={trial.weights[source]} max={MAX_WEIGHT} />
            </Field>
          ))}
        </fieldset>
        <fieldset class="pair">
          <legend>The page</legend>
          <Field id="diversity" label="diversity">
            <NumberInput id="diversity" value={trial.diversity} max={1} />
          </Field>
          <Field id="k" label="items">
            <input id="k" name="k" type="number" min="1" max={MAX_ITEMS} value={trial.k} required />
          </Field>
        </fieldset>
        <button type="submit" class="main">Compare</button>
      </form>
    </Section>
  );
}

function NumberInput({ id, value, max }: { id: string; value: string; max: number }) {
  return <input id={id} name={id} type="number" min="0" max={max} step="any" value={value} required />;
}

export function Compared({ request, comparison }: { request: PageRequest; comparison: Comparison }) {
  const { now, tried, items, suppressed } = comparison;
  const { url } = request;
  const missing = [...new Set([...now.answer.degraded, ...tried.answer.degraded])];
  const same = items.every((item) => item.now === item.tried);
  const { arm } = now.answer;
  return (
    <>
      <Section title="Both answers" aside={same ? "the same" : "by place with these weights"}>
        {missing.length > 0 && (
          <p class="warning" role="note">
            Parts are missing: {missing.join(", ")}. <a href="/stores">Stores</a> says what to do.
          </p>
        )}
        {arm !== DEFAULT_ARM.name && (
          <p role="note">
            This user is in the arm <a href="/experiments">{arm}</a>: <em>Now</em> is the answer of this arm.
          </p>
        )}
        <Table
          id="compared"
          stacks
          caption="A campaign without a place is not in that answer. Reasons, score and sources are those with these weights; of one that is gone, those of now. Neither answer explores."
          url={new URL(url.pathname, url)}
          columns={COLUMNS}
          rows={items}
          empty={<Empty>No campaign may be shown now.</Empty>}
        />
      </Section>
      <Suppressed {...suppressed} now={request.now} />
    </>
  );
}

/** The table is the result of a posted form, so it cannot be sorted by a link. */
const COLUMNS: readonly Column<ComparedItem>[] = [
  {
    key: "campaign",
    head: "Campaign",
    cell: ({ item }) => (
      <>
        <CampaignLink campaign={item} />
        <div class="muted">
          <code>{item.campaign_id}</code> {item.category}
        </div>
      </>
    ),
  },
  unsorted(numberColumn("tried", "Place", ({ tried }) => tried)),
  unsorted(numberColumn("now", "Now", ({ now }) => now)),
  { key: "change", head: "Change", cell: ({ now, tried }) => <Change now={now} tried={tried} /> },
  {
    key: "reasons",
    head: "Why",
    cell: ({ item }) => <ul class="plain">{item.reasons.map(({ text }) => <li>{text}</li>)}</ul>,
  },
  unsorted(numberColumn("score", "Score", ({ item }) => item.score, (score) => score.toFixed(3))),
  ...SOURCES.map((source) =>
    unsorted(
      numberColumn<ComparedItem>(source, SHORT_SOURCE_NAMES[source], ({ item }) =>
        item.sources[source], (share) =>
        share.toFixed(2)),
    )
  ),
];

function unsorted({ by: _, ...column }: Column<ComparedItem>): Column<ComparedItem> {
  return column;
}

function Change({ now, tried }: Pick<ComparedItem, "now" | "tried">) {
  if (now === null) return <>new</>;
  if (tried === null) return <>gone</>;
  if (now === tried) return <span class="muted">–</span>;
  const [sign, places] = [tried < now ? "▲" : "▼", Math.abs(now - tried)];
  return <>{sign} {places}</>;
}
