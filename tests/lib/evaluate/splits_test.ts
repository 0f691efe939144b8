import assert from "node:assert/strict";
import type { EngagementEvent, Message } from "../../../lib/core/types.ts";
import { BASELINES } from "../../../lib/evaluate/baselines.ts";
import { type Dataset, type Fold, type Split, splitRows } from "../../../lib/evaluate/splits.ts";
import { campaign, event, message } from "../../fixtures/rows.ts";

const at = (day: number, hour = 0) => new Date(Date.UTC(2026, 0, day, hour)).toISOString();

/** Twenty users; each has a conversation on three days, in which one campaign is shown, then chosen. */
function dataset(): Dataset {
  const messages: Message[] = [];
  const events: EngagementEvent[] = [];
  for (let u = 0; u < 20; u++) {
    for (let day = 1; day <= 3; day++) {
      const user_id = `u${u}`, conversation_id = `${user_id}-${day}`, campaign_id = `c${(u + day) % 6}`;
      const said = (n: number, hour: number, more: Partial<Message> = {}) =>
        message({
          message_id: `${conversation_id}-${n}`,
          user_id,
          conversation_id,
          timestamp: at(day, hour),
          message: `text ${u} ${day} ${n}`,
          metadata: { label: campaign_id },
          ...more,
        });
      messages.push(said(0, 1), said(1, 2, { role: "assistant", user_id: "shop" }), said(2, 9));
      const done = (type: EngagementEvent["type"], hour: number) =>
        event({
          event_id: `${conversation_id}-${type}`,
          user_id,
          campaign_id,
          conversation_id,
          type,
          timestamp: at(day, hour),
        });
      events.push(done("impression", 3), done("conversion", 4));
    }
  }
  return {
    messages,
    events,
    campaigns: Array.from({ length: 6 }, (_, i) => campaign({ campaign_id: `c${i}` })),
  };
}

const options = { folds: 4, seed: 1, named: () => [] };
const folds = (split: Split, data = dataset()): Fold[] => [...splitRows(data, split, options)];
const pair = ({ user_id, campaign_id }: EngagementEvent) => `${user_id} ${campaign_id}`;

Deno.test("splitRows() never leaves a hidden choice among the training rows, nor by rows any event of it", () => {
  for (const split of ["rows", "time", "last", "users"] as const) {
    for (const { train, queries } of folds(split)) {
      const events = train.events.filter(({ type }) => split === "rows" || type === "conversion");
      const known = new Set(events.map(pair));
      assert.ok(queries.length > 0, split);
      for (const { user_id, relevant } of queries) {
        assert.ok(relevant.size > 0);
        for (const id of relevant) assert.ok(!known.has(`${user_id} ${id}`), `${split}: ${user_id} ${id}`);
      }
    }
  }
});

Deno.test("splitRows() hides each choice in one fold of rows", () => {
  const hidden = folds("rows").flatMap(({ queries }) =>
    queries.flatMap(({ user_id, relevant }) => [...relevant].map((id) => `${user_id} ${id}`))
  );
  assert.deepEqual(hidden.sort(), [...new Set(dataset().events.map(pair))].sort());
});

Deno.test("splitRows() learns nothing from held-out users, and queries with the messages before the first campaign", () => {
  let queries = 0;
  for (const { train, queries: asked, query_messages: stored } of folds("conversations")) {
    const held = new Set(asked.map(({ person }) => person));
    assert.ok(train.events.every(({ user_id }) => !held.has(user_id)));
    assert.ok(
      train.messages.every(({ user_id, conversation_id }) =>
        !held.has(user_id) && !held.has(conversation_id!.split("-")[0]!)
      ),
    );
    for (const { user_id, person, messages, events } of asked) {
      assert.notEqual(user_id, person);
      assert.deepEqual(events, []);
      assert.deepEqual(messages.map(({ message_id, metadata }) => [message_id.split("-").at(-1), metadata]), [
        ["0", null],
      ]);
    }
    assert.deepEqual(stored, asked.flatMap(({ messages }) => messages));
    queries += asked.length;
  }
  assert.equal(queries, 60);
});

Deno.test("splitRows() separates conversations of two users that have the same id, and learns from neither if one is held out", () => {
  const { campaigns, messages, events } = dataset();
  const shared = <Row extends { conversation_id: string | null }>(row: Row): Row => ({
    ...row,
    conversation_id: row.conversation_id!.split("-")[1]!,
  });
  const data = { campaigns, messages: messages.map(shared), events: events.map(shared) };
  const asked = (data: Dataset) =>
    folds("conversations", data).map(({ queries }) =>
      queries.map(({ person, messages }) => [person, messages.map(({ message_id }) => message_id)])
    );
  assert.deepEqual(asked(data), asked(dataset()));
  for (const { train, queries } of folds("conversations", data)) {
    const held = new Set(queries.map(({ person }) => person));
    assert.ok(train.messages.length > 0);
    for (const { user_id, role } of train.messages) assert.ok(role === "user" && !held.has(user_id));
    assert.ok(train.events.every(({ user_id }) => !held.has(user_id)));
  }
  const cut = folds("last", data)[0]!.train.messages.filter(({ role, timestamp }) =>
    role === "assistant" && timestamp >= at(3, 4)
  );
  assert.deepEqual(cut, []);
});

Deno.test("splitRows() does not query a conversation for campaigns that the user named in it", () => {
  const named = () => ["c1", "c2", "c3", "c4", "c5"];
  const queries = [...splitRows(dataset(), "conversations", { ...options, named })].flatMap((fold) =>
    fold.queries
  );
  assert.ok(queries.length > 0);
  for (const { relevant } of queries) assert.deepEqual([...relevant], ["c0"]);
});

Deno.test("splitRows() by time learns nothing from after the moment that it splits at, and asks with what a user said from then to the first event", () => {
  const data = dataset();
  const moment = at(3, 4);
  const late = message({ user_id: "u0", message_id: "late", timestamp: at(4, 1), conversation_id: "u0-4" });
  const first = event({ user_id: "u0", campaign_id: "c5", type: "impression", timestamp: at(4, 2) });
  const [fold] = folds("time", {
    ...data,
    messages: [...data.messages, late],
    events: [...data.events, first],
  });
  const newest = [...fold!.train.messages, ...fold!.train.events].map(({ timestamp }) => timestamp).sort().at(
    -1,
  )!;
  assert.ok(newest < moment, newest);
  assert.deepEqual(fold!.query_messages, []);
  // u1 did nothing on the third day before the next, on which u1 speaks first.
  const later = (row: EngagementEvent) => row.user_id === "u1" && row.timestamp >= at(3);
  const events = data.events.map((row) => later(row) ? { ...row, timestamp: at(4, 2) } : row);
  const speaks = [late, { ...late, message_id: "after", timestamp: at(4, 3) }].map((row) => ({
    ...row,
    user_id: "u1",
  }));
  const [other] = folds("time", { ...data, messages: [...data.messages, ...speaks], events });
  assert.deepEqual(other!.query_messages.map(({ message_id }) => message_id), ["u1-3-2", "late"]);
  const query = other!.queries.find(({ user_id }) => user_id === "u1")!;
  assert.deepEqual(query.messages.slice(-2), other!.query_messages);
});

Deno.test("splitRows() by time does not query for campaigns that the user named right before", () => {
  const data = dataset();
  const isOdd = ({ user_id }: EngagementEvent) => Number(user_id.slice(1)) % 2 === 1;
  const events = data.events.map((row) =>
    row.timestamp >= at(3) && isOdd(row) ? { ...row, timestamp: at(4) } : row
  );
  const askedFor = (named: (text: string) => string[]) =>
    [...splitRows({ ...data, events }, "time", { ...options, named })][0]!.queries.map(({ user_id }) =>
      user_id
    );
  assert.equal(askedFor(() => []).length, 20);
  const left = askedFor(() => ["c0", "c1", "c2", "c3", "c4", "c5"]);
  assert.equal(left.length, 10);
  assert.ok(left.every((user_id) => Number(user_id.slice(1)) % 2 === 0));
});

Deno.test("splitRows() by last choice hides what a user said and did from then on, and only that", () => {
  const [fold] = folds("last");
  const own = fold!.train.messages.filter(({ user_id }) => user_id === "u0").map(({ message_id }) =>
    message_id
  );
  assert.ok(own.includes("u0-2-2") && own.includes("u0-3-0") && !own.includes("u0-3-2"));
});

for (const split of ["last", "users"] as const) {
  Deno.test(`splitRows() by ${split} hides all events of the conversation that led to a hidden choice, and those before it not`, () => {
    const [fold] = folds(split);
    assert.ok(fold!.queries.length > 0);
    for (const { user_id, events, relevant } of fold!.queries) {
      const days = new Set(events.map(({ conversation_id }) => conversation_id));
      assert.deepEqual([...days], [`${user_id}-1`, `${user_id}-2`]);
      assert.equal(events.filter(({ type }) => type === "impression").length, 2);
      assert.equal(relevant.size, 1);
    }
  });
}

Deno.test("every baseline ranks each campaign that the query does not know once, the better ones first", async () => {
  for (const [name, baseline] of Object.entries(BASELINES)) {
    for (const { train, queries } of folds("rows")) {
      const rank = await baseline(train);
      for (const query of queries.slice(0, 3)) {
        const ranking = rank(query, 25);
        assert.equal(new Set(ranking).size, ranking.length, name);
        const chosen = query.events.filter(({ type }) => type === "conversion");
        const known = new Set(chosen.map(({ campaign_id }) => campaign_id));
        assert.equal(ranking.length, 6 - known.size);
        assert.ok(ranking.every((id) => !known.has(id)), name);
      }
    }
  }
});

Deno.test("EASE and the neighbour baselines find what goes together", async () => {
  const events = Array.from(
    { length: 40 },
    (_, u) =>
      (u % 2 === 0 ? ["c0", "c1"] : ["c2", "c3"]).map((campaign_id, n) =>
        event({ event_id: `e${u}-${n}`, user_id: `u${u}`, campaign_id, type: "conversion" })
      ),
  ).flat();
  const train = {
    messages: [],
    campaigns: [0, 1, 2, 3].map((i) => campaign({ campaign_id: `c${i}` })),
    events,
  };
  const query = {
    user_id: "new",
    person: "new",
    messages: [],
    events: [event({ event_id: "q", user_id: "new", campaign_id: "c2", type: "conversion" })],
    relevant: new Set(["c3"]),
  };
  for (const name of ["item-kNN", "user-kNN", "EASE"]) {
    assert.equal((await BASELINES[name]!(train))(query, 3)[0], "c3", name);
  }
});

Deno.test("baselines use clicks in data without conversions, as the splits do", async () => {
  const { events, ...rest } = dataset();
  const clicks = events.map((row) => row.type === "conversion" ? { ...row, type: "click" as const } : row);
  for (const name of ["popularity", "item-kNN", "user-kNN", "EASE"]) {
    const rankings = async (data: Dataset) => {
      const found: string[][] = [];
      for (const { train, queries } of folds("rows", data)) {
        const rank = await BASELINES[name]!(train);
        for (const query of queries) {
          const chosen = new Set(query.events.map(({ campaign_id }) => campaign_id));
          found.push(rank(query, 6).filter((id) => !chosen.has(id)));
        }
      }
      return found;
    };
    assert.deepEqual(await rankings({ ...rest, events: clicks }), await rankings({ ...rest, events }), name);
  }
});
