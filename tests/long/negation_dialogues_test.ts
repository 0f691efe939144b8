/** Negations against what seekers of dialogues about films said afterwards that they disliked. */
import assert from "node:assert/strict";
import { CampaignNames } from "../../lib/recommend/mentions.ts";
import { negationsOf } from "../../lib/recommend/negations.ts";
import type { Message } from "../../lib/core/types.ts";
import { message } from "../fixtures/rows.ts";

const DATA = new URL("../../../shared/data/redial_dev/", import.meta.url);
const GAP_MS = 30 * 60_000;

async function read<Row>(file: string): Promise<Row[]> {
  const text = await Deno.readTextFile(new URL(file, DATA));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("of the films that seekers negate in dialogues and gave a label, seven in ten are labelled as disliked", async () => {
  const campaigns = await read<{ campaign_id: string; title: string }>("campaigns.jsonl");
  const names = new CampaignNames(campaigns.map((row) => ({ aliases: [], ...row })));
  const dialogues = Map.groupBy(await read<Message>("messages.jsonl"), (row) => row.conversation_id!);
  const types = new Map<string, Set<string>>();
  for (
    const { conversation_id, campaign_id, type } of await read<
      { conversation_id: string; campaign_id: string; type: string }
    >("events.jsonl")
  ) {
    const key = `${conversation_id} ${campaign_id}`;
    types.set(key, (types.get(key) ?? new Set()).add(type));
  }
  const disliked = new Set([...types].filter(([, each]) => each.has("dismissal")).map(([key]) => key));
  const liked = new Set(
    [...types].filter(([, each]) => !each.has("dismissal") && (each.has("click") || each.has("conversion")))
      .map(([key]) => key),
  );
  const [negated, named] = [new Set<string>(), new Set<string>()];
  for (const [id, rows] of dialogues) {
    const user_id = rows.find(({ role }) => role === "user")?.user_id ?? "";
    // The other side writes by an id of its own, and the conversation is the seeker's.
    const messages = rows.map((row) => message({ ...row, user_id, metadata: null }));
    for (const { name } of negationsOf({ user_id, messages }, { names, gap_ms: GAP_MS })) {
      negated.add(`${id} ${name}`);
    }
    for (const row of messages) {
      if (row.role === "user") { for (const name of names.find(row.message)) named.add(`${id} ${name}`); }
    }
  }
  const found = negated.intersection(disliked).size;
  const figures = {
    dialogues: dialogues.size,
    negated: negated.size,
    disliked: disliked.size,
    precision: found / (found + negated.intersection(liked).size),
    recall: found / disliked.size,
    disliked_and_named: disliked.intersection(named).size,
    recall_of_named: negated.intersection(disliked).intersection(named).size /
      disliked.intersection(named).size,
  };
  console.log(JSON.stringify(figures));
  assert.ok(figures.precision >= 0.7 && figures.recall_of_named >= 0.3, JSON.stringify(figures));
});
