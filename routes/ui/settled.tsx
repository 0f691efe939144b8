import type { Campaign } from "../../lib/core/types.ts";
import { ask, type Asked } from "../web/ask.ts";
import type { Site } from "../web/page.ts";
import { Empty, Section } from "./layout.tsx";
import { count } from "./text.ts";
import { Unread } from "./unread.tsx";

/** Campaigns named; the rest are counted. */
const MOST = 50;

export interface SettledOnes {
  readonly ids: readonly string[];
  readonly campaigns: Asked<Campaign[]>;
}

export async function readSettled({ stores }: Site, ids: readonly string[]): Promise<SettledOnes> {
  const campaign_ids = ids.slice(0, MOST);
  return { ids, campaigns: await ask(() => stores.analytics.campaigns({ campaign_ids })) };
}

/** What is left out because the user dismissed it or converted on it. */
export function Settled({ ids, campaigns: { value, error } }: SettledOnes) {
  const titles = new Map(value?.map((each) => [each.campaign_id, each.title]));
  return (
    <Section title="Left out" aside="dismissed or chosen already">
      {error !== null && <Unread what="The analytics store" error={error} />}
      {ids.length === 0 && <Empty>Nothing: this user has neither dismissed nor chosen a campaign.</Empty>}
      <ul class="plain">
        {ids.slice(0, MOST).map((id) => (
          <li>
            {titles.get(id) ?? "a campaign that is gone"} <code>{id}</code>
          </li>
        ))}
      </ul>
      {ids.length > MOST && <p class="muted">and {count(ids.length - MOST, "more campaign")}</p>}
    </Section>
  );
}
