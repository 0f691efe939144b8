import type { Abortable } from "../../core/types.ts";

/** A store on a server, which commits and reuses the space of deleted rows in its own way: both is nothing to do here. */
export abstract class ServerStore {
  inBulk<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  // deno-lint-ignore require-await -- embedded stores have something to do
  async compact({ signal }: Abortable = {}): Promise<void> {
    signal?.throwIfAborted();
  }
}
