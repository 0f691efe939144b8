import { TopK } from "../core/top_k.ts";
import { compareText } from "../core/text.ts";
import type { Abortable } from "../core/types.ts";
import { invert } from "../ml/positive_definite.ts";
import { choiceTypeOf, type Dataset, type Query } from "./splits.ts";
import { TfIdf } from "./tf_idf.ts";

/** Ranks campaigns for a query, best first, at most `k`, without those that the user has chosen or dismissed. */
type Ranker = (query: Query, k: number) => string[];

/** Learns from a fold's training rows. */
export type Baseline = (train: Dataset, options?: Abortable) => Ranker | Promise<Ranker>;

/** Common baselines. All use binary choices of users, except the last, which uses words. */
export const BASELINES: Readonly<Record<string, Baseline>> = {
  popularity: (train) => {
    const x = choiceMatrix(train);
    return ranker(x, () => x.popularity);
  },
  "item-kNN": (train) => {
    const x = choiceMatrix(train);
    return ranker(x, (query) => {
      const scores = new Float64Array(x.columns.length);
      for (const i of x.itemsOf(query)) {
        const weight = 1 / Math.sqrt(x.columns[i]!.length);
        for (const u of x.columns[i]!) for (const j of x.rows[u]!) scores[j]! += weight;
      }
      for (let j = 0; j < scores.length; j++) scores[j]! /= Math.sqrt(x.columns[j]!.length) || 1;
      return scores;
    });
  },
  "user-kNN": (train) => {
    const x = choiceMatrix(train);
    return ranker(x, (query) => {
      const own = x.itemsOf(query);
      const common = new Map<number, number>();
      const self = x.users.get(query.user_id);
      for (const i of own) for (const u of x.columns[i]!) common.set(u, (common.get(u) ?? 0) + 1);
      const neighbours = [...common].filter(([u]) => u !== self)
        .map(([u, n]) => ({ u, cosine: n / Math.sqrt(own.length * x.rows[u]!.length) }))
        .sort((a, b) => b.cosine - a.cosine || a.u - b.u).slice(0, NEIGHBOURS);
      const scores = new Float64Array(x.columns.length);
      for (const { u, cosine } of neighbours) for (const i of x.rows[u]!) scores[i]! += cosine;
      return scores;
    });
  },
  EASE: ease,
  "tf-idf conversation-kNN": conversationKnn,
};

const NEIGHBOURS = 50;
const EASE_LAMBDA = 500;
/** EASE inverts a matrix over campaigns or users, whichever are fewer: with so many of both it takes 400 MB and minutes. */
const MAX_EASE = 5_000;

/** The baselines that can handle so many rows, and a note about the others. */
export function baselinesFor(data: Dataset): { baselines: typeof BASELINES; notes: string[] } {
  const users = new Set(data.events.map(({ user_id }) => user_id)).size;
  if (Math.min(users, data.campaigns.length) <= MAX_EASE) return { baselines: BASELINES, notes: [] };
  const { EASE: _left_out, ...baselines } = BASELINES;
  return { baselines, notes: [`EASE is left out: there are more than ${MAX_EASE} users and campaigns`] };
}

/** Choices of users, by index. */
interface ChoiceMatrix {
  readonly campaigns: Dataset["campaigns"];
  /** How many users chose each item. */
  readonly popularity: readonly number[];
  readonly users: ReadonlyMap<string, number>;
  /** Items of each user, and users of each item. */
  readonly rows: readonly (readonly number[])[];
  readonly columns: readonly (readonly number[])[];
  itemsOf(query: Query): number[];
}

function choiceMatrix(train: Dataset): ChoiceMatrix {
  const { campaigns, events } = train;
  const choice = choiceTypeOf(train);
  const items = new Map(campaigns.map(({ campaign_id }, i) => [campaign_id, i]));
  const users = new Map<string, number>();
  const rows: Set<number>[] = [];
  for (const { user_id, campaign_id, type } of events) {
    const item = items.get(campaign_id);
    if (type !== choice || item === undefined) continue;
    const user = users.get(user_id) ?? users.size;
    users.set(user_id, user);
    (rows[user] ??= new Set()).add(item);
  }
  const columns: number[][] = campaigns.map(() => []);
  rows.forEach((row, u) => row.forEach((i) => columns[i]!.push(u)));
  const itemsOf = (query: Query) => {
    const chosen = query.events.filter(({ type }) => type === choice);
    return [...new Set(chosen.flatMap(({ campaign_id }) => items.get(campaign_id) ?? []))];
  };
  const popularity = columns.map((users) => users.length);
  return { campaigns, popularity, users, rows: rows.map((row) => [...row]), columns, itemsOf };
}

/** Ranks by scores in the order of the campaigns; ties go to the campaign that more users chose, then by id. */
function ranker(
  { campaigns, popularity }: ChoiceMatrix,
  score: (query: Query) => ArrayLike<number>,
): Ranker {
  const byTies = [...campaigns.keys()].sort((a, b) =>
    popularity[b]! - popularity[a]! ||
    compareText(campaigns[a]!.campaign_id, campaigns[b]!.campaign_id)
  );
  return (query, k) => {
    const scores = score(query);
    const excluded = new Set(query.events.filter(isFinal).map(({ campaign_id }) => campaign_id));
    const best = new TopK(k);
    for (const [rank, i] of byTies.entries()) {
      if (!excluded.has(campaigns[i]!.campaign_id)) best.add(rank, scores[i]!);
    }
    return best.list.map(({ item }) => campaigns[byTies[item]!]!.campaign_id);
  };
}

/** Whether a campaign is not shown to the user again after the event. */
function isFinal({ type }: Dataset["events"][number]): boolean {
  return type === "conversion" || type === "dismissal";
}

/**
 * Steck, WWW 2019, solved exactly: with P = (XᵀX + λI)⁻¹, item j scores −(P x)(j) / P(j, j), less its own part. The inverse is over items,
 * or over users if these are fewer: then P is (I − XᵀKX) / λ with K = (XXᵀ + λI)⁻¹.
 */
async function ease(train: Dataset, options: Abortable = {}): Promise<Ranker> {
  const x = choiceMatrix(train);
  const { rows, columns } = x;
  const overUsers = rows.length < columns.length;
  const [lines, n] = overUsers ? [columns, rows.length] : [rows, columns.length];
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) gram[i * n + i] = EASE_LAMBDA;
  for (const line of lines) for (const a of line) for (const b of line) gram[a * n + b]! += 1;
  const inverse = await invert(gram, n, options);
  /** P times the indicator of these items. */
  const product = (items: readonly number[]): Float64Array => {
    const lines = overUsers ? items.flatMap((i) => columns[i]!) : items;
    const sums = new Float64Array(n);
    for (const line of lines) for (let k = 0; k < n; k++) sums[k]! += inverse[line * n + k]!;
    if (!overUsers) return sums;
    const p = new Float64Array(columns.length);
    rows.forEach((row, u) => row.forEach((i) => p[i]! -= sums[u]! / EASE_LAMBDA));
    for (const i of items) p[i]! += 1 / EASE_LAMBDA;
    return p;
  };
  const diagonal = Float64Array.from(columns, (users, j) => {
    if (!overUsers) return inverse[j * n + j]!;
    let sum = 0;
    for (const u of users) for (const v of users) sum += inverse[u * n + v]!;
    return (1 - sum) / EASE_LAMBDA;
  });
  return ranker(x, (query) => {
    const own = x.itemsOf(query);
    const scores = product(own).map((value, j) => -value / diagonal[j]!);
    for (const j of own) scores[j]! += 1;
    return scores;
  });
}

const TEXT_NEIGHBOURS = 100;
const TEXT_POWER = 1.5;
/** The grade of an event; the highest of a campaign counts, and a dismissal makes it 0. */
const GRADE = { conversion: 1, click: 0.5, impression: 0.1, dismissal: 0 };

/** Ranks by the engagement of past conversations whose words, of both sides, are similar to the user's. */
function conversationKnn(train: Dataset): Ranker {
  const x = choiceMatrix(train);
  const items = new Map(train.campaigns.map(({ campaign_id }, i) => [campaign_id, i]));
  const texts = Map.groupBy(train.messages, ({ conversation_id }) => conversation_id);
  const engaged = Map.groupBy(train.events, ({ conversation_id }) => conversation_id);
  const grades: Map<number, number>[] = [];
  const index = new TfIdf();
  for (const [conversation_id, events] of engaged) {
    const messages = texts.get(conversation_id);
    if (conversation_id === null || messages === undefined) continue;
    index.add(messages.map(({ message }) => message).join("\n"));
    grades.push(gradesOf(events, items));
  }
  return ranker(x, (query) => {
    const cosines = index.cosines(query.messages.map(({ message }) => message).join("\n"));
    const neighbours = [...cosines.keys()].sort((a, b) => cosines[b]! - cosines[a]! || a - b)
      .slice(0, TEXT_NEIGHBOURS);
    const scores = new Float64Array(items.size);
    for (const at of neighbours) {
      for (const [item, grade] of grades[at]!) scores[item]! += cosines[at]! ** TEXT_POWER * grade;
    }
    return scores;
  });
}

function gradesOf(events: Dataset["events"], items: ReadonlyMap<string, number>): Map<number, number> {
  const grades = new Map<number, number>();
  const dismissed = new Set(events.filter(({ type }) => type === "dismissal").map((e) => e.campaign_id));
  for (const { campaign_id, type } of events) {
    const item = items.get(campaign_id);
    if (item === undefined || dismissed.has(campaign_id)) continue;
    grades.set(item, Math.max(grades.get(item) ?? 0, GRADE[type]));
  }
  return grades;
}
