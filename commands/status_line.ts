/** How often a line is rewritten at most on a terminal, in milliseconds. */
const LIVE_EVERY_MS = 100;
/** Of a terminal that does not report its width. */
const DEFAULT_WIDTH = 80;

/** How far a command is, on stderr: one line that is rewritten on a terminal, a line now and then elsewhere. */
export class StatusLine {
  private readonly live = Deno.stderr.isTerminal();
  private shownAt = performance.now();
  private drawn = false;

  /** `plain_every_ms`: how often it is shown at most without a terminal. */
  constructor(private readonly plain_every_ms: number) {}

  show(line: string): void {
    const now = performance.now();
    if (now - this.shownAt < (this.live ? LIVE_EVERY_MS : this.plain_every_ms)) return;
    this.shownAt = now;
    if (!this.live) return console.error(line);
    const width = Deno.consoleSize().columns || DEFAULT_WIDTH;
    this.write(`\r\x1b[K${line.slice(0, width - 1)}`);
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
