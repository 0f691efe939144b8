/** A store that writes many rows in a way of its own. */
export interface BulkWriter {
  /**
   * Runs `work`, whose writes to this store may be committed together: other processes see them, and a kill leaves them, for
   * certain only once this resolves. If `work` throws, what it has written may or may not be there. Another process that writes
   * meanwhile waits no longer than for other writes. Embedded stores write each page less often so.
   */
  inBulk<T>(work: () => Promise<T>): Promise<T>;
}
