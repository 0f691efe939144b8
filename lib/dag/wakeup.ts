/** Wakes a sleeping loop. A notification that comes before the sleep ends that sleep at once. */
export class Wakeup {
  private notified = false;
  private onNotify: () => void = () => {};

  notify(): void {
    this.notified = true;
    this.onNotify();
  }

  /** Sleeps for `ms`, or until notified. */
  async sleep(ms: number): Promise<void> {
    if (!this.notified) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.onNotify = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.notified = false;
    this.onNotify = () => {};
  }
}
