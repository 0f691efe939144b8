import { sleep } from "../../../lib/core/abort.ts";
import { iso } from "../../../lib/core/clock.ts";
import { ParleyError } from "../../../lib/core/errors.ts";
import { counted } from "../../../lib/core/text.ts";
import { UserText } from "../../../lib/privacy/user_text.ts";
import { isInterrupted, type RunRecord } from "../../../lib/stores/runs/port.ts";
import type { StepContext } from "../../step.ts";
import { type EraseOutput, pendingUsers } from "./rows.ts";

type CopiesOutput = {
  readonly lines: number;
  readonly unfinished: number;
  readonly exports: number;
  readonly texts: number;
};

/** How long runs that began before the erasure may take until they have ended. */
const MAX_WAIT_MS = 15 * 60_000;
const POLL_MS = 500;
/** Runs in progress that are looked at. */
const MAX_RUNS = 100;

/** Removes the users from artifacts and from the records of runs, once no run is in progress that began before the erasure. */
export async function eraseCopies(context: StepContext, output: EraseOutput): Promise<CopiesOutput> {
  const { services: { artifacts, exports, runs, clock }, log, signal } = context;
  const user_ids = await pendingUsers(context, output);
  const text = new UserText(user_ids);
  const others = await waitForRuns(context, output);
  const files = await exports.deleteUsers({ user_ids });
  const lines = await artifacts.removeLines({ matches: (line) => text.isIn(line), signal });
  const before = others.length === 0 ? iso(clock.now()) : output.until;
  const unfinished = await artifacts.removeUnfinished({ before, signal });
  const replace = text.redact.bind(text);
  const texts = await runs.replaceTexts({ contain: text.spellings, replace, signal });
  log(
    `${counted(lines, "line")} of artifacts and ${counted(unfinished, "unfinished file")} removed, ` +
      `${counted(files, "export")} rewritten, ${counted(texts, "text")} in records of runs replaced`,
  );
  return { lines, unfinished, exports: files, texts };
}

/** Returns the runs that are in progress and began later: they write no row of an erased user. */
async function waitForRuns(context: StepContext, { until }: EraseOutput): Promise<RunRecord[]> {
  const deadline = performance.now() + MAX_WAIT_MS;
  for (let waiting = false;; waiting = true) {
    const others = await runsInProgress(context);
    const earlier = others.find(({ created_at }) => created_at <= until);
    if (earlier === undefined) return others;
    if (performance.now() > deadline) {
      const sentence = `run ${earlier.run_id}, which began before the erasure, has not ended`;
      throw new ParleyError("unavailable", `${sentence}: what it has written may still name erased users`);
    }
    if (!waiting) context.log(`waits for run ${earlier.run_id} to end, which began before the erasure`);
    await sleep(POLL_MS, context.signal);
  }
}

/** Other runs that a process works on. Of a run that an outside engine drives, that is known by its attempts alone. */
async function runsInProgress({ services: { runs, clock }, run }: StepContext): Promise<RunRecord[]> {
  const running = await runs.runs({ states: ["running"], limit: MAX_RUNS });
  const inProgress: RunRecord[] = [];
  for (const other of running) {
    if (other.run_id === run.run_id || isInterrupted(other, clock.now())) continue;
    if (other.trigger !== "external") inProgress.push(other);
    else {
      const attempts = (await runs.snapshot(other))?.attempts ?? [];
      if (
        attempts.some(({ state, lease_until }) => state === "running" && (lease_until ?? 0) > clock.now())
      ) {
        inProgress.push(other);
      }
    }
  }
  return inProgress;
}
