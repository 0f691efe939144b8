/** How long a line may wait for others, in milliseconds, and how many characters may. */
const WAIT_MS = 100;
const WAITING = 8_192;

/**
 * Lines on stderr, several in one write: a write for each would take longer than a cached answer. Urgent ones are written at
 * once; the last ones when the process ends.
 */
export class Lines {
  private waiting = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    addEventListener("unload", () => this.flush());
  }

  add(line: string, urgent: boolean): void {
    this.waiting += line;
    if (urgent || this.waiting.length > WAITING) return this.flush();
    if (this.timer !== undefined) return;
    const timer = this.timer = setTimeout(() => this.flush(), WAIT_MS);
    Deno.unrefTimer(timer);
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    let bytes = new TextEncoder().encode(this.waiting);
    this.waiting = "";
    try {
      while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
    } catch { /* its reader has gone or its disk is full: these lines are lost, and answering continues */ }
  }
}
