import assert from "node:assert/strict";
import { loadCsv } from "../../../deps.ts";
import { headerOf, linesOf, userOf } from "../../../lib/exports/answer_lines.ts";
import { answer, item } from "./samples.ts";

const ODD = ['he said "hi"', "a,b", ',"', "'=1+1", "é 🌸", '"', "a\\", '\\"', "plain"];

Deno.test("linesOf() writes an answer as one line of JSON that begins with the user", () => {
  for (const user_id of ODD) {
    const one = answer(user_id, [item("k")]);
    const text = linesOf(one, "ndjson");
    assert.equal(text.indexOf("\n"), text.length - 1);
    assert.deepEqual(JSON.parse(text), one);
    assert.equal(userOf(text.slice(0, -1), "ndjson"), user_id);
  }
});

async function readCsv(text: string): Promise<Record<string, string>[]> {
  const { parse } = await loadCsv();
  return await new Promise((resolve, reject) =>
    parse(
      text,
      { columns: true },
      (error, rows) => error ? reject(error) : resolve(rows as Record<string, string>[]),
    )
  );
}

Deno.test("linesOf() writes an answer as a line of CSV for each item, as a reader of RFC 4180 takes it", async () => {
  for (const user_id of ODD) {
    const items = [item('k"1', { title: 'Boots, "wide"\r\nfor all' }), item("k2", { category: null })];
    const text = linesOf(answer(user_id, items), "csv");
    const rows = await readCsv(headerOf("csv") + text);
    assert.deepEqual(rows.map((row) => row.user_id), [user_id, user_id]);
    assert.deepEqual(rows.map((row) => row.position), ["1", "2"]);
    assert.deepEqual(rows.map((row) => row.title), ['Boots, "wide" for all', "Campaign k2"]);
    assert.deepEqual(rows.map((row) => row.category), ["shoes", ""]);
    assert.deepEqual(rows.map((row) => row.score), ["0.5", "0.5"]);
    for (const line of text.trimEnd().split("\n")) assert.equal(userOf(line, "csv"), user_id);
  }
  assert.equal(linesOf(answer("u", []), "csv"), "");
  assert.equal(userOf(headerOf("csv").trimEnd(), "csv"), null);
});
