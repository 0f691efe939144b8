/** Files as people have them, through the nightly run. */
import assert from "node:assert/strict";
import { campaignInput } from "../lib/schema/campaign.ts";
import { type Flow, nightlyRun, type Paths, withFlow } from "./fixtures/flow.ts";

/** Writes a file, gzipped if its name says so, and returns its path. */
async function write(flow: Flow, name: string, content: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const path = `${flow.input}/${name}`;
  const bytes = new Blob([content]).stream();
  const packed = name.endsWith(".gz") ? bytes.pipeThrough(new CompressionStream("gzip")) : bytes;
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeFile(path, packed);
  return path;
}

/** What became of the rows: whether the run succeeded, and the refused rows' positions with their reasons. */
async function refusedBy(flow: Flow, paths: Paths) {
  const { outcome } = await nightlyRun(flow, paths);
  const rows = await flow.services.documents.quarantined({ limit: 99, offset: 0 });
  return { outcome, refused: rows.map(({ position, reason }) => [position, reason]) };
}

const said = (n: number) => ({
  user_id: `u${n}`,
  message: `where is order ${n}`,
  timestamp: "2026-05-01T10:00:00Z",
});
const SAID = Array.from({ length: 20 }, (_, n) => said(n));

Deno.test("campaigns and events are read from CSV, plain and gzipped, and equal those from JSON", () =>
  withFlow(async (flow) => {
    const campaigns = await write(
      flow,
      "in/campaigns.csv",
      "campaign_id;title;description;category;intents;tags;starts_at;ends_at;status;repurchase_days;metadata;region\r\n" +
        'kayak;"Kayak tour; short";Two hours;tour;book_tour|ask_price;water;2026-05-01;2026-05-31;;30.5;"{""n"":1}";north\r\n' +
        "tent;Tent sale;;;;;;;paused;;;\r\n",
    );
    const events = await write(
      flow,
      "in/events.csv.gz",
      "user_id,campaign_id,type,timestamp\nu1,kayak,click,2026-05-02T10:00:00Z\nu1,tent,looked,2026-05-02T10:00:00Z\n",
    );
    const messages = await write(
      flow,
      "in/messages.csv",
      'user_id,message,timestamp\nu1,"one\ntwo",1777627800\n',
    );
    const { outcome, refused } = await refusedBy(flow, {
      campaigns: [campaigns],
      events: [events],
      messages: [messages],
    });
    assert.deepEqual([outcome, refused], [
      "success",
      [[3, "type must be one of impression, click, conversion, dismissal"]],
    ]);
    const { analytics, documents } = flow.services;
    const found = [...(await analytics.campaigns({ campaign_ids: ["kayak", "tent"] })).values()];
    const [kayak, tent] = ["kayak", "tent"].map((id) => found.find(({ campaign_id }) => campaign_id === id));
    assert.deepEqual(kayak, {
      campaign_id: "kayak",
      title: "Kayak tour; short",
      description: "Two hours",
      aliases: [],
      intents: ["book_tour", "ask_price"],
      category: "tour",
      tags: ["water"],
      starts_at: "2026-05-01T00:00:00.000Z",
      ends_at: "2026-06-01T00:00:00.000Z",
      status: "active",
      repurchase_days: 30.5,
      metadata: { n: 1, region: "north" },
    });
    assert.deepEqual(
      Object.keys(kayak!).sort(),
      Object.keys(campaignInput.shape).sort(),
      "no field is left out",
    );
    assert.deepEqual([tent?.status, tent?.intents, tent?.metadata], ["paused", [], null]);
    assert.equal((await analytics.counts()).events, 1);
    const [message] = await documents.page({ after: null, limit: 9 });
    assert.deepEqual([message?.message, message?.timestamp], ["one\ntwo", "2026-05-01T09:30:00.000Z"]);
  }));

Deno.test("a folder's CSV files are among its sources", () =>
  withFlow(async (flow) => {
    await write(flow, "in/a.csv", "campaign_id,title\nk1,One\n");
    await write(flow, "in/b.tsv", "campaign_id\ttitle\nk2\tTwo\n");
    await write(flow, "in/c.ndjson", '{"campaign_id":"k3","title":"Three"}');
    assert.equal((await nightlyRun(flow, { campaigns: [`${flow.input}/in`] })).outcome, "success");
    assert.equal((await flow.services.analytics.counts()).campaigns, 3);
  }));

const TEXTS: Record<string, string> = {
  "one object around the list, on one line": JSON.stringify({ page: 1, messages: SAID }),
  "one object around the list, indented": JSON.stringify(
    { about: { n: [1] }, messages: SAID, next: null },
    null,
    2,
  ),
  "objects one after the other, indented": SAID.map((row) => JSON.stringify(row, null, 2)).join("\n"),
  "objects one after the other, without anything between": SAID.map((row) => JSON.stringify(row)).join(""),
};

for (const [what, text] of Object.entries(TEXTS)) {
  Deno.test(`a source is read that is ${what}, in UTF-8 and in UTF-16`, () =>
    withFlow(async (flow) => {
      const units = new Uint8Array(Uint16Array.from(`\ufeff${text}`, (unit) => unit.charCodeAt(0)).buffer);
      const messages = [await write(flow, "a.json", text), await write(flow, "b.json", units)];
      assert.deepEqual(await refusedBy(flow, { messages }), { outcome: "success", refused: [] });
      assert.equal((await flow.services.documents.counts()).messages, SAID.length);
    }));
}

Deno.test("one byte that is not UTF-8 costs one row, of lines, of a list, of an object around it, and of CSV", () =>
  withFlow(async (flow) => {
    const lines = SAID.map((row) => JSON.stringify(row));
    const csv = ["user_id,message,timestamp", ...SAID.map((row) => Object.values(row).join(","))];
    const texts = [
      lines.join("\n"),
      `[${lines.join(",")}]`,
      `{"messages":[${lines.join(",")}]}`,
      csv.join("\n"),
    ];
    const messages = await Promise.all(texts.map((text, n) => {
      const bytes = new TextEncoder().encode(text);
      bytes[bytes.indexOf(new TextEncoder().encode("order 7")[0]!, text.indexOf("order 7"))] = 0xe9;
      return write(flow, `${n}.txt`, bytes);
    }));
    const { outcome, refused } = await refusedBy(flow, { messages });
    assert.equal(outcome, "success");
    assert.deepEqual(refused, [8, 8, 8, 9].map((position) => [position, "the row is not UTF-8 text"]));
  }));

Deno.test("an export of a chat tool says which of its fields to give as which", () =>
  withFlow(async (flow) => {
    const day = [
      { type: "message", user: "U7", text: "The parcel has not come", ts: "1790841600.000100" },
      { type: "message", subtype: "bot_message", bot_id: "B1", text: "Noted", ts: "1790841605.000200" },
    ];
    await write(flow, "export/support/2026-10-01.json", JSON.stringify(day));
    await write(flow, "export/users.json", JSON.stringify([{ id: "U7", name: "mira" }]));
    const { outcome, refused } = await refusedBy(flow, { messages: [`${flow.input}/export`] });
    assert.equal(outcome, "failed");
    const lacks = "user_id is missing; message is missing; timestamp is missing: the row has";
    assert.deepEqual(refused, [
      [1, `${lacks} type, user, text, ts; give user as user_id, text as message, ts as timestamp`],
      [2, `${lacks} type, subtype, bot_id, text, ts; give text as message, ts as timestamp`],
      [1, `${lacks} id, name`],
    ]);
  }));
