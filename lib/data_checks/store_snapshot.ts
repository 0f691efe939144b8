import type { z } from "../../deps.ts";
import { iso } from "../core/clock.ts";
import { type Abortable, modelKey } from "../core/types.ts";
import type { TaskOutput } from "../stores/runs/port.ts";
import type { Anomaly } from "../monitoring/anomaly.ts";
import type { CheckedStores } from "./data_checks.ts";
import { median } from "../monitoring/forecast.ts";
import { percent } from "../core/text.ts";
import { CHECK_OUTPUT } from "../monitoring/task_outputs.ts";

const SURVEY = CHECK_OUTPUT.pick({ survey: true });
/** What the stores held when they were last checked. */
export type StoreSnapshot = z.infer<typeof SURVEY>["survey"];

/** The surveys in what checks left, in the same order. */
export function snapshotsOf(outputs: readonly TaskOutput[]): StoreSnapshot[] {
  return outputs.flatMap(({ output }) => SURVEY.safeParse(output).data?.survey ?? []);
}

/** Messages whose users are sampled: the first by id, so that a sample hardly changes from one survey to the next. */
const SAMPLE = 500;
/** Fewer profiles have no mean worth comparing. */
const MIN_PROFILES = 30;

/** Counts the rows, and looks where the profiles lie. Reads only. */
export async function takeSnapshot(
  of: CheckedStores,
  { signal }: Abortable = {},
): Promise<StoreSnapshot> {
  const { documents, vectors } = of;
  const [stores, messages] = await Promise.all([
    countStores(of, { signal }),
    documents.page({ after: null, limit: SAMPLE, signal }),
  ]);
  const ids = [...new Set(messages.map(({ user_id }) => user_id))];
  const profiles = await vectors.get({ collection: "profiles", ids, signal });
  const counts = {
    messages: stores.documents.messages,
    campaigns: stores.analytics.campaigns,
    events: stores.analytics.events,
    profiles: stores.vectors.profiles,
    conversations: stores.vectors.conversations,
    engagements: stores.graph.engaged,
  };
  return { counts, stores, model: modelKey(vectors.model), centre: centreOf([...profiles.values()]) };
}

/** All that each store counts. Reads only. */
export async function countStores(
  { documents, analytics, vectors, graph }: CheckedStores,
  { signal }: Abortable = {},
) {
  const [said, known, embedded, linked] = await Promise.all([
    documents.counts({ signal }),
    analytics.counts({ signal }),
    vectors.counts({ signal }),
    graph.counts({ signal }),
  ]);
  return {
    documents: { ...said },
    analytics: { ...known },
    vectors: { ...embedded },
    graph: { ...linked },
  };
}

type Counted = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Refused rows are kept for a while only. */
const PRUNED = "quarantined";

/** Rows of which a store has fewer now than before. */
interface LostRows {
  readonly store: string;
  readonly name: string;
  readonly left: number;
  readonly expected: number;
}

export function lostRows(before: Counted, now: Counted): LostRows[] {
  return Object.entries(before).flatMap(([store, counts]) =>
    Object.entries(counts).flatMap(([name, expected]) => {
      const left = now[store]?.[name] ?? expected;
      return name === PRUNED || left >= expected ? [] : [{ store, name, left, expected }];
    })
  );
}

function centreOf(vectors: readonly Float32Array[]): number[] | null {
  const first = vectors[0];
  if (first === undefined || vectors.length < MIN_PROFILES) return null;
  const mean = new Float64Array(first.length);
  for (const vector of vectors) {
    for (const [i, x] of vector.entries()) mean[i]! += x / vectors.length;
  }
  return Array.from(mean, (x) => Math.round(x * 1e4) / 1e4);
}

/** Where each kind of row is. */
export const STORE: Readonly<Record<string, string>> = {
  messages: "documents",
  campaigns: "analytics",
  events: "analytics",
  profiles: "vectors",
  conversations: "vectors",
  engagements: "graph",
};
/** Share that a store may lose between two checks before it is worth a word. */
const SHRUNK = 0.5;
/** Cosine distance by which the mean may move: that of other texts by the same model is a tenth of it. */
const SHIFT = 0.05;

/**
 * What changed since the surveys before, oldest first, as it should not. `now` is epoch milliseconds; `all` says that all sources
 * were read again, so that what is gone is meant to be.
 */
export function snapshotAnomalies(
  survey: StoreSnapshot,
  earlier: readonly StoreSnapshot[],
  { now, all }: { now: number; all: boolean },
): Anomaly[] {
  const before = earlier.at(-1);
  if (before === undefined) return [];
  const emptied = all ? "warning" : "critical";
  const losses = Object.entries(survey.counts).flatMap(([name, figure]) =>
    loss(name, figure, earlier.map(({ counts }) => counts[name] ?? 0), { now, emptied })
  );
  return [...losses, ...shift(survey, earlier, now)];
}

function loss(
  name: string,
  figure: number,
  earlier: readonly number[],
  { now, emptied }: { now: number; emptied: Anomaly["severity"] },
): Anomaly[] {
  const expected = earlier.at(-1) ?? 0;
  if (figure >= (1 - SHRUNK) * expected) return [];
  const gone = figure === 0
    ? `none of the ${expected} ${name} are left`
    : `${figure} of ${expected} ${name} are left`;
  return [{
    code: `${name}_${figure === 0 ? "emptied" : "shrunk"}`,
    severity: figure === 0 ? emptied : "warning",
    subject: { kind: "store", store: STORE[name] ?? name },
    figure,
    expected,
    unit: "rows",
    since: iso(now),
    run_id: null,
    text:
      `${gone} since the last check: if that was not meant, restore a backup; \`deno task pipeline --all\` then reads all ` +
      "sources again and publishes what there is",
    history: [...earlier, figure],
  }];
}

function shift(now: StoreSnapshot, earlier: readonly StoreSnapshot[], at: number): Anomaly[] {
  const all = [...earlier.filter(({ model, centre }) => model === now.model && centre !== null), now];
  const distances = all.slice(1).map((one, i) => distance(one.centre, all[i]!.centre));
  const figure = distances.at(-1);
  if (now.centre === null || figure === undefined) return [];
  const usual = distances.slice(0, -1);
  const expected = median(usual);
  const mad = 1.4826 * median(usual.map((one) => Math.abs(one - expected)));
  if (figure < SHIFT || figure < expected + 3.5 * mad) return [];
  return [{
    code: "vectors_shifted",
    severity: "warning",
    subject: { kind: "store", store: "vectors" },
    figure,
    expected,
    unit: "score",
    since: iso(at),
    run_id: null,
    text: `the mean of the profiles has moved by a cosine distance of ${figure.toFixed(3)}, where ` +
      `${expected.toFixed(3)} is usual and ${
        percent(SHIFT)
      } of 1 is much: look whether the new messages are of another ` +
      "language or source, and whether the embedding endpoint serves another model",
    history: distances,
  }];
}

/** 1 - cosine. Vectors of different length have nothing in common. */
function distance(a: readonly number[] | null, b: readonly number[] | null): number {
  if (a === null || b === null || a.length !== b.length) return 1;
  const dot = a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  const norms = Math.hypot(...a) * Math.hypot(...b);
  return norms === 0 ? 1 : Math.max(0, 1 - dot / norms);
}
