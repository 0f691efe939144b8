import assert from "node:assert/strict";
import { createHash } from "../../../deps.ts";
import { readRows, type SourceRows } from "../../../lib/sources/source_rows.ts";
import { MAX_ROW_CHARACTERS } from "../../../lib/sources/row_buffer.ts";
import { problemOf } from "../../../lib/sources/row_problem.ts";
import { SourceError } from "../../../lib/sources/source.ts";

const MAX_BYTES = 1e9;
const options = (signal = new AbortController().signal) => ({ signal, maxBytes: MAX_BYTES });

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

function bytesOf(content: string | Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

/** Reads `content` from a file to its end, or to the error. */
async function read(content: string | Uint8Array<ArrayBuffer>, { maxBytes } = { maxBytes: MAX_BYTES }) {
  const uri = await Deno.makeTempFile();
  const rows: string[] = [];
  try {
    await Deno.writeFile(uri, bytesOf(content));
    const reading = readRows({ uri, bytes: 1 }, { ...options(), maxBytes });
    try {
      for await (const row of reading) rows.push(row);
      return { rows, reading, error: null };
    } catch (error) {
      assert.ok(error instanceof SourceError, String(error));
      assert.ok(error.message.startsWith(uri), "the sentence names the source");
      return { rows, reading, error: error.message.slice(uri.length + 1) };
    }
  } finally {
    await Deno.remove(uri);
  }
}

async function rowsOf(content: string | Uint8Array<ArrayBuffer>): Promise<string[]> {
  const { rows, error } = await read(content);
  assert.equal(error, null);
  return rows;
}

Deno.test("readRows() passes NDJSON through with every line at its position", async () => {
  const lines = ['{"a": 1}', "", "not json", '{"b":"\u{1F600}"} ', " \t", '{"long":12345678901234567890}'];
  const expected = ['{"a": 1}', "", "not json", '{"b":"\u{1F600}"} ', "", '{"long":12345678901234567890}'];
  assert.deepEqual(await rowsOf(lines.join("\n")), expected);
  assert.deepEqual(await rowsOf(lines.join("\n") + "\n"), expected);
});

Deno.test("readRows() takes lines that end in carriage return and line feed", async () => {
  const rows = await rowsOf('{"a":1}\r\n\r\n{"b":2}\r\n');
  assert.deepEqual(rows.map((row) => row === "" ? null : JSON.parse(row)), [{ a: 1 }, null, { b: 2 }]);
});

Deno.test("readRows() yields the items of a JSON array, one a line, whatever its layout", async () => {
  const items = [{ a: ']},[{\\"', b: [1, [2, {}]] }, { c: "é\n\\" }, 5, "x, y", null, [], {}, true];
  for (const indent of [undefined, 2, "\t"]) {
    const rows = await rowsOf(` \n${JSON.stringify(items, null, indent)}\n `);
    assert.deepEqual(rows.map((row) => JSON.parse(row)), items);
    assert.ok(rows.every((row) => !row.includes("\n")));
  }
});

Deno.test("readRows() keeps numbers of an array as they are written", async () => {
  assert.deepEqual(await rowsOf('[{"id":12345678901234567890, "x":1.50}]'), [
    '{"id":12345678901234567890, "x":1.50}',
  ]);
});

Deno.test("readRows() gives a bad item of an array its row and continues", async () => {
  const rows = await rowsOf('[{"a":1}, nonsense, {"b" 2}, "raw\nfeed", , {"c":3}]');
  assert.deepEqual(rows, ['{"a":1}', "nonsense", '{"b" 2}', '"raw\tfeed"', "", '{"c":3}']);
  assert.throws(() => JSON.parse(rows[3]!), "a raw line feed in a string is still wrong");
});

Deno.test("readRows() finds no row in an empty file, white space or an empty array", async () => {
  for (const empty of ["", "\n \n", "[]", "[ \n ]\n", "\ufeff", await gzip(bytesOf(""))]) {
    const { rows, reading, error } = await read(empty);
    assert.deepEqual([rows.filter((row) => row !== ""), reading.rows, error], [[], 0, null]);
  }
});

Deno.test("readRows() skips a byte order mark and no other", async () => {
  assert.deepEqual(await rowsOf('\ufeff{"a":"\ufeff"}\n'), ['{"a":"\ufeff"}']);
  assert.deepEqual(await rowsOf("\ufeff[1]"), ["1"]);
});

Deno.test("readRows() detects gzip by its bytes, with several members too", async () => {
  const [one, two] = [await gzip(bytesOf('{"a":1}\n{"b"')), await gzip(bytesOf(":2}\n"))];
  const both = new Uint8Array([...one, ...two]);
  assert.deepEqual(await rowsOf(both), ['{"a":1}', '{"b":2}']);
  assert.deepEqual(await rowsOf(await gzip(bytesOf("[1,\n2]"))), ["1", "2"]);
});

Deno.test("readRows() reads the same through any chunk boundary", async () => {
  const lines = Array.from(
    { length: 9_000 },
    (_, n) => JSON.stringify({ n, text: 'aé\u{1F600}"\\'.repeat(n % 40) }),
  );
  const text = lines.join("\n");
  assert.ok(bytesOf(text).length > 4 * 262_144);
  const plain = await rowsOf(text);
  assert.deepEqual(plain, lines);
  assert.deepEqual(await rowsOf(await gzip(bytesOf(text))), lines);
  assert.deepEqual(await rowsOf(`[${lines.join(",")}]`), lines);
});

Deno.test("readRows() counts rows, raw bytes and their hash in the same pass", async () => {
  for (const content of [bytesOf('{"a":1}\n\n{"b":2}'), await gzip(bytesOf("[1,2] "))]) {
    const { reading } = await read(content);
    assert.equal(reading.rows, 2);
    assert.equal(reading.bytes, content.length);
    assert.equal(reading.sha256(), createHash("sha256").update(content).digest("hex"));
  }
});

Deno.test("readRows() refuses text that has no rows, whether or not it is JSON", async () => {
  const complaint =
    "holds no rows of JSON or CSV: expected a JSON array, JSON objects, or a CSV header that names user_id or campaign_id";
  for (const text of ["a,b\n1,2\n", "<html>", '"text"', "5"]) {
    assert.equal((await read(text)).error, complaint, text);
  }
  const long = "j".repeat(20_000);
  for (const junk of ["junk\n\n".repeat(300_000), `${long}\n`.repeat(100)]) {
    const { error, reading } = await read(`${junk}{"a":1}`);
    assert.equal(error, complaint);
    assert.ok(reading.rows < 300_000, "not all of it was read");
  }
  assert.equal((await rowsOf(`${`${long}\n`.repeat(99)}{"a":1}`)).length, 100);
});

Deno.test("readRows() loses no line but those that are damaged or no JSON, at the beginning too", async () => {
  const good = Array.from({ length: 900 }, (_, n) => `{"n":${n},"m":[{"x":1}]}`);
  for (
    const bad of [
      ["[2026-11-01] export started"],
      ["[2026-11-01] export started", "", "[info] 900 rows"],
      [good[0]!.replace("{", "[")],
      ["[1]"],
      Array.from({ length: 101 }, (_, n) => `# comment ${n}`),
      Array.from({ length: 5_000 }, (_, n) => `[info] ${n}`),
    ]
  ) {
    const lines = [...bad, ...good];
    for (const end of ["\n", "\r\n"]) {
      const rows = await rowsOf(lines.join(end));
      assert.deepEqual(rows.map((row) => row.trim()), lines);
    }
  }
});

Deno.test("readRows() takes an array for one, whatever its layout and however it comes", async () => {
  const items = Array.from(
    { length: 3_000 },
    (_, n) => ({ n, tags: [{ x: n }, { y: "],[\n" }], z: { a: { b: n } } }),
  );
  const texts = items.map((item) => JSON.stringify(item));
  for (
    const text of [
      `[\n${texts.join(",\n")}\n]`,
      `[${texts.join(",\n")}\n]\n`,
      `[${texts.join("\n,\n")}\n]`,
      `[ ${texts.join("\n,")}\n]`,
      `[${texts.join(",")}]\n`,
      `[{"n":0,"tags":\n[{"x":0},\n{"y":"],[\\n"}\n],"z":\n{"a":\n{"b":0}\n}\n}\n,\n${
        texts.slice(1).join(",\n")
      }]`,
    ]
  ) {
    for (const content of [bytesOf(text), await gzip(bytesOf(text))]) {
      assert.deepEqual((await rowsOf(content)).map((row) => JSON.parse(row)), items);
    }
  }
});

Deno.test("readRows() loses one item of an array to a bracket that is wrong or too many", async () => {
  for (const bad of ['{"a":1]}', '{"a":1]', '{"a":1}}', '{"a":[1}}', '{"a":[1]]}', '{"a":[{"b":1]]}']) {
    assert.deepEqual(await rowsOf(`[{"n":1},${bad},{"n":2}]`), ['{"n":1}', bad, '{"n":2}'], bad);
  }
  const closed = await read('[{"n":1}],{"n":2}]');
  assert.equal(closed.error, "continues after the end of its JSON array, after 1 row (line 1)");
});

Deno.test("readRows() says after which row and line a source is cut off", async () => {
  const cut = await read('[{"a":1},\n{"b":2},\n{"c"');
  assert.equal(cut.error, "ends inside its JSON array as if it was cut off, after 2 rows (line 2)");
  assert.deepEqual(cut.rows, ['{"a":1}', '{"b":2}']);
  const more = await read('[{"a":1}\n] {"b":2}');
  assert.equal(more.error, "continues after the end of its JSON array, after 1 row (line 2)");
  const packed = await gzip(bytesOf('{"a":1}\n'.repeat(1_000)));
  const torn = await read(packed.slice(0, -9));
  assert.match(torn.error ?? "", /^is damaged or cut off as gzip \(.*\), after [\d,]+ rows or more/);
  const flipped = packed.slice();
  flipped[flipped.length - 6]! ^= 0xff;
  assert.match((await read(flipped)).error ?? "", /^is damaged or cut off as gzip/);
});

/** Rows, and the texts that they are written as in the layouts that exports have. */
const EXPORTED = [{ user_id: "ann", "a}{": '}],{["\\' }, { user_id: "bo", list: [{ x: 1 }] }, { n: 3 }];

Deno.test("readRows() reads objects that follow each other in whatever layout", async () => {
  const texts = EXPORTED.map((row) => JSON.stringify(row));
  const pretty = EXPORTED.map((row) => JSON.stringify(row, null, 2));
  for (const separator of ["", " ", "\n", "\n\n", ",", ",\n"]) {
    for (const text of [pretty.join(separator), `${pretty.join(separator)}\n`, texts.join(separator)]) {
      const rows = (await rowsOf(text)).filter((row) => row !== "");
      assert.deepEqual(rows.map((row) => JSON.parse(row.replace(/,$/, ""))), EXPORTED, JSON.stringify(text));
    }
  }
  const long = Array.from({ length: 20_000 }, (_, n) => ({ n, text: '{"\\'.repeat(n % 60) }));
  const rows = await rowsOf(long.map((row) => JSON.stringify(row)).join(""));
  assert.deepEqual(rows.map((row) => JSON.parse(row)), long, "through any chunk boundary");
  assert.deepEqual(await rowsOf('{"id":12345678901234567890}{"x":1.50}'), [
    '{"id":12345678901234567890}',
    '{"x":1.50}',
  ]);
  const junk = await read('{"a":1}{"b":2} nothing {"c":3}');
  assert.deepEqual(junk.error, "holds something else between its JSON objects, after 2 rows");
  for (const cut of ["{broken\n", '{\n"a": [1,\n', '{"a":1}{"b":']) {
    assert.match((await read(cut)).error!, /^ends inside a JSON object as if it was cut off/);
  }
});

Deno.test("readRows() reads the one list of objects in an object, however long it is", async () => {
  const around = {
    name: "export",
    id: 4,
    from: { ids: [{ a: 1 }] },
    tags: ["x", "y"],
    empty: [],
    n: [[{ b: 1 }]],
  };
  const many = Array.from({ length: 60_000 }, (_, n) => ({ n, text: 'a}],{["\\é'.repeat(n % 30) }));
  for (const messages of [EXPORTED, many]) {
    const objects = [{ messages }, { ...around, messages }, { messages, ...around }];
    for (const indent of messages === many ? [undefined] : [undefined, 1]) {
      for (const object of messages === many ? objects.slice(1, 2) : objects) {
        const text = JSON.stringify(object, null, indent);
        assert.ok(messages === EXPORTED || text.length > MAX_ROW_CHARACTERS);
        assert.deepEqual((await rowsOf(`${text}\n`)).map((row) => JSON.parse(row)), messages);
      }
    }
  }
  assert.deepEqual(await rowsOf('{"page": 3, "messages": []}'), [], "a page without rows");
  const bad = Uint8Array.of(...bytesOf('{"messages":[{"a":1},{"b":"'), 0xe9, ...bytesOf('"},{"c" 3}]}'));
  assert.deepEqual((await rowsOf(bad)).map((row) => problemOf(row)?.problem ?? row), [
    '{"a":1}',
    "not_utf8",
    '{"c" 3}',
  ]);
  const torn = await read(`{"messages": ${JSON.stringify(many).slice(0, -1)}`);
  assert.match(torn.error!, /^ends inside its JSON object as if it was cut off, after [\d,]+ rows/);
});

Deno.test("readRows() takes an object for a row if it has a row's id, no list of objects, or is not alone", async () => {
  const list = [{ x: 1 }];
  for (
    const rows of [[{ user_id: "ann", list }], [{ campaign_id: "k", list }], [{ text: "x", tags: ["y"] }], [{
      list,
    }, { list }]]
  ) {
    for (const indent of [undefined, 2]) {
      const text = rows.map((row) => JSON.stringify(row, null, indent)).join("\n");
      assert.deepEqual((await rowsOf(text)).map((row) => JSON.parse(row)), rows);
    }
  }
  const longest = `{"a":"${"x".repeat(MAX_ROW_CHARACTERS)}"}`;
  const rows = await rowsOf(`${longest}\n{"n":2}`);
  assert.deepEqual(rows.map((row) => problemOf(row)?.problem ?? row), ["too_long", '{"n":2}']);
});

Deno.test("readRows() names the lists of objects if there are several, and the one that is named as rows are", async () => {
  const { error } = await read('{"users": [{"id": 1}], "messages": [{"id": 2}]}');
  assert.equal(
    error,
    `holds one JSON object with several lists of objects, "users", "messages": give one of them alone, as in jq '.["messages"]'`,
  );
});

Deno.test("readRows() marks a line with a byte that is not UTF-8, and no other", async () => {
  const latin1 = Uint8Array.of(...bytesOf('{"a":1}\n{"b":"caf'), 0xe9, ...bytesOf('"}\n{"c":"é\ufffd"}\n'));
  for (const content of [latin1, await gzip(latin1)]) {
    const rows = await rowsOf(content);
    assert.deepEqual(rows.map(problemOf), [null, { problem: "not_utf8", row: '{"b":"caf\ufffd"}' }, null]);
    assert.equal(rows[2], '{"c":"é\ufffd"}');
  }
  const half = await rowsOf(bytesOf('{"a":1}\n{"b":"é').slice(0, -1));
  assert.deepEqual(half.map((row) => problemOf(row)?.problem), [undefined, "not_utf8"]);
});

Deno.test("readRows() marks an item of an array with a byte that is not UTF-8, and no other", async () => {
  const items = Uint8Array.of(...bytesOf('[{"a":1},{"b":"'), 0xe9, ...bytesOf('"},{"c":"é"}]'));
  assert.deepEqual((await rowsOf(items)).map((row) => problemOf(row)?.problem ?? row), [
    '{"a":1}',
    "not_utf8",
    '{"c":"é"}',
  ]);
  const quoteLost = Uint8Array.of(...bytesOf('[{"a":1},\n{"b":"x'), 0xff, ...bytesOf('},{"c":5}]'));
  assert.equal(
    (await read(quoteLost)).error,
    "ends inside its JSON array as if it was cut off, after 1 row (line 1); the byte at offset 17 is not UTF-8",
  );
});

Deno.test("readRows() reads UTF-16 that begins with its byte order mark", async () => {
  const text = '\ufeff{"a":"é\u{1F600}"}\n{"b":2}\n';
  const little = new Uint8Array(Uint16Array.from(text, (_, n) => text.charCodeAt(n)).buffer);
  const big = little.slice();
  for (let n = 0; n < big.length; n += 2) [big[n], big[n + 1]] = [big[n + 1]!, big[n]!];
  for (const content of [little, big, await gzip(little)]) {
    assert.deepEqual(await rowsOf(content), ['{"a":"é\u{1F600}"}', '{"b":2}']);
  }
});

Deno.test("readRows() keeps the beginning of a row that is too long, marked, and continues", async () => {
  const longest = `{"a":"${"x".repeat(MAX_ROW_CHARACTERS - 8)}"}`;
  const rows = await rowsOf(['{"n":1}', `${longest}x`, longest, '{"n":2}'].join("\n"));
  assert.equal(rows.length, 4);
  const { problem, row } = problemOf(rows[1]!)!;
  assert.ok(problem === "too_long" && row.length < 100_000 && row.startsWith('{"a":"xxx'));
  assert.equal(rows[2], longest);
  const items = await rowsOf(`[1,${longest}x,{"n":2}]`);
  assert.deepEqual(items.map((item) => problemOf(item)?.problem), [undefined, "too_long", undefined]);
  assert.throws(() => JSON.parse(items[1]!));
});

Deno.test("readRows() refuses a source that is too large, on disk or unzipped", async () => {
  const complaint = "is larger than 0.001 GB, which PARLEY_MAX_SOURCE_GB sets";
  const line = '{"a":1}\n'.repeat(200_000);
  const zeros = new Uint8Array(20e6);
  for (const content of [bytesOf(line), await gzip(bytesOf(line)), await gzip(zeros), zeros]) {
    assert.equal((await read(content, { maxBytes: 1e6 })).error, complaint);
  }
  const { error, rows } = await read(bytesOf(line), { maxBytes: 2e6 });
  assert.deepEqual([error, rows.length], [null, 200_000]);
  const known = readRows({ uri: "/none", bytes: 1e6 + 1 }, { ...options(), maxBytes: 1e6 });
  await assert.rejects(
    Array.fromAsync(known),
    { message: `/none ${complaint}` },
    "nothing is opened for that",
  );
});

Deno.test("readRows() holds little of a line, or of white space, that never ends", async () => {
  const uri = await Deno.makeTempFile();
  await Deno.truncate(uri, 0);
  const cut = "ends inside a JSON object as if it was cut off";
  for (
    const [first, expected, complaint] of [["{", 0, cut], [" ", 0, "holds no rows of JSON or CSV"]] as const
  ) {
    using file = await Deno.open(uri, { write: true, truncate: true });
    for (let n = 0; n < 100; n++) await file.write(bytesOf((n === 0 ? first : " ").padEnd(1e6)));
    const reading = readRows({ uri, bytes: 1 }, options());
    const before = Deno.memoryUsage().heapUsed;
    const error = await Array.fromAsync(reading).then(() => null, (error) => error);
    assert.ok(error instanceof SourceError && error.message.includes(complaint), String(error));
    assert.ok(reading.rows <= expected);
    assert.ok(Deno.memoryUsage().heapUsed - before < 60e6);
  }
  await Deno.remove(uri);
});

Deno.test("readRows() reads what a file holds that shrinks, grows or is removed meanwhile", async () => {
  const uri = await Deno.makeTempFile();
  const lines = '{"a":1}\n'.repeat(100_000);
  for (
    const [change, holds] of [
      [() => Deno.truncate(uri, 400_004), (rows: number) => rows >= 50_001 && rows < 100_000],
      [() => Deno.writeTextFile(uri, lines, { append: true }), (rows: number) => rows === 200_000],
      [() => Deno.remove(uri), (rows: number) => rows === 100_000],
    ] as const
  ) {
    await Deno.writeTextFile(uri, lines);
    let rows = 0;
    for await (const _row of readRows({ uri, bytes: lines.length }, options())) {
      if (++rows === 1) await change();
    }
    assert.ok(holds(rows), `${rows} rows`);
  }
});

Deno.test("readRows() gives a missing file and a folder a sentence", async () => {
  const dir = await Deno.makeTempDir();
  const none: SourceRows = readRows({ uri: `${dir}/none`, bytes: 1 }, options());
  await assert.rejects(Array.fromAsync(none), { name: "SourceError", message: `${dir}/none does not exist` });
  const folder = readRows({ uri: dir, bytes: 1 }, options());
  await assert.rejects(Array.fromAsync(folder), { name: "SourceError", code: "unavailable" });
  await Deno.remove(dir);
});

Deno.test("readRows() stops at its signal with the signal's reason, and can be left early", async () => {
  const uri = await Deno.makeTempFile();
  await Deno.writeTextFile(uri, `{"a":"${"x".repeat(100)}"}\n`.repeat(20_000));
  const controller = new AbortController();
  const reason = new RangeError("stop");
  await assert.rejects(async () => {
    for await (const _row of readRows({ uri, bytes: 1 }, options(controller.signal))) {
      controller.abort(reason);
    }
  }, (error) => error === reason);
  for await (const _row of readRows({ uri, bytes: 1 }, options())) break;
  await Deno.remove(uri);
});

Deno.test("readRows() reads stdin, and stops at its signal while stdin is silent", async () => {
  const script = `
    import { readRows } from ${
    JSON.stringify(new URL("../../../lib/sources/source_rows.ts", import.meta.url).href)
  };
    const rows = readRows({ uri: "stdin", bytes: null }, { signal: AbortSignal.timeout(Number(Deno.args[0])), maxBytes: 1e9 });
    try {
      for await (const row of rows) console.log(row);
      console.log(rows.rows, rows.bytes);
    } catch (error) {
      console.log(error.name);
    }
    Deno.exit();`;
  const run = async (timeout: number, input: string | null) => {
    const args = ["eval", "--quiet", "--no-check", script, String(timeout)];
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
    const stdin = child.stdin.getWriter();
    if (input !== null) await stdin.write(bytesOf(input));
    if (input !== null) await stdin.close();
    const { stdout } = await child.output();
    if (input === null) await stdin.close().catch(() => {});
    return new TextDecoder().decode(stdout);
  };
  assert.equal(await run(60_000, '{"a":1}\n{"b":2}'), '{"a":1}\n{"b":2}\n2 15\n');
  assert.equal(await run(200, null), "TimeoutError\n");
});
