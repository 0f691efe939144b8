import assert from "node:assert/strict";
import { tryParseJson } from "../../../lib/core/json.ts";
import { readRows } from "../../../lib/sources/source_rows.ts";
import { problemOf } from "../../../lib/sources/row_problem.ts";
import { SourceError } from "../../../lib/sources/source.ts";

type Content = string | Uint8Array<ArrayBuffer>;

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Reads `content` from a file of that name: rows by their position, and the complaint that ended it. */
async function read(content: Content, name = "rows.csv") {
  const folder = await Deno.makeTempDir();
  const uri = `${folder}/${name}`;
  await Deno.writeFile(uri, typeof content === "string" ? bytesOf(content) : content);
  const rows: Record<number, unknown> = {};
  let position = 0;
  try {
    const reading = readRows({ uri, bytes: 1 }, { signal: new AbortController().signal, maxBytes: 1e9 });
    for await (const row of reading) {
      position++;
      if (row !== "") rows[position] = problemOf(row)?.problem ?? tryParseJson(row);
    }
    return { rows, count: reading.rows, error: null };
  } catch (error) {
    assert.ok(error instanceof SourceError, String(error));
    return { rows, count: null, error: error.message.slice(uri.length + 1) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const EVENTS = [
  { user_id: "ann", campaign_id: "k-1", type: "click", timestamp: "2026-05-01T09:30:00Z" },
  { user_id: "bo, jr", campaign_id: "k-2", type: "dismissal", timestamp: "1777627800" },
];

Deno.test("readRows() reads CSV by its header, whatever separates cells and lines", async () => {
  for (const separator of [",", ";", "\t"]) {
    for (const end of ["\n", "\r\n", "\r"]) {
      for (const last of ["", end]) {
        const lines = EVENTS.map((row) => Object.values(row).map((cell) => `"${cell}"`).join(separator));
        const text = [Object.keys(EVENTS[0]!).join(separator), ...lines].join(end) + last;
        for (const content of [text, `\ufeff${text}`]) {
          assert.deepEqual(await read(content), {
            rows: { 2: EVENTS[0], 3: EVENTS[1] },
            count: 2,
            error: null,
          });
        }
      }
    }
  }
});

Deno.test("readRows() takes the first line of a spreadsheet that says what separates cells", async () => {
  const row = { user_id: "ann", note: "a,b" };
  for (const separator of [",", ";", "\t", "|"]) {
    for (const first of [`sep=${separator}`, `"sep=${separator}"`, `SEP=${separator}`]) {
      for (const end of ["\n", "\r\n"]) {
        const text = [first, ["user_id", "note"].join(separator), `ann${separator}"a,b"`, ""].join(end);
        for (const name of ["rows.csv", "export"]) {
          assert.deepEqual(await read(text, name), { rows: { 3: row }, count: 1, error: null });
          assert.deepEqual((await read(`\ufeff${text}`, name)).rows, { 3: row });
        }
      }
    }
  }
  assert.deepEqual(
    (await read("user_id;note\nann;sep=;\n")).rows,
    { 2: { user_id: "ann", note: "sep=" } },
    "only the first line does",
  );
});

Deno.test("readRows() names the possible separators for CSV with one column", async () => {
  const { rows, error } = await read("user_id|note\nann|x\n");
  assert.deepEqual(rows, {});
  assert.equal(error, "has one column in its header: separate cells by commas, semicolons or tabs");
});

Deno.test("readRows() reads UTF-16 with and without a byte order mark", async () => {
  const text = "user_id,note\nann,für 5 €\n";
  const units = Uint16Array.from(text, (character) => character.charCodeAt(0));
  const little = new Uint8Array(units.buffer);
  const big = Uint8Array.from(little, (_, n) => little[n ^ 1]!);
  for (const bytes of [little, big]) {
    assert.deepEqual((await read(bytes)).rows, { 2: { user_id: "ann", note: "für 5 €" } });
    const json = Uint16Array.from('[{"user_id":"ann"}]', (character) => character.charCodeAt(0));
    const same = new Uint8Array(json.buffer);
    const content = bytes === little ? same : Uint8Array.from(same, (_, n) => same[n ^ 1]!);
    assert.deepEqual((await read(content, "rows.json")).rows, { 1: { user_id: "ann" } });
  }
});

Deno.test("readRows() recognises a chat exported as text", async () => {
  for (
    const text of [
      "01/05/2026, 10:00 - Ann: Hello\n",
      "\u200e[01.05.26, 10:00:00] Ann: Hello\n[01.05.26, 10:01:00] Bo: Hi\n",
    ]
  ) {
    for (const name of ["chat.txt", "chat.json", "chat.csv"]) {
      assert.match(
        (await read(text, name)).error!,
        /^is the text of a chat, as WhatsApp exports it: write each message/,
      );
    }
  }
  assert.equal((await read("[2026]\n", "rows.json")).error, null);
});

Deno.test("readRows() knows CSV by a header of rows, and by its name", async () => {
  const rows = { 2: { user_id: "ann", note: "x" } };
  const text = "user_id,note\nann,x\n";
  for (const name of ["export", "rows.json", "rows.CSV"]) {
    assert.deepEqual((await read(text, name)).rows, rows, name);
  }
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  const zipped = new Uint8Array(await new Response(packed).arrayBuffer());
  assert.deepEqual((await read(zipped, "rows.csv.gz")).rows, rows);
  const little = new Uint8Array(Uint16Array.from(`\ufeff${text}`, (unit) => unit.charCodeAt(0)).buffer);
  assert.deepEqual((await read(little)).rows, rows, "UTF-16");
  assert.deepEqual((await read("customer,offer\nann,k\n")).rows, { 2: { customer: "ann", offer: "k" } });
  assert.match((await read("customer,offer\nann,k\n", "export")).error!, /^holds no rows of JSON or CSV/);
  assert.deepEqual((await read('{"user_id":"ann"}\n{"user_id":"bo"}\n')).rows, {
    1: { user_id: "ann" },
    2: { user_id: "bo" },
  }, "JSON by another name");
});

Deno.test("readRows() gives a row of CSV the line on which it begins, and leaves out cells without text", async () => {
  const text =
    'user_id,note,,intents\n\nann,"two\nlines, ""quoted""",x,order_help| refund |\n\n\nbo,,,\n"c"d,e"f\n';
  assert.deepEqual((await read(text)).rows, {
    3: { user_id: "ann", note: 'two\nlines, "quoted"', intents: ["order_help", "refund"] },
    7: { user_id: "bo" },
    8: { user_id: '"c"d', note: 'e"f' },
  });
  assert.deepEqual((await read('campaign_id,tags,metadata\nk,a b,"{""n"": 1}"\nl,,{no\n')).rows, {
    2: { campaign_id: "k", tags: ["a b"], metadata: { n: 1 } },
    3: { campaign_id: "l", metadata: "{no" },
  });
});

Deno.test("readRows() loses one row of CSV to a byte that is not UTF-8, or to a cell too many", async () => {
  const latin = Uint8Array.of(
    ...bytesOf("user_id,note\nann,x\nbo,caf"),
    0xe9,
    ...bytesOf("\ncy,é\ufffd\ndan,x,,\neve,x,y\n"),
  );
  assert.deepEqual((await read(latin)).rows, {
    2: { user_id: "ann", note: "x" },
    3: "not_utf8",
    4: { user_id: "cy", note: "é\ufffd" },
    5: { user_id: "dan", note: "x" },
    6: "too_many_cells",
  });
});

Deno.test("readRows() marks a row of CSV whose quote is closed only by one further down", async () => {
  const rows = ['ann,"never closed,1', "bo,x,2", 'cy,"closed",3', "dan,y,4"];
  const found = (await read(`user_id,note,n\n${rows.join("\n")}\n`)).rows;
  assert.deepEqual(found, { 2: "open_quote", 5: { user_id: "dan", note: "y", n: "4" } });
  const own = 'ann,"""Stop,"" she said.\nThen she left.",1';
  assert.deepEqual((await read(`user_id,note,n\n${own}\n`)).rows, {
    2: { user_id: "ann", note: '"Stop," she said.\nThen she left.', n: "1" },
  });
});

Deno.test("readRows() says what is wrong with CSV as a whole, and quotes nothing of it", async () => {
  const open = await read('user_id,note\nann,x\nbo,"secret\ncy,z\n');
  assert.match(
    open.error!,
    /^ends inside a quoted cell: a quote in the row at line 3 is not closed, after \d rows? or more$/,
  );
  const later = await read('user_id,note\n\nann,"two\nlines"\n\n\nbo,x\n\ncy,"secret\n\ndee,y\n');
  assert.match(later.error!, /^ends inside a quoted cell: a quote in the row at line 9 is not closed/);
  assert.equal(
    (await read("user_id,note,note\nann,x,y\n")).error,
    "has two columns of the same name in its header",
  );
  const endless = await read(`user_id,note\nann,"${"secret\n".repeat(2_000_000)}`);
  assert.match(
    endless.error!,
    /^holds a row that is longer than 8 MiB: look for a quote at line 2 that is not closed/,
  );
  assert.deepEqual((await read("")).rows, {});
  assert.deepEqual((await read("user_id,note\n")).rows, {}, "a header alone");
});

Deno.test("readRows() reads CSV the same through any chunk boundary", async () => {
  const rows = Array.from(
    { length: 8_000 },
    (_, n) => ({ user_id: `u-${n}`, note: 'aé\u{1F600}"\n,'.repeat(n % 30) + "." }),
  );
  const text = ["user_id,note", ...rows.map((row) => `${row.user_id},"${row.note.replaceAll('"', '""')}"`)]
    .join("\n");
  assert.ok(bytesOf(text).length > 4 * 262_144);
  assert.deepEqual(Object.values((await read(text)).rows), rows);
});
