import assert from "node:assert/strict";
import { iso, ManualClock } from "../../../lib/core/clock.ts";
import {
  acknowledge,
  acknowledger,
  parseUntil,
  withAcknowledgements,
} from "../../../lib/monitoring/acknowledge.ts";
import type { Anomaly } from "../../../lib/monitoring/anomaly.ts";
import type { Acknowledgement } from "../../../lib/stores/runs/port.ts";
import { T0 } from "../../fixtures/runs.ts";

const HOUR = 3_600_000;

function anomaly(code: string, since: number): Anomaly {
  return {
    code,
    severity: "critical",
    subject: { kind: "task", dag_id: "nightly", task_id: "embed" },
    figure: 1,
    expected: 0,
    unit: "runs",
    since: iso(since),
    run_id: null,
    text: "it is so",
  };
}

const ID = "run_failed:nightly/embed";
const KNOWN: Acknowledgement = {
  anomaly_id: ID,
  since: iso(T0),
  by: "Ann",
  at: iso(T0 + HOUR),
  until: iso(T0 + 9 * HOUR),
};
const isKnown = (one: Anomaly, now: number, found_at = now) =>
  withAcknowledgements([one], [KNOWN], { now, found_at: iso(found_at) })[0]!.acknowledged !== null;

Deno.test("withAcknowledgements() holds for the incident that was acknowledged, until its time", () => {
  assert.equal(isKnown(anomaly("run_failed", T0), T0 + 2 * HOUR), true);
  assert.equal(isKnown(anomaly("run_failed", T0), T0 + 9 * HOUR - 1), true);
  assert.equal(isKnown(anomaly("run_failed", T0), T0 + 9 * HOUR), false, "its time has come");
  assert.equal(isKnown(anomaly("run_failed", T0 + HOUR), T0 + 2 * HOUR), false, "it began again");
  assert.equal(isKnown(anomaly("run_late", T0), T0 + 2 * HOUR), false, "it is about another fault");
});

Deno.test("withAcknowledgements() covers an anomaly without a known beginning until the given time", () => {
  const found = T0 + 3 * HOUR;
  assert.equal(isKnown(anomaly("run_failed", found), found + 9, found), true);
  assert.equal(isKnown(anomaly("run_failed", found), T0 + 9 * HOUR, found), false);
});

Deno.test("withAcknowledgements() puts acknowledged anomalies last, and otherwise preserves the order", () => {
  const open = [anomaly("run_failed", T0), anomaly("run_late", T0), anomaly("stage_slow", T0)];
  const marked = withAcknowledgements(open, [KNOWN], { now: T0 + HOUR, found_at: iso(T0 + HOUR) });
  assert.deepEqual(marked.map(({ code }) => code), ["run_late", "stage_slow", "run_failed"]);
});

Deno.test("acknowledge() keeps an open anomaly's incident, and names the open ones for any other id", async () => {
  const kept: Acknowledgement[] = [];
  const runs = { acknowledge: (each: Acknowledgement) => Promise.resolve(void kept.push(each)) };
  const open = withAcknowledgements([anomaly("run_failed", T0)], [], { now: T0, found_at: iso(T0) });
  const order = { runs, open, clock: new ManualClock(T0 + HOUR), by: "Ann", until: "8h" };
  assert.deepEqual(await acknowledge({ ...order, id: ID }), KNOWN);
  assert.deepEqual(kept, [KNOWN]);
  await assert.rejects(acknowledge({ ...order, id: "x" }), {
    code: "not_found",
    message: /run_failed:nightly\/embed/,
  });
  assert.equal(kept.length, 1);
});

Deno.test("parseUntil() takes a time to come or how long, of 90 days at most", () => {
  assert.equal(parseUntil("30m", T0), iso(T0 + HOUR / 2));
  assert.equal(parseUntil(" 7d ", T0), iso(T0 + 7 * 24 * HOUR));
  assert.equal(parseUntil("2026-05-01T09:00:00+02:00", T0), "2026-05-01T07:00:00.000Z");
  for (
    const wrong of [
      "",
      "soon",
      "0h",
      "91d",
      "-1h",
      "1.5h",
      iso(T0),
      iso(T0 - 1),
      "2026-05-02",
      "9".repeat(400) + "d",
    ]
  ) {
    assert.throws(() => parseUntil(wrong, T0), { code: "invalid" }, wrong);
  }
});

Deno.test("acknowledger() names the person and the key, and takes one line", () => {
  const named = [["", null], ["Ann", null], ["", "0123abcd"], [" Zoë ", "0123abcd"]] as const;
  assert.deepEqual(named.map(([name, key]) => acknowledger({ name, key })), [
    "someone without a login",
    "Ann",
    "key 0123abcd",
    "Zoë (key 0123abcd)",
  ]);
  for (const wrong of ["a\nb", "a\u202eb", "x".repeat(61)]) {
    assert.throws(() => acknowledger({ name: wrong, key: null }), { code: "invalid" });
  }
});
