/** Wakes one sleeper. A ring while nobody sleeps is kept for the next sleep. */
export class Wakeup {
  private notified = false;
  private onNotify: () => void = () => {};

  notify(): void {
    this.notified = true;
    this.onNotify();
  }

  /** Sleeps for `ms`, or until the bell rings. */
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
