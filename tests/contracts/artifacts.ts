import assert from "node:assert/strict";
import { healthy } from "./health.ts";
import { createHash } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import type { ArtifactStore } from "../../lib/stores/artifacts/port.ts";

/** What `open` returns is empty, and of this test alone. */
export interface OpenedArtifacts {
  readonly store: ArtifactStore;
  close(): Promise<void>;
}

async function* from(lines: Iterable<string>): AsyncGenerator<string> {
  yield* lines;
}

function linesOf(store: ArtifactStore, uri: string): Promise<string[]> {
  return Array.fromAsync(store.readLines({ uri }));
}

/** What every artifact store does. */
export function artifactsContract(name: string, open: () => Promise<OpenedArtifacts>): void {
  const test = (what: string, body: (store: ArtifactStore) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      const { store, close } = await open();
      try {
        await body(store);
      } finally {
        await close();
      }
    });

  test("writeLines() keeps lines, order, and every character", async (store) => {
    const lines = ["", "a", "\u{1F600} é \u2028 \t\r", "", "\uFEFFb", "end", ""];
    const artifact = await store.writeLines({ name: "run-1/ingest/rows.ndjson", lines: from(lines) });
    assert.deepEqual(await linesOf(store, artifact.uri), lines);
  });

  test("writeLines() returns rows, bytes and hash of the file", async (store) => {
    const artifact = await store.writeLines({ name: "run-1/ingest/rows.ndjson", lines: from(["é", "b"]) });
    const bytes = new TextEncoder().encode("é\nb\n");
    const { rows, bytes: count, sha256 } = artifact;
    assert.deepEqual({ rows, count, sha256 }, {
      rows: 2,
      count: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    });
  });

  test("writeLines() of no lines writes an empty artifact", async (store) => {
    const artifact = await store.writeLines({ name: "run-1/ingest/none", lines: from([]) });
    assert.equal(artifact.rows, 0);
    assert.deepEqual(await linesOf(store, artifact.uri), []);
  });

  test("writeLines() and readLines() handle lines far longer than their buffers", async (store) => {
    const lines = ["é".repeat(3_000_000), "short", "x".repeat(1_000_001)];
    const artifact = await store.writeLines({ name: "run-1/ingest/long", lines: from(lines) });
    assert.deepEqual(await linesOf(store, artifact.uri), lines);
  });

  test("writeLines() replaces an earlier artifact completely", async (store) => {
    await store.writeLines({ name: "run-1/embed/part", lines: from(["old", "older"]) });
    const { uri } = await store.writeLines({ name: "run-1/embed/part", lines: from(["new"]) });
    assert.deepEqual(await linesOf(store, uri), ["new"]);
  });

  test("writeLines() of a stream that fails keeps the previous artifact", async (store) => {
    const { uri } = await store.writeLines({ name: "run-1/embed/part", lines: from(["old"]) });
    const failing = async function* () {
      yield "new";
      throw new RangeError("the stream broke");
    };
    await assert.rejects(store.writeLines({ name: "run-1/embed/part", lines: failing() }), RangeError);
    assert.deepEqual(await linesOf(store, uri), ["old"]);
    await assert.rejects(store.writeLines({ name: "run-1/embed/other", lines: failing() }), RangeError);
    assert.equal(await store.deleteRun({ run_id: "run-1" }), 1);
  });

  test("writeLines() stops at its signal, with the signal's reason, and closes its stream", async (store) => {
    const controller = new AbortController();
    let closed = false;
    const endless = async function* () {
      try {
        for (let n = 0;; n++) {
          if (n === 1_000) controller.abort(new RangeError("stop"));
          yield "x".repeat(1_000);
        }
      } finally {
        closed = true;
      }
    };
    const { signal } = controller;
    await assert.rejects(store.writeLines({ name: "run-1/a/b", lines: endless(), signal }), /stop/);
    assert.ok(closed);
  });

  test("writeLines() rejects a line that contains a line feed", async (store) => {
    await assert.rejects(
      store.writeLines({ name: "run-1/a/b", lines: from(["a\nb"]) }),
      (error) => error instanceof ParleyError && error.code === "invalid",
    );
  });

  test("writeLines() accepts any run id, separates runs, and rejects an invalid name", async (store) => {
    const runs = ["scheduled__2026-01-01T00:00:00+00:00", "..", ".", "a b", "%2E%2E", "é*?"];
    const written = new Map<string, string>();
    for (const run of runs) {
      const { uri } = await store.writeLines({ name: `${run}/ingest/rows`, lines: from([run]) });
      written.set(uri, run);
    }
    assert.equal(written.size, runs.length);
    for (const [uri, run] of written) assert.deepEqual(await linesOf(store, uri), [run]);
    for (const wrong of ["run", "run/task", "run/task/file/more", "//", "run//file", "/task/file"]) {
      await assert.rejects(
        store.writeLines({ name: wrong, lines: from([]) }),
        (error) => error instanceof ParleyError && error.code === "invalid",
      );
    }
  });

  test("readLines() of a missing artifact is not_found", async (store) => {
    const { uri } = await store.writeLines({ name: "run-1/a/b", lines: from(["x"]) });
    await store.deleteRun({ run_id: "run-1" });
    await assert.rejects(
      linesOf(store, uri),
      (error) => error instanceof ParleyError && error.code === "not_found",
    );
  });

  test("readLines() can be stopped early", async (store) => {
    const { uri } = await store.writeLines({ name: "run-1/a/b", lines: from(["x", "y"]) });
    for await (const line of store.readLines({ uri })) {
      assert.equal(line, "x");
      break;
    }
  });

  test("deleteRun() removes the artifacts of that run and no others", async (store) => {
    const kept = await store.writeLines({ name: "run-10/a/b", lines: from(["kept"]) });
    for (const file of ["b", "c"]) await store.writeLines({ name: `run-1/a/${file}`, lines: from(["x"]) });
    assert.equal(await store.deleteRun({ run_id: "run-1" }), 2);
    assert.equal(await store.deleteRun({ run_id: "run-1" }), 0);
    assert.deepEqual(await linesOf(store, kept.uri), ["kept"]);
  });

  test("findLines() and removeLines() reach the lines of all artifacts, or of one run", async (store) => {
    const runs = ["run-1", "a b/é".replace("/", "*")];
    const lines = ["keep", "gone 1", "", "gone é\u2028 2", "keep"];
    const uris: string[] = [];
    for (const run of runs) {
      for (const file of ["b", "c"]) {
        uris.push((await store.writeLines({ name: `${run}/t/${file}`, lines: from(lines) })).uri);
      }
    }
    const matches = (line: string) => line.startsWith("gone");
    const found = await Array.fromAsync(store.findLines({ matches }));
    const expected = uris.flatMap((uri) => [{ uri, line: lines[1] }, { uri, line: lines[3] }]);
    assert.deepEqual(
      new Set(found.map((row) => JSON.stringify(row))),
      new Set(expected.map((row) => JSON.stringify(row))),
    );
    assert.equal(await store.removeLines({ matches, run_id: "run-1" }), 4);
    assert.deepEqual(await linesOf(store, uris[0]!), ["keep", "", "keep"]);
    assert.deepEqual(await linesOf(store, uris[3]!), lines);
    assert.equal(await store.removeLines({ matches }), 4);
    assert.equal(await store.removeLines({ matches }), 0);
    assert.equal((await Array.fromAsync(store.findLines({ matches }))).length, 0);
    const signal = AbortSignal.abort(new RangeError("stop"));
    await assert.rejects(store.removeLines({ matches: () => true, signal }), /stop/);
    assert.deepEqual(await linesOf(store, uris[3]!), ["keep", "", "keep"]);
  });

  test("removeUnfinished() leaves artifacts", async (store) => {
    const { uri } = await store.writeLines({ name: "run-1/a/b", lines: from(["x"]) });
    assert.equal(await store.removeUnfinished({ before: new Date(Date.now() + 3_600_000).toISOString() }), 0);
    assert.deepEqual(await linesOf(store, uri), ["x"]);
  });

  test("prune() removes artifacts that were written before a time", async (store) => {
    const { uri } = await store.writeLines({ name: "run-1/a/b", lines: from(["x"]) });
    assert.equal(await store.prune({ before: new Date(Date.now() - 3_600_000).toISOString() }), 0);
    assert.deepEqual(await linesOf(store, uri), ["x"]);
    assert.equal(await store.prune({ before: new Date(Date.now() + 3_600_000).toISOString() }), 1);
    await assert.rejects(linesOf(store, uri), ParleyError);
  });

  test("register() assigns a key to the first caller", async (store) => {
    const register = await store.register();
    try {
      assert.equal(register.putIfAbsent("a", "1"), null);
      assert.equal(register.putIfAbsent("a", "2"), "1");
      assert.equal(register.putIfAbsent("A", "3"), null);
      assert.equal(register.putIfAbsent("", ""), null);
      assert.equal(register.putIfAbsent("", "4"), "");
      assert.equal(register.putIfAbsent("a\0b", "5"), null);
      assert.equal(register.putIfAbsent("a\0c", "6"), null);
      assert.equal(register.putIfAbsent("a\0b", "7"), "5");
    } finally {
      register.close();
    }
  });

  test("register() stores more keys than fit in its memory", async (store) => {
    const register = await store.register();
    try {
      const keys = Array.from({ length: 120_000 }, (_, n) => `key-${(n * 7_919) % 120_000}`);
      for (const key of keys) assert.equal(register.putIfAbsent(key, `of ${key}`), null);
      for (const key of keys) assert.equal(register.putIfAbsent(key, "late"), `of ${key}`);
    } finally {
      register.close();
    }
  });

  test("two registers share no keys", async (store) => {
    const [one, other] = [await store.register(), await store.register()];
    try {
      assert.equal(one.putIfAbsent("a", "1"), null);
      assert.equal(other.putIfAbsent("a", "2"), null);
    } finally {
      one.close();
      other.close();
    }
  });

  test("health() names the adapter", async (store) => {
    healthy(await store.health());
  });
}
