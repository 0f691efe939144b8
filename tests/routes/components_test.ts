import assert from "node:assert/strict";
import { flashOf, withFlash } from "../../routes/http/flash_messages.ts";
import {
  formatBytes,
  formatCompact,
  formatMilliseconds,
  formatNumber,
  formatPercent,
} from "../../routes/components/format_number.ts";
import { duration, lasted, span } from "../../routes/components/time.tsx";
import { pageOf } from "../../routes/components/table.tsx";
import { anomaly, lines, pages, rows } from "./component_samples.tsx";

const heads = (html: string) => [...html.matchAll(/<th scope="row">(\w+)</g)].map(([, name]) => name);

Deno.test("Table sorts by what the address asks for, text and numbers alike, absent last", () => {
  assert.deepEqual(heads(rows("/x")), ["b", "a", "c"]);
  assert.deepEqual(heads(rows("/x?t-sort=name")), ["a", "b", "c"]);
  assert.deepEqual(heads(rows("/x?t-sort=-name")), ["c", "b", "a"]);
  assert.deepEqual(heads(rows("/x?t-sort=size")), ["b", "c", "a"]);
  assert.deepEqual(heads(rows("/x?t-sort=-size")), ["c", "b", "a"]);
  assert.deepEqual(heads(rows("/x?t-sort=secret")), ["b", "a", "c"], "not by what is no column");
});

Deno.test("Table links keep the rest of the address and turn the order round", () => {
  const html = rows("/x?page=2&t-sort=name&notice=queued");
  assert.match(html, /aria-sort="ascending"><a href="\/x\?page=2&amp;t-sort=-name#t">Name/);
  assert.match(html, /<a href="\/x\?page=2&amp;t-sort=size#t">Size/);
});

Deno.test("pageOf() is the page that the address asks for, from 1 to the last one, and 1 for an invalid one", () => {
  const pages = (max: number, ...given: string[]) =>
    given.map((each) => pageOf(new URL(`http://localhost/x${each}`), max));
  assert.deepEqual(pages(9, "", "?page=1", "?page=2", "?page=8", "?page=9"), [1, 1, 2, 8, 9]);
  assert.deepEqual(pages(9, "?page=10", "?page=1e9", "?page=0", "?page=-3"), [9, 9, 1, 1]);
  assert.deepEqual(pages(9, "?page=", "?page=x", "?page=1.5", "?page=Infinity", "?page=NaN"), [
    1,
    1,
    1,
    1,
    1,
  ]);
});

Deno.test("Pages leads to the pages before and after, none before the first and none after the last", () => {
  const links = (page: number, more: boolean) => {
    const html = pages({ page, more, max: 4 });
    const to = (rel: string) =>
      new RegExp(`<a rel="${rel}" href="([^"]*)"`).exec(html)?.[1]?.replaceAll("&amp;", "&") ?? null;
    return [to("prev"), to("next"), /<span>(Page \d)<\/span>/.exec(html)?.[1] ?? null];
  };
  assert.deepEqual(links(1, false), [null, null, null], "the only one");
  assert.deepEqual(links(1, true), [null, "/x?dag=d&page=2", "Page 1"]);
  assert.deepEqual(links(2, true), ["/x?dag=d", "/x?dag=d&page=3", "Page 2"]);
  assert.deepEqual(links(3, false), ["/x?dag=d&page=2", null, "Page 3"]);
  assert.deepEqual(links(4, true), ["/x?dag=d&page=3", null, "Page 4"]);
});

Deno.test("LineChart draws a line, a band and the numbers, inside its frame", () => {
  const html = lines([{ x: 0, y: 1, low: 0.5, high: 2 }, { x: 86_400_000, y: 3, low: 2, high: 4 }]);
  assert.match(html, /class="band"/);
  assert.match(html, /<td class="numeric">1 \(0\.5 – 2\)<\/td>/);
  const points = [...html.matchAll(/<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"/g)].map((found) =>
    found.slice(1, 3).map(Number)
  );
  assert.equal(points.length, 2);
  for (const [x, y] of points) assert.ok(x! >= 0 && x! <= 480 && y! >= 0 && y! <= 170, `${x}, ${y}`);
});

Deno.test("LineChart names hours for the viewer's zone, and days as they are counted", () => {
  const hour = Date.parse("2026-05-01T13:00:00Z");
  assert.match(
    lines([{ x: hour, y: 1 }, { x: hour + 3_600_000, y: 2 }]),
    /data-at="2026-05-01T13:00:00\.000Z"><title>2026-05-01 13:00 UTC<\/title>13:00</,
  );
  const minutes = lines([{ x: hour, y: 1 }, { x: hour + 120_000, y: 2 }]);
  const named = [...minutes.matchAll(/<\/title>(\d\d:\d\d)</g)].map(([, text]) => text);
  assert.deepEqual(named, ["13:00", "13:01", "13:02"]);
  const days = lines([{ x: Date.parse("2026-05-01"), y: 1 }, { x: Date.parse("2026-05-03"), y: 2 }]);
  assert.match(days, />2 May</);
});

Deno.test("LineChart of zeros, and of one point, still has a scale", () => {
  for (const points of [[{ x: 0, y: 0 }, { x: 1, y: 0 }], [{ x: 0, y: 5 }]]) {
    assert.doesNotMatch(lines(points), /NaN|Infinity|0\.00000/);
  }
  assert.equal(lines([]), "");
});

Deno.test("duration(), span(), lasted() say times as people do", () => {
  assert.deepEqual([0, 250, 12_340, 59_960, 64_000, 3_840_000].map(duration), [
    "0 ms",
    "250 ms",
    "12.3 s",
    "1 min 00 s",
    "1 min 04 s",
    "1 h 04 min",
  ]);
  assert.deepEqual([5, 1_999, 90_000, 86_400_000].map(span), ["5 ms", "1 s", "1 min", "1 d"]);
  const started_at = "2026-05-01T00:00:00.000Z";
  assert.equal(lasted({ started_at: null, ended_at: null }, 0), null);
  assert.equal(lasted({ started_at, ended_at: "2026-05-01T00:00:02.000Z" }, 0), 2_000);
  assert.equal(lasted({ started_at, ended_at: null }, Date.parse(started_at) + 500), 500);
});

Deno.test("formatNumber(), formatPercent(), formatCompact(), formatMilliseconds() and formatBytes() round for reading", () => {
  assert.deepEqual([12_345, 3.14159, 1_234.5].map(formatNumber), ["12,345", "3.14", "1,235"]);
  assert.deepEqual([0, 0.0004, 0.034, 0.666, 0.994, 0.9996].map(formatPercent), [
    "0 %",
    "< 0.1 %",
    "3.4 %",
    "67 %",
    "99.4 %",
    "> 99.9 %",
  ]);
  assert.deepEqual([0, 12_345, 1_234_567].map(formatCompact), ["0", "12,345", "1.23 M"]);
  assert.deepEqual([0.42, 3.14, 250.4, 1_234].map(formatMilliseconds), [
    "0.4 ms",
    "3.1 ms",
    "250 ms",
    "1.2 s",
  ]);
  assert.deepEqual([0.1234, 1, null, NaN].map(formatPercent), ["12 %", "100 %", "–", "–"]);
  assert.deepEqual([0, 999, 1_234_567].map(formatBytes), ["0 B", "999 B", "1.23 MB"]);
});

Deno.test("flashOf() reads codes and numbers, and nothing else", () => {
  const flash = (path: string) => flashOf(new URL(path, "http://x").searchParams);
  assert.equal(flash(withFlash("/x", "retried", 2)), "2 tasks will run again.");
  assert.equal(flash("/x?notice=retried&n=-3"), "0 tasks will run again.");
  assert.equal(flash("/x?notice=toString"), null);
  assert.equal(flash("/x"), null);
});

Deno.test("a day stays a day of UTC in every zone, where an instant turns into the viewer's", () => {
  for (const html of anomaly({ kind: "engagement", measure: "clicks" })) {
    assert.match(html, /<time datetime="2026-05-01" title="2026-05-01, a day in UTC">2026-05-01<\/time>/);
    assert.doesNotMatch(html, /data-as/);
  }
  for (const html of anomaly({ kind: "api", measure: "errors" })) assert.match(html, /data-as/);
});

Deno.test("LineChart labels the time of each dot as UTC", () => {
  const html = lines([{ x: Date.parse("2026-05-01T13:30:00Z"), y: 7 }]);
  assert.match(html, /<title>one: 7 · 2026-05-01 13:30 UTC<\/title>/);
});

Deno.test("components read nothing: they import no port, and of the routes only types", async () => {
  const folder = new URL("../../routes/components/", import.meta.url);
  for (const { name } of Deno.readDirSync(folder)) {
    const text = await Deno.readTextFile(new URL(name, folder));
    for (const [line, path] of text.matchAll(/^import [^;]*? from "([^"]+)"/gm)) {
      assert.doesNotMatch(path!, /\/lib\/stores\/|\/pages\/|\/api\//, `${name}: ${line}`);
      if (path!.includes("/http/")) assert.match(line, /^import type /, name);
    }
  }
});
