import assert from "node:assert/strict";
import type { QuarantinedRow } from "../../lib/core/types.ts";
import type { DocumentStore } from "../../lib/stores/documents/port.ts";
import { minute } from "../fixtures/rows.ts";

function refused(overrides: Partial<QuarantinedRow>): QuarantinedRow {
  return {
    run_id: "run-b",
    kind: "messages",
    source: "in.ndjson",
    position: 1,
    reason: "timestamp: not a time",
    raw: '{"message":"🙂',
    at: minute(1),
    ...overrides,
  };
}

/** The part of the documents contract that is about refused rows. */
export function quarantining(
  test: (title: string, body: (store: DocumentStore) => Promise<void>) => void,
): void {
  test("quarantine() stores one row per run, source and position", async (store) => {
    const row = refused({});
    await store.quarantine({ rows: [row, refused({ position: 2 })] });
    await store.quarantine({ rows: [row, refused({ source: "other.ndjson" })] });
    assert.equal((await store.counts()).quarantined, 3);
    assert.deepEqual((await store.quarantined({ limit: 1, offset: 0 }))[0], row);
  });

  test("quarantined() lists newest run first, then by kind, source and position", async (store) => {
    const listed = [
      refused({ run_id: "run-a", at: minute(9) }),
      refused({ kind: "events", source: "z", position: 3, at: minute(2) }),
      refused({ source: "a", position: 9 }),
      refused({ source: "b", position: 2 }),
      refused({ source: "b", position: 10, at: minute(5) }),
    ];
    await store.quarantine({ rows: listed.toReversed() });
    assert.deepEqual(await store.quarantined({ limit: 10, offset: 0 }), listed);
    assert.deepEqual(await store.quarantined({ limit: 2, offset: 1 }), listed.slice(1, 3));
    assert.deepEqual(await store.quarantined({ run_id: "run-a", limit: 10, offset: 0 }), listed.slice(0, 1));
    assert.deepEqual(await store.quarantined({ run_id: "run-c", limit: 10, offset: 0 }), []);
    const all = { limit: 10, offset: 0 };
    assert.deepEqual(await store.quarantined({ ...all, kind: "events" }), listed.slice(1, 2));
    assert.deepEqual(await store.quarantined({ ...all, source: "b" }), listed.slice(3));
    assert.deepEqual(await store.quarantined({ limit: 1, offset: 1, source: "b" }), listed.slice(4));
    const one = { run_id: "run-b", kind: "messages", source: "b", position: 10 } as const;
    assert.deepEqual(await store.quarantined({ ...all, ...one }), listed.slice(4));
    assert.deepEqual(await store.quarantined({ ...all, ...one, run_id: "run-a" }), []);
  });

  test("deleteQuarantined() removes the rows of these positions, and no others", async (store) => {
    const rows = [1, 2, 3].flatMap((position) => [
      refused({ position }),
      refused({ position, run_id: "run-a" }),
      refused({ position, kind: "events" }),
      refused({ position, source: "other" }),
    ]);
    await store.quarantine({ rows });
    assert.equal(await store.deleteQuarantined({ rows: [] }), 0);
    const gone = [rows[4]!, rows[7]!, refused({ position: 99 })];
    assert.equal(await store.deleteQuarantined({ rows: gone }), 2);
    assert.equal(await store.deleteQuarantined({ rows: gone }), 0);
    const left = await store.quarantined({ limit: 99, offset: 0 });
    assert.equal(left.length, rows.length - 2);
    assert.ok(!left.some((row) => gone.some((one) => JSON.stringify(one) === JSON.stringify(row))));
  });

  test("quarantinePages() returns each row once, also from the end of a page", async (store) => {
    const rows = Array.from(
      { length: 1_201 },
      (_, position) => refused({ position, run_id: `run-${position % 2}`, source: `s'"${position % 3}` }),
    );
    await store.quarantine({ rows });
    const inOrder = (found: readonly QuarantinedRow[]) => found.toSorted((a, b) => a.position - b.position);
    const pages = await Array.fromAsync(store.quarantinePages({ after: null }));
    assert.ok(pages.length > 1);
    assert.deepEqual(inOrder(pages.flatMap((page) => page.rows)), rows);
    const [first, ...rest] = pages;
    const others = await Array.fromAsync(store.quarantinePages({ after: first!.after }));
    assert.deepEqual(others, rest);
    assert.deepEqual(await Array.fromAsync(store.quarantinePages({ after: rest.at(-1)!.after })), []);
  });

  test("quarantineReasons() counts rows per kind and reason, the most frequent first", async (store) => {
    const reasons = ["b", "a", "b", "c", "a", "b"];
    const messages = reasons.map((reason, position) => refused({ position, reason }));
    const others = [
      refused({ kind: "events", reason: "b" }),
      refused({ run_id: "run-a", source: "z", reason: "a" }),
    ];
    await store.quarantine({ rows: [...messages, ...others] });
    const counted = async (options: Parameters<DocumentStore["quarantineReasons"]>[0]) =>
      (await store.quarantineReasons(options)).map(({ kind, reason, rows }) => `${kind} ${reason} ${rows}`);
    const all = ["messages a 3", "messages b 3", "events b 1", "messages c 1"];
    assert.deepEqual(await counted({ limit: 9 }), all);
    assert.deepEqual(await counted({ limit: 2 }), all.slice(0, 2));
    assert.deepEqual(await counted({ limit: 9, run_id: "run-a" }), ["messages a 1"]);
    assert.deepEqual(await counted({ limit: 9, kind: "events" }), ["events b 1"]);
    assert.deepEqual(await counted({ limit: 9, source: "z", reason: "b" }), []);
    const ofReason = await store.quarantined({ limit: 9, offset: 0, reason: "b" });
    assert.deepEqual(ofReason.map(({ kind, position }) => [kind, position]), [
      ["events", 1],
      ["messages", 0],
      ["messages", 2],
      ["messages", 5],
    ]);
  });

  test("pruneQuarantine() removes older rows", async (store) => {
    const rows = Array.from({ length: 1_200 }, (_, i) => refused({ position: i, at: minute(i) }));
    await store.quarantine({ rows });
    assert.equal(await store.pruneQuarantine({ before: minute(1_100) }), 1_100);
    assert.equal((await store.counts()).quarantined, 100);
    assert.equal(await store.pruneQuarantine({ before: minute(1_100) }), 0);
  });
}
