import { yieldToEventLoop } from "../core/abort.ts";

interface Waiting {
  readonly isLate: () => boolean;
  readonly begin: () => void;
}

/**
 * Lets computations begin in order of arrival, one in each turn of the event loop. With embedded stores a computation takes the
 * whole turn, and between two of them requests that have come meanwhile are accepted, so that their time counts from then on. With
 * stores on servers it waits for them, and the next begins.
 */
export class Turns {
  private waiting: Waiting[] = [];
  private isTaken = false;

  /** Resolves when the caller may begin, or is late, which takes no turn from others. */
  async next(isLate: () => boolean): Promise<void> {
    if (this.isTaken) return await new Promise((begin) => this.waiting.push({ isLate, begin }));
    this.isTaken = true;
    this.letOthersBegin();
  }

  private async letOthersBegin(): Promise<void> {
    for (;;) {
      await yieldToEventLoop();
      const first = this.waiting.findIndex(({ isLate }) => !isLate());
      const begun = this.waiting.splice(0, first < 0 ? this.waiting.length : first + 1);
      for (const { begin } of begun) begin();
      if (begun.length === 0) break;
    }
    this.isTaken = false;
  }
}
