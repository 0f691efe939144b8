import { styleText } from "../deps.ts";
import type { RunObserver } from "../lib/dag/options.ts";
import { type EndedAttempt, taskInstance, type TaskRecord } from "../lib/stores/runs/port.ts";

interface TaskRow {
  readonly task_id: string;
  state: string;
  startedAt: number;
  done: number;
  total: number | null;
  ended: EndedAttempt | null;
  /** Why the task goes as it does: its attempt, its error, else the last line of its log. */
  note: string;
}

/** How often plain output says how far a long task is, in milliseconds. */
const PLAIN_EVERY_MS = 5_000;

/**
 * Shows a run while it goes: a table that redraws itself on a terminal, a line for each event elsewhere. Writes to
 * stderr, because stdout has the result of the command.
 */
export class ProgressView implements RunObserver {
  private readonly rows = new Map<string, TaskRow>();
  private readonly live = Deno.stderr.isTerminal();
  private drawn = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly printed = new Set<string>();
  private lastPlain = new Map<string, number>();

  constructor(tasks: readonly string[]) {
    for (const task_id of tasks) {
      this.rows.set(task_id, {
        task_id,
        state: "waiting",
        startedAt: 0,
        done: 0,
        total: null,
        ended: null,
        note: "",
      });
    }
    if (this.live) this.timer = setInterval(() => this.draw(), 100);
  }

  taskStarted(task_id: string, attempt: number): void {
    const note = attempt > 1 ? `attempt ${attempt}` : "";
    this.change(task_id, { state: "running", startedAt: performance.now(), done: 0, total: null, note });
    this.plain(`${task_id}: started${attempt > 1 ? ` (attempt ${attempt})` : ""}`);
  }

  progress(task_id: string, done: number, total: number | null): void {
    const row = this.change(task_id, { done, total });
    const now = performance.now();
    if (now - Math.max(this.lastPlain.get(task_id) ?? 0, row.startedAt) < PLAIN_EVERY_MS) return;
    this.lastPlain.set(task_id, now);
    this.plain(`${task_id}: ${howFar(row)}`);
  }

  taskLogged(task_id: string, line: string): void {
    this.change(task_id, { note: line });
    this.plain(`${task_id}: ${line}`);
  }

  taskEnded(ended: EndedAttempt, task: TaskRecord): void {
    const retry = task.state === "ready" ? ", will be tried again" : "";
    this.change(task.task_id, {
      state: task.state,
      ended,
      ...ended.error === null ? {} : { note: ended.error },
    });
    this.plain(`${task.task_id}: ${ended.state}${ended.error === null ? "" : ` (${ended.error})`}${retry}`);
  }

  taskSettled(task: TaskRecord): void {
    this.change(task.task_id, { state: task.state });
    this.plain(`${task.task_id}: ${task.state}`);
  }

  /** The tasks that are in progress. */
  underWay(): string[] {
    return [...this.rows.values()].filter(({ state }) => state === "running").map(({ task_id }) => task_id);
  }

  /** Says something once, apart from the tasks. */
  print(line: string): void {
    if (this.printed.has(line)) return;
    this.printed.add(line);
    console.error(line);
    this.drawn = 0;
  }

  /** Stops drawing. The last picture remains. */
  close(): void {
    clearInterval(this.timer);
    if (this.live) this.draw();
  }

  private change(id: string, change: Partial<TaskRow>): TaskRow {
    const { task_id, map_index } = taskInstance(id);
    const row = this.rows.get(task_id)!;
    const changed = map_index === null ? { ...row, ...change } : instanceChange(row, change);
    this.rows.set(task_id, changed);
    return changed;
  }

  private plain(line: string): void {
    if (!this.live) console.error(line);
  }

  private draw(): void {
    const width = Deno.consoleSize().columns;
    const lines = [...this.rows.values()].map((row) => paint(row, width));
    const up = this.drawn > 0 ? `\x1b[${this.drawn}A` : "";
    Deno.stderr.writeSync(new TextEncoder().encode(`${up}\x1b[J${lines.join("\n")}\n`));
    this.drawn = lines.length;
  }
}

/** A mapped task has one row, which counts its instances that have ended. */
function instanceChange(
  row: TaskRow,
  { state = "running", startedAt = 0, ended, note = "" }: Partial<TaskRow>,
): TaskRow {
  const isOver = ended !== undefined && state !== "ready";
  const begun = row.state === "running" ? row.startedAt : startedAt;
  return {
    ...row,
    state: "running",
    startedAt: begun,
    done: row.done + Number(isOver),
    note: note || row.note,
  };
}

function paint(row: TaskRow, width: number): string {
  const marks: Record<string, [string, Parameters<typeof styleText>[0]]> = {
    running: ["▶", "cyan"],
    success: ["✔", "green"],
    failed: ["✖", "red"],
    skipped: ["–", "gray"],
  };
  const [mark, colour] = marks[row.state] ?? ["·", "gray"];
  const text = `${mark} ${row.task_id.padEnd(10)} ${row.state === "running" ? howFar(row) : endText(row)}`;
  return styleText(colour, text.slice(0, width - 1), { stream: Deno.stderr as never });
}

function endText({ ended, note, state }: TaskRow): string {
  if (ended === null) return state === "waiting" ? "" : state;
  const seconds = (Date.parse(ended.ended_at ?? ended.started_at) - Date.parse(ended.started_at)) / 1_000;
  return `${ended.rows_out} rows in ${seconds.toFixed(1)} s${note === "" ? "" : `: ${note}`}`;
}

/** Rows done, rows a second, and when it will be over. */
function howFar({ done, total, startedAt, note }: TaskRow): string {
  if (done === 0) return note;
  const seconds = Math.max(0.001, (performance.now() - startedAt) / 1_000);
  const rate = done / seconds;
  const share = total === null ? `${done} rows` : `${done} of ${total} rows`;
  const eta = total === null || total <= done ? "" : `, ${Math.ceil((total - done) / rate)} s left`;
  return `${share}, ${Math.round(rate)} rows/s${eta}${note === "" ? "" : ` (${note})`}`;
}
