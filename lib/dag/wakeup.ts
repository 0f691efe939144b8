/** Wakes one sleeper. A ring while nobody sleeps is kept for the next sleep. */
export class Bell {
  private rung = false;
  private onRing: () => void = () => {};

  ring(): void {
    this.rung = true;
    this.onRing();
  }

  /** Sleeps for `ms`, or until the bell rings. */
  async sleep(ms: number): Promise<void> {
    if (!this.rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.onRing = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.rung = false;
    this.onRing = () => {};
  }
}
