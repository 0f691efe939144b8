import { counted } from "../../../lib/core/text.ts";
import type { Campaign } from "../../../lib/core/types.ts";
import type { Reason } from "../../../lib/recommend/answer.ts";
import type { Ranked } from "../../../lib/recommend/score.ts";
import { Bars } from "../../components/bars.tsx";
import { campaignColumn } from "../../components/campaign_link.tsx";
import { numberColumn, textColumn } from "../../components/columns.tsx";
import { formatNumber, formatPercent } from "../../components/format_number.ts";
import {
  Empty,
  Fact,
  Figure,
  Figures,
  Section,
  StoreUnavailable,
  UnavailableSection,
} from "../../components/layout.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Time } from "../../components/time.tsx";
import type { ReadResult } from "../../http/try_read.ts";
import { SOURCE_NAMES } from "../explain/items.tsx";
import type { Audience, SimilarList } from "./data.ts";

/** The fields that the catalogue has of it. */
export function Fields({ campaign }: { campaign: Campaign }) {
  const { campaign_id, description, aliases, intents, category, tags, starts_at, ends_at, metadata } =
    campaign;
  const lists = Object.entries({ aliases, intents, tags }).filter(([, values]) => values.length > 0);
  return (
    <>
      {description !== null && <p>{description}</p>}
      <dl class="facts">
        <Fact name="Id">
          <code>{campaign_id}</code>
        </Fact>
        {category !== null && <Fact name="Category">{category}</Fact>}
        {lists.map(([name, values]) => (
          <Fact name={name[0]!.toUpperCase() + name.slice(1)}>{values.join(", ")}</Fact>
        ))}
        {starts_at !== null && (
          <Fact name="Starts">
            <Time at={starts_at} />
          </Fact>
        )}
        {ends_at !== null && (
          <Fact name="Ends">
            <Time at={ends_at} />
          </Fact>
        )}
      </dl>
      {metadata !== null && (
        <details class="spaced">
          <summary>Metadata as JSON</summary>
          <pre class="json" tabindex={0}>{JSON.stringify(metadata, null, 2)}</pre>
        </details>
      )}
    </>
  );
}

export function AudienceParts(
  { url, audience: { value, error } }: { url: URL; audience: ReadResult<Audience> },
) {
  if (value === null) {
    return <UnavailableSection title="Who sees it" what="A store that answers are made from" error={error} />;
  }
  if (value.users === 0) {
    return (
      <Section title="Who sees it">
        <Empty>
          No event names it, so it is not known who sees it. Send impressions and clicks as events.
        </Empty>
      </Section>
    );
  }
  return (
    <>
      <Section
        title="Who sees it"
        aside={`answers to the ${counted(value.users, "user")} of its newest events`}
      >
        <Figures>
          <Figure
            name="Shown now"
            value={`${value.shown} of ${value.users}`}
            note="users, among their first 10 items"
          />
          <Figure
            name="Mean position"
            value={value.position === null ? "–" : formatNumber(value.position)}
            note="where it is shown"
          />
          <Figure
            name="Left out"
            value={`${value.left_out} of ${value.users}`}
            note="converted, dismissed, or know it"
          />
        </Figures>
        <div class="spaced">
          <Table
            id="intents"
            caption="What these users ask for, the most frequent first."
            url={url}
            columns={INTENT_COLUMNS}
            rows={value.intents}
            empty={<Empty>No message of these users has an intent.</Empty>}
          />
        </div>
      </Section>
      <Why url={url} audience={value} />
    </>
  );
}

const INTENT_COLUMNS: readonly Column<Audience["intents"][number]>[] = [
  textColumn("intent", "Intent", ({ intent }) => intent),
  numberColumn("users", "Users", ({ users }) => users),
  textColumn("targeted", "Targeted by the campaign", ({ targeted }) => targeted ? "yes" : "no"),
];

/** Reasons by their code. */
const REASON_NAMES: Readonly<Record<Reason["code"], string>> = {
  mention: "they named it",
  similar_conversations: "people asked for something like this",
  wording: "people asked in words like theirs",
  co_engagement: "it goes with what they engaged with",
  intent: "it answers what they asked about",
  similarity: "it matches what they talk about",
  exploration: "it was hardly shown yet",
  popular: "it is popular",
};

function Why({ url, audience: { shown, sources, reasons } }: { url: URL; audience: Audience }) {
  if (shown === 0) return null;
  return (
    <Section title="Why" aside={`in ${counted(shown, "answer")}`}>
      <figure class="chart rates">
        <figcaption>Mean value of each source, 0 to 1</figcaption>
        <Bars
          bars={sources.map(({ source, value }) => ({
            name: SOURCE_NAMES[source],
            parts: [{ from: 0, to: value, series: 1, title: `${SOURCE_NAMES[source]} ${value.toFixed(2)}` }],
            value: value.toFixed(2),
          }))}
        />
      </figure>
      <Table
        id="reasons"
        caption="The reasons that answers give; an answer has one to three."
        url={url}
        columns={[
          textColumn<Audience["reasons"][number]>("reason", "Reason", ({ code }) => REASON_NAMES[code]),
          numberColumn<Audience["reasons"][number]>("users", "Answers", ({ users }) => users),
          numberColumn<Audience["reasons"][number]>(
            "share",
            "Share",
            ({ users }) => users / shown,
            formatPercent,
          ),
        ]}
        rows={reasons}
      />
    </Section>
  );
}

const SIMILAR_COLUMNS: readonly Column<Ranked>[] = [
  campaignColumn(),
  textColumn("category", "Category", ({ campaign }) => campaign.category),
  numberColumn("score", "Score", ({ score }) => score, (score) => score.toFixed(3)),
  numberColumn("meaning", "In meaning", ({ sources }) => sources.similarity, (value) => value.toFixed(2)),
  numberColumn(
    "together",
    "Co-engagement",
    ({ sources }) => sources.co_engagement,
    (value) => value.toFixed(2),
  ),
];

export function Similar({ url, similar: { value, error } }: { url: URL; similar: ReadResult<SimilarList> }) {
  return (
    <Section title="Similar campaigns" aside="that may be shown now">
      {value === null ? <StoreUnavailable what="A store that they are found by" error={error} /> : (
        <>
          {value.degraded.length > 0 && (
            <StoreUnavailable what={`The store ${value.degraded.join()}`} error={null} />
          )}
          <Table
            id="similar"
            caption="The most similar first."
            url={url}
            columns={SIMILAR_COLUMNS}
            rows={value.rows}
            empty={<Empty>No campaign that may be shown is known to be like it.</Empty>}
          />
        </>
      )}
    </Section>
  );
}
