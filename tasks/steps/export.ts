import { yieldToEventLoop } from "../../lib/core/abort.ts";
import { paged } from "../../lib/core/batches.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { compareText } from "../../lib/core/text.ts";
import { type Abortable, parseModelKey, type Published } from "../../lib/core/types.ts";
import { mapConcurrent } from "../../lib/core/map_concurrent.ts";
import { type ExportFormat, headerOf, linesOf } from "../../lib/exports/answer_lines.ts";
import { startTime } from "../../lib/schema/time.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";

interface ExportParams {
  readonly format: ExportFormat;
  readonly k: number;
  /** A day or a time; "" for all users. */
  readonly active_since: string;
}

export interface ExportOutput {
  readonly file: string;
  readonly users: number;
  /** Items of all answers. */
  readonly items: number;
  readonly bytes: number;
}

interface Checkpoint {
  /** The last user that the file has; null for none. */
  readonly after: string | null;
  readonly bytes: number;
  /** Users that were read, of which `users` are in the file. */
  readonly read: number;
  readonly users: number;
  readonly items: number;
}
const NOTHING: Checkpoint = { after: null, bytes: 0, read: 0, users: 0, items: 0 };

/** Users between two checkpoints: what is computed again after an interruption. */
const BATCH = 200;
/** Users that are asked for at one time, for stores that are on servers. */
const CONCURRENCY = 8;

/**
 * Writes the answers for all users of whom something is known, in ascending id, and continues after an interruption where the file was
 * last whole. An answer that a store is missing from is never written: the task fails, to be repeated.
 */
export async function exportAnswers(context: StepContext): Promise<ExportOutput> {
  const { services, run, signal } = context;
  const { format } = run.params as unknown as ExportParams;
  const { exports } = services;
  const { run_id } = run;
  let at = context.loadCheckpoint<Checkpoint>() ?? NOTHING;
  let file = await exports.open({ run_id, format, bytes: at.bytes });
  if (file === null) {
    context.log("the unfinished file was removed: it starts again");
    at = NOTHING;
    file = (await exports.open({ run_id, format, bytes: 0 }))!;
  }
  try {
    const total = await countUsers(services, signal);
    if (at.bytes === 0) at = { ...at, bytes: await file.append(headerOf(format)) };
    context.progress({ done: at.read, total });
    for await (const batch of userBatches(context, at.after)) {
      const answers = await answersFor(context, batch.active);
      const bytes = await file.append(answers.map((answer) => linesOf(answer, format)).join(""));
      const items = answers.reduce((sum, answer) => sum + answer.items.length, at.items);
      at = {
        after: batch.last,
        bytes,
        read: at.read + batch.read,
        users: at.users + answers.length,
        items,
      };
      await context.saveCheckpoint(at);
      context.progress({ done: at.read, total: Math.max(total, at.read) });
    }
    await file.finish();
  } finally {
    file.close();
  }
  const { users, items, bytes } = at;
  context.rows({ in: at.read, out: users });
  context.writes({ namespace: "file", name: file.path, rows: users, bytes });
  return { file: file.path, users, items, bytes };
}

async function countUsers({ analytics }: Services, signal: AbortSignal): Promise<number> {
  let count = 0;
  const page = (after: string | null, limit: number) => analytics.knownUsers({ after, limit, signal });
  for await (const _ of paged<string>(1_000, (user_id) => user_id, page)) count++;
  return count;
}

interface UserBatch {
  /** In ascending id. */
  readonly active: readonly string[];
  readonly read: number;
  readonly last: string;
}

/** Users after this one whose answers are to be written. */
async function* userBatches(context: StepContext, from: string | null): AsyncGenerator<UserBatch> {
  const { services: { analytics }, run, signal } = context;
  const { active_since } = run.params as unknown as ExportParams;
  for (let after = from;;) {
    const users = await analytics.knownUsers({ after, limit: BATCH, signal });
    const last = users.at(-1);
    if (last === undefined) return;
    const active = active_since === ""
      ? users
      : await activeUsers(context, { users, after, since: startTime.parse(active_since) });
    yield { active, read: users.length, last };
    after = last;
  }
}

/** Those of these users, which follow `after`, with an event or a message since then. */
async function activeUsers(
  { services: { analytics, vectors }, signal }: StepContext,
  { users, after, since }: { users: readonly string[]; after: string | null; since: string },
): Promise<string[]> {
  const active = new Set<string>();
  for (const { user_id, last } of await analytics.engagement({ user_ids: users, signal })) {
    if (last >= since) active.add(user_id);
  }
  const { model } = await publishedVersion({ analytics }, signal);
  const store = await vectors.forModel({ model: parseModelKey(model), signal });
  const page = (from: string | null, limit: number) =>
    store.page({ collection: "profiles", after: from, limit, signal });
  for await (const { id, timestamp } of paged(BATCH, ({ id }) => id, page, after)) {
    if (compareText(id, users.at(-1)!) > 0) break;
    if (timestamp !== null && timestamp >= since) active.add(id);
  }
  return users.filter((user_id) => active.has(user_id));
}

async function publishedVersion(
  { analytics }: Pick<Services, "analytics">,
  signal: AbortSignal,
): Promise<Published> {
  const published = await analytics.published({ signal });
  if (published !== null) return published;
  throw new ParleyError("unavailable", "no data has been published yet: run `deno task pipeline`");
}

async function answersFor({ services, run, signal }: StepContext, user_ids: readonly string[]) {
  const { k } = run.params as unknown as ExportParams;
  const answers = new Array(user_ids.length);
  await mapConcurrent({
    items: [...user_ids.entries()],
    concurrency: CONCURRENCY,
    signal,
    work: async ([i, user_id], signal: Abortable["signal"]) => {
      await yieldToEventLoop({ signal });
      const { answer, failures } = await services.recommender.explain({ user_id, k });
      for (const error of failures.values()) throw error;
      answers[i] = answer;
    },
  });
  return answers;
}
