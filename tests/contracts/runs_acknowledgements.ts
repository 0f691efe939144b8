import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import type { Acknowledgement } from "../../lib/stores/runs/port.ts";
import { T0 } from "../fixtures/runs.ts";
import { type OpenRuns, storeTest } from "./runs.ts";

const HOUR = 3_600_000;

function acknowledgement(anomaly_id: string, rest: Partial<Acknowledgement> = {}): Acknowledgement {
  return { anomaly_id, since: iso(T0), by: "Ann", at: iso(T0), until: iso(T0 + HOUR), ...rest };
}

/** What operators have acknowledged. */
export function runsAcknowledgementsContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);

  test("acknowledge() replaces the earlier acknowledgement of an anomaly, for every process", async ({ runs, openAnother }) => {
    const late = acknowledgement("run_late:nightly");
    await runs.acknowledge(late);
    await runs.acknowledge(acknowledgement("run_failed:nightly/embed"));
    const renewed = acknowledgement("run_failed:nightly/embed", {
      by: "Zoë (key 0123abcd)",
      at: iso(T0 + 1),
      since: iso(T0 + 1),
      until: iso(T0 + 2 * HOUR),
    });
    await runs.acknowledge(renewed);
    const other = await openAnother();
    try {
      assert.deepEqual(await other.acknowledgements(), [renewed, late]);
    } finally {
      await other.close();
    }
  });

  test("acknowledge() deletes expired acknowledgements, and no others", async ({ runs }) => {
    for (const hours of [1, 2, 3]) {
      await runs.acknowledge(acknowledgement(`a${hours}`, { until: iso(T0 + hours * HOUR) }));
    }
    await runs.acknowledge(acknowledgement("new", { at: iso(T0 + 2 * HOUR), until: iso(T0 + 9 * HOUR) }));
    assert.deepEqual((await runs.acknowledgements()).map(({ anomaly_id }) => anomaly_id), [
      "a2",
      "a3",
      "new",
    ]);
  });

  test("unacknowledge() removes an acknowledgement, and returns whether there was one", async ({ runs }) => {
    await runs.acknowledge(acknowledgement("a"));
    await runs.acknowledge(acknowledgement("b"));
    assert.equal(await runs.unacknowledge({ anomaly_id: "a" }), true);
    assert.equal(await runs.unacknowledge({ anomaly_id: "a" }), false);
    assert.deepEqual((await runs.acknowledgements()).map(({ anomaly_id }) => anomaly_id), ["b"]);
  });
}
