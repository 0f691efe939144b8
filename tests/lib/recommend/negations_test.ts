import assert from "node:assert/strict";
import type { Message } from "../../../lib/core/types.ts";
import { CampaignNames } from "../../../lib/recommend/mentions.ts";
import { negationsOf, Vetoes } from "../../../lib/recommend/negations.ts";
import { message } from "../../fixtures/rows.ts";
import { campaign } from "./samples.ts";

const NAMES = new CampaignNames([
  campaign("ridge", { title: "Ridge Walk", category: "walks", tags: ["hard"] }),
  campaign("map", { title: "The Trail Map", category: "maps", tags: ["paper"] }),
  campaign("socks", { title: "Merino Socks", category: null, tags: [] }),
]);
const MEANS = { names: NAMES, gap_ms: 30 * 60_000 };
const at = (minutes: number) => new Date(Date.UTC(2026, 0, 1) + minutes * 60_000).toISOString();

/** What Ann says at these minutes, in one conversation if no other is given. */
function said(...rows: readonly (Partial<Message> & { minute: number })[]) {
  const messages = rows.map(({ minute, ...row }) =>
    message({ user_id: "ann", conversation_id: null, timestamp: at(minute), ...row })
  );
  return negationsOf({ user_id: "ann", messages }, MEANS).map(({ of, name, until }) =>
    `${of} ${name} ${until}`
  );
}

Deno.test("negationsOf() gives what the user said last of each subject, until their conversation is over", () => {
  assert.deepEqual(said({ minute: 0, message: "No walks, and not the Trail Map" }, { minute: 5 }), [
    `category walks ${at(35)}`,
    `campaign map ${at(35)}`,
  ]);
  assert.deepEqual(
    said({ minute: 0, message: "No walks please" }, { minute: 5, message: "OK, walks are fine after all" }),
    [],
  );
  assert.deepEqual(
    said({ minute: 5, message: "I don't want the Trail Map" }, {
      minute: 0,
      message: "I want the Trail Map",
    }),
    [`campaign map ${at(35)}`],
  );
});

Deno.test("negationsOf() ends a category's negation with its conversation, and a campaign's with the next mention", () => {
  const first = { minute: 0, message: "No walks, and I hated the Trail Map" };
  assert.deepEqual(said(first, { minute: 60, message: "Hello again" }), [`campaign map ${at(30)}`]);
  assert.deepEqual(said(first, { minute: 60, message: "And no walks" }), [
    `campaign map ${at(30)}`,
    `category walks ${at(90)}`,
  ]);
  assert.deepEqual(said(first, { minute: 60, message: "Show me the Trail Map" }), []);
});

Deno.test("negationsOf() keeps conversations apart by their id, and resumes them", () => {
  const [a, b] = [{ conversation_id: "a" }, { conversation_id: "b" }];
  assert.deepEqual(
    said(
      { minute: 0, message: "No walks", ...a },
      { minute: 50, message: "Anything but maps", ...b },
      { minute: 60, message: "What else?", ...a },
    ),
    [`category walks ${at(90)}`, `category maps ${at(80)}`],
  );
});

Deno.test("negationsOf() takes what the other side says for what is meant, not for what the user wants", () => {
  const other = {
    minute: 0,
    message: "You don't like walks? How about the Trail Map?",
    role: "assistant",
  } as const;
  assert.deepEqual(said(other, { minute: 1, message: "I didn't like it." }), [`campaign map ${at(31)}`]);
  assert.deepEqual(said(other), []);
  assert.deepEqual(said({ minute: 0, message: "No walks", user_id: "bob" }), []);
});

Deno.test("negationsOf() keeps a negation while the other side talks", () => {
  const long = (minute: number) => ({ minute, message: "and ".repeat(1_500), role: "assistant" as const });
  const no = { minute: 0, message: "I hated the Trail Map" };
  assert.equal(said(no, long(1), { minute: 2, message: "What else?" }, long(3), long(4)).length, 1);
});

Deno.test("negationsOf() takes the negation of what is said at one time, whatever the order", () => {
  const yes = { minute: 0, message: "Show me walks" };
  const no = { minute: 0, message: "No walks please" };
  for (const [first, last] of [["a", "b"], ["b", "a"]] as const) {
    assert.equal(said({ ...yes, message_id: first }, { ...no, message_id: last }).length, 1);
  }
  assert.deepEqual(said(no, { ...yes, minute: 1 }), []);
});

Deno.test("negationsOf() reads the newest 8,000 characters", () => {
  const filler = { minute: 1, message: "and ".repeat(1_990) };
  const early = { minute: 0, message: "I hated the Trail Map" };
  assert.deepEqual(said(early, filler).length, 1);
  assert.deepEqual(said(early, filler, { ...filler, minute: 2 }), []);
});

Deno.test("Vetoes are the negations of conversations that are not over", () => {
  const negations = [
    { of: "campaign", name: "ridge", until: at(10) },
    { of: "campaign", name: "map", until: at(20) },
    { of: "category", name: "walks", until: at(20) },
    { of: "tag", name: "paper", until: at(20) },
  ] as const;
  const vetoes = new Vetoes(negations, Date.parse(at(10)));
  assert.deepEqual(vetoes.current, negations.slice(1));
  assert.deepEqual(vetoes.campaigns, [{ campaign_id: "map", by: "negation", until: at(20) }]);
  const allowed = (campaign_id: string, category: string | null, tags: string[] = []) =>
    vetoes.allow({ campaign_id, category, tags });
  assert.deepEqual(
    [
      allowed("ridge", null),
      allowed("map", null),
      allowed("x", "walks"),
      allowed("x", "paper", ["walks"]),
      allowed("x", null, ["a", "paper"]),
    ],
    [true, false, false, true, false],
  );
  assert.equal(
    new Vetoes(negations, Date.parse(at(20))).allow({ campaign_id: "map", category: "walks", tags: [] }),
    true,
  );
});
