import type { EvaluationProgress } from "../lib/evaluate/evaluate.ts";

/** How often progress is shown at most on a terminal, and elsewhere, in milliseconds. */
const LIVE_EVERY_MS = 100;
const PLAIN_EVERY_MS = 10_000;
/** Of a terminal that does not report its width. */
const DEFAULT_WIDTH = 80;

/** Shows how far an evaluation is, on stderr: one line that is rewritten on a terminal, a line now and then elsewhere. */
export class EvaluateProgress {
  private readonly live = Deno.stderr.isTerminal();
  private shownAt = performance.now();
  private drawn = false;

  show(progress: EvaluationProgress): void {
    const now = performance.now();
    if (now - this.shownAt < (this.live ? LIVE_EVERY_MS : PLAIN_EVERY_MS)) return;
    this.shownAt = now;
    if (!this.live) return console.error(lineOf(progress));
    const width = Deno.consoleSize().columns || DEFAULT_WIDTH;
    this.write(`\r\x1b[K${lineOf(progress).slice(0, width - 1)}`);
    this.drawn = true;
  }

  /** Says something that stays. */
  note(line: string): void {
    this.clear();
    console.error(line);
  }

  clear(): void {
    if (this.drawn) this.write("\r\x1b[K");
    this.drawn = false;
  }

  private write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  }
}

function lineOf({ fold, folds, step, done, total }: EvaluationProgress): string {
  const position = fold === null ? "" : `fold ${fold} of ${folds}, `;
  return `${position}${step}: ${done}${total === null ? "" : ` of ${total}`}`;
}
