/**
 * Says that an anomaly is known and in hand: until then it counts neither for the overview nor for the exit code, unless
 * it begins again.
 */
export interface Acknowledgement {
  /** The anomaly's id, such as `run_failed:nightly/embed`. */
  readonly anomaly_id: string;
  /** ISO time at which the acknowledged incident began: a later one is another incident. */
  readonly since: string;
  /** Who acknowledged it, as far as that is known. Never a key. */
  readonly by: string;
  /** ISO times: when it was acknowledged, and until when that holds. */
  readonly at: string;
  readonly until: string;
}

/** What operators have acknowledged. */
export interface AcknowledgementStore {
  /** Acknowledges an anomaly in place of an earlier time; forgets acknowledgements whose `until` is before `at`. */
  acknowledge(options: Acknowledgement): Promise<void>;
  /** Takes an acknowledgement back; false if there was none. */
  unacknowledge(options: { anomaly_id: string }): Promise<boolean>;
  /** Every acknowledgement that is stored, also one that is over by now, by anomaly id. */
  acknowledgements(): Promise<Acknowledgement[]>;
}
