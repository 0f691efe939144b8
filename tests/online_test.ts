import assert from "node:assert/strict";
import { listen } from "../commands/serve.ts";
import { allowUser } from "../lib/privacy/allow_user.ts";
import type { Json } from "../lib/core/types.ts";
import {
  digests,
  type Flow,
  flowTemplate,
  nightlyRun,
  runDag,
  vectorsOf,
  withFlow,
  writeRows,
} from "./fixtures/flow.ts";

const ENV = {
  PARLEY_ALLOW_TEST_EMBEDDER: "1",
  PARLEY_PORT: "0",
  PARLEY_LOG: "off",
  PARLEY_ANSWER_MS: "10000",
};
const NOW = Date.now();
const at = (minutes_ago: number) => new Date(NOW - minutes_ago * 60_000).toISOString();

const CAMPAIGNS = ["boots", "tent", "stove", "map", "rope"].map((thing) => ({
  campaign_id: thing,
  title: `A ${thing} for the mountains`,
  intents: [`buy_${thing}`],
}));
const MESSAGES = ["ada", "bob", "cy", "dan"].map((user_id, n) => ({
  user_id,
  message: `I am looking for a ${CAMPAIGNS[n]!.campaign_id}`,
  timestamp: at(600 + n),
}));
const EVENTS = MESSAGES.map(({ user_id }, n) => ({
  user_id,
  campaign_id: CAMPAIGNS[n]!.campaign_id,
  type: "click",
  timestamp: at(590 + n),
}));
const input = (flow: Flow) => ({
  messages: [writeRows(flow, "messages.ndjson", MESSAGES)],
  campaigns: [writeRows(flow, "campaigns.ndjson", CAMPAIGNS)],
  events: [writeRows(flow, "events.ndjson", EVENTS)],
});
const published = flowTemplate(async (flow) => {
  assert.equal((await nightlyRun(flow, input(flow))).outcome, "success");
}, ENV);

/** One API over the stores of a flow, with handles of its own. */
interface Replica {
  send(method: string, path: string, body?: Json): Promise<{ status: number; body: Answered }>;
  /** The ids of the answer for a user. */
  ids(user_id: string): Promise<string[]>;
}
// deno-lint-ignore no-explicit-any -- tests look at whatever is answered
type Answered = any;

async function withReplicas(flow: Flow, body: (one: Replica, two: Replica) => Promise<void>): Promise<void> {
  const open = async () => {
    const api = await listen(flow.config);
    await api.value.ready;
    return api;
  };
  const apis = [await open(), await open()];
  try {
    const [one, two] = apis.map(({ value: { url } }) => replicaAt(url));
    await body(one!, two!);
  } finally {
    for (const api of apis) await api.close();
  }
}

function replicaAt(url: string): Replica {
  const send: Replica["send"] = async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      ...body !== undefined && { body: JSON.stringify(body) },
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("ndjson") === false;
    return { status: response.status, body: isJson ? JSON.parse(text) : text };
  };
  const ids = async (user_id: string) =>
    (await send("GET", `/recommendations/${user_id}`)).body.items.map((item: Answered) => item.campaign_id);
  return { send, ids };
}

/** Asks until the answer holds, for some seconds at most. */
async function eventually(holds: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!await holds()) {
    assert.ok(Date.now() < deadline, `${what} within 20 s`);
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

Deno.test("a posted message is in the user's next answer on each replica, and sending it again changes nothing", () =>
  published((flow) =>
    withReplicas(flow, async (one, two) => {
      const message = { user_id: "new", message: "I am looking for a tent", timestamp: at(1) };
      assert.equal((await two.send("GET", "/recommendations/new")).body.strategy, "popular");
      const first = await one.send("POST", "/messages", message);
      assert.equal(first.status, 200);
      const [row] = first.body.rows;
      assert.deepEqual(first.body, {
        inserted: 1,
        changed: 0,
        same: 0,
        rejected: 0,
        rows: [{ status: "inserted", id: row.id }],
      });
      for (const replica of [one, two]) {
        await eventually(
          async () => (await replica.send("GET", "/recommendations/new")).body.strategy === "personal",
          "a personal answer",
        );
        assert.equal((await replica.ids("new"))[0], "tent");
      }
      const again = await one.send("POST", "/messages", [message]);
      assert.deepEqual(again.body.rows, [{ status: "same", id: row.id }]);
    })
  ));

Deno.test("what a user does not want is not in the next answer on each replica, and back when the user asks for it", () =>
  published((flow) =>
    withReplicas(flow, async (one, two) => {
      const say = async (message: string, minutes_ago: number) => {
        const row = { user_id: "new", message, timestamp: at(minutes_ago) };
        assert.equal((await one.send("POST", "/messages", row)).body.inserted, 1);
      };
      const shows = async (has: boolean) => {
        const { items, degraded } = (await one.send("GET", "/recommendations/new")).body;
        assert.equal(
          items.some((item: Answered) => item.campaign_id === "tent"),
          has,
          "at once where it was written",
        );
        assert.deepEqual(degraded, []);
        for (const replica of [one, two]) {
          const held = async () => (await replica.ids("new")).includes("tent") === has;
          await eventually(held, `a tent ${has ? "" : "not "}shown`);
        }
      };
      await say("I am looking for a rope", 4);
      await shows(true);
      await say("Anything but a tent for the mountains", 3);
      await shows(false);
      const { vetoes } = (await two.send("GET", "/recommendations/new")).body;
      assert.deepEqual(vetoes, [{ of: "campaign", name: "tent", until: at(3 - 30) }]);
      await say("I changed my mind, show me a tent for the mountains", 2);
      await shows(true);
    })
  ));

Deno.test("rows of a request that are not valid are reported and quarantined, and cost the others nothing", () =>
  published((flow) =>
    withReplicas(flow, async (one) => {
      const good = { user_id: "eve", campaign_id: "map", type: "click", timestamp: at(2) };
      const { status, body } = await one.send("POST", "/events", [
        good,
        { ...good, type: "liked" },
        good,
        "secret words",
        { ...good, event_id: "e1" },
        { ...good, event_id: "e1", campaign_id: "tent" },
        { ...good, timestamp: "yesterday" },
      ]);
      assert.equal(status, 200);
      assert.deepEqual([body.inserted, body.same, body.rejected], [2, 1, 4]);
      assert.deepEqual(body.rows.map(({ status, pointer }: Answered) => pointer ?? status), [
        "inserted",
        "/1/type",
        "same",
        "/3",
        "inserted",
        "/5",
        "/6/timestamp",
      ]);
      assert.ok(!JSON.stringify(body).includes("secret"));
      const refused = await flow.services.documents.quarantined({ run_id: "online", limit: 10, offset: 0 });
      assert.deepEqual(refused.map(({ kind, position }) => [kind, position]), [
        ["events", 2],
        ["events", 4],
        ["events", 6],
        ["events", 7],
      ]);
      const none = await one.send("POST", "/events", [{ ...good, type: "liked" }]);
      assert.equal(none.status, 400);
      assert.match(none.body.detail, /^type must be one of .* \(at \/0\/type\)$/);
      for (const [body, detail] of [[[], /1 to 1000 rows/], ["x", /no object|not a JSON object/]] as const) {
        const { status, body: problem } = await one.send("POST", "/messages", body as Json);
        assert.equal(status, 400);
        assert.match(problem.detail, detail);
      }
    })
  ));

Deno.test("a dismissal and a conversion leave the next answer at once, on each replica", () =>
  published((flow) =>
    withReplicas(flow, async (one, two) => {
      assert.ok((await two.ids("bob")).includes("tent"));
      for (const [type, campaign_id] of [["dismissal", "tent"], ["conversion", "boots"]] as const) {
        const event = { user_id: "bob", campaign_id, type, timestamp: at(1) };
        assert.equal((await one.send("POST", "/events", event)).status, 200);
        for (const replica of [two, one]) assert.ok(!(await replica.ids("bob")).includes(campaign_id));
      }
    })
  ));

Deno.test("a posted campaign is found by what it says, a change of it shows, and a deleted one is nowhere", () =>
  published((flow) =>
    withReplicas(flow, async (one, two) => {
      const asks = { user_id: "fay", message: "crampons with twelve points", timestamp: at(1) };
      await one.send("POST", "/messages", asks);
      const campaign = { campaign_id: "crampons", title: "crampons with twelve points" };
      assert.equal((await one.send("POST", "/campaigns", campaign)).body.inserted, 1);
      await eventually(async () => {
        const { items } = (await two.send("GET", "/recommendations/fay")).body;
        const found = items.find((item: Answered) => item.campaign_id === "crampons");
        return found?.reasons.some(({ code, facts }: Answered) => code === "similarity" && facts.rank === 1);
      }, "the new campaign as the nearest");
      const paused = await one.send("PATCH", "/campaigns/crampons", { status: "paused" });
      assert.equal(paused.body.status, "paused");
      assert.ok(!(await two.ids("fay")).includes("crampons"));
      await one.send("PATCH", "/campaigns/crampons", { status: null, category: "ice" });
      const { body } = await two.send("GET", "/recommendations/fay");
      assert.equal(body.items.find((item: Answered) => item.campaign_id === "crampons").category, "ice");
      assert.equal((await one.send("PATCH", "/campaigns/crampons", { title: "" })).status, 400);
      assert.equal((await one.send("PATCH", "/campaigns/none", { title: "x" })).status, 404);
      for (
        const [body, detail] of [[{ staus: "paused" }, "unknown field: staus"], [
          [],
          "the body must be a JSON object",
        ]] as const
      ) {
        const refused = await one.send("PATCH", "/campaigns/crampons", body);
        assert.deepEqual([refused.status, refused.body.detail], [400, detail]);
      }
      assert.equal((await one.send("PATCH", "/campaigns/crampons", { campaign_id: "other" })).status, 400);
      for (const campaign_id of ["crampons", "tent"]) {
        assert.equal((await one.send("DELETE", `/campaigns/${campaign_id}`)).status, 204);
        for (const user_id of ["fay", "bob", "unknown"]) {
          assert.ok(!(await two.ids(user_id)).includes(campaign_id), user_id);
        }
        assert.equal((await one.send("DELETE", `/campaigns/${campaign_id}`)).status, 404);
      }
      const store = await vectorsOf(flow.services);
      assert.equal((await store.hashes({ collection: "campaigns", ids: ["crampons", "tent"] })).size, 0);
    })
  ));

Deno.test("a message that moves to another user counts for that one only", () =>
  published((flow) =>
    withReplicas(flow, async (one, two) => {
      const strategy = async (user_id: string) =>
        (await two.send("GET", `/recommendations/${user_id}`)).body.strategy;
      const message = { message_id: "m", user_id: "hal", message: "a stove", timestamp: at(1) };
      await one.send("POST", "/messages", message);
      await eventually(async () => await strategy("hal") === "personal", "a personal answer");
      await one.send("POST", "/messages", { ...message, user_id: "ivy" });
      await eventually(async () => await strategy("ivy") === "personal", "a personal answer");
      await eventually(async () => await strategy("hal") === "popular", "no personal answer");
    })
  ));

Deno.test("changes of a campaign at the same time are all in it, and none brings a deleted one back", () =>
  published((flow) =>
    withReplicas(flow, async (one, two) => {
      const stored = async () => (await flow.services.analytics.campaigns({ campaign_ids: ["rope"] }))[0];
      const fields = ["a", "b", "c", "d", "e", "f", "g", "h"];
      const change = (field: string, n: number) =>
        [one, two][n % 2]!.send("PATCH", "/campaigns/rope", { metadata: { [field]: n } });
      await Promise.all(fields.map(change));
      assert.deepEqual(Object.keys((await stored())?.metadata ?? {}).sort(), fields);
      const [deleted] = await Promise.all([
        one.send("DELETE", "/campaigns/rope"),
        ...fields.map(change),
      ]);
      assert.equal(deleted!.status, 204);
      assert.equal(await stored(), undefined);
      // What is derived of it after the deletion is removed again.
      const store = await vectorsOf(flow.services);
      await eventually(
        async () => (await store.hashes({ collection: "campaigns", ids: ["rope"] })).size === 0,
        "no vector",
      );
    })
  ));

Deno.test("what was posted is what a nightly run over the same rows makes", () =>
  withFlow(async (flow) => {
    const first = { messages: MESSAGES.slice(0, 2), events: EVENTS.slice(0, 2) };
    await nightlyRun(flow, {
      messages: [writeRows(flow, "messages.ndjson", first.messages)],
      campaigns: [writeRows(flow, "campaigns.ndjson", CAMPAIGNS.slice(0, 4))],
      events: [writeRows(flow, "events.ndjson", first.events)],
    });
    await withReplicas(flow, async (one, two) => {
      await one.send("POST", "/messages", MESSAGES.slice(2));
      await two.send("POST", "/events", EVENTS.slice(2));
      await one.send("POST", "/campaigns", CAMPAIGNS.slice(4));
    });
    await withFlow(async (undisturbed) => {
      await nightlyRun(undisturbed, input(undisturbed));
      assert.deepEqual(await digests(flow), await digests(undisturbed));
    });
    // The users are still dirty: the next run publishes what was posted.
    assert.equal((await nightlyRun(flow, {})).outcome, "success");
    assert.equal((await flow.services.analytics.published())?.version, 2);
  }, ENV));

Deno.test("what was posted before anything is published is part of the first version", () =>
  withFlow(async (flow) => {
    await withReplicas(flow, async (one, two) => {
      await one.send("POST", "/campaigns", CAMPAIGNS.slice(3));
      await one.send("POST", "/messages", MESSAGES[0]!);
      const campaigns = [writeRows(flow, "campaigns.ndjson", CAMPAIGNS.slice(0, 3))];
      assert.equal((await nightlyRun(flow, { campaigns })).outcome, "success");
      const store = await vectorsOf(flow.services);
      const ids = CAMPAIGNS.map(({ campaign_id }) => campaign_id);
      assert.equal((await store.hashes({ collection: "campaigns", ids })).size, CAMPAIGNS.length);
      await eventually(
        async () => (await two.send("GET", "/recommendations/ada")).body.items?.[0].campaign_id === "boots",
        "the answer for who wrote",
      );
    });
  }, ENV));

Deno.test("rows posted while a run works are not lost, whatever the run derives meanwhile", () =>
  published(async (flow) => {
    const more = Array.from({ length: 300 }, (_, n) => ({
      user_id: `user-${n % 40}`,
      message: `I would like a rope of ${n} metres`,
      timestamp: at(500 - n),
    }));
    const posted = Array.from({ length: 40 }, (_, n) => ({
      user_id: `user-${n}`,
      message: `a map of region ${n}, rather`,
      timestamp: at(100 - n),
    }));
    await withReplicas(flow, async (one, two) => {
      const run = nightlyRun(flow, { messages: [writeRows(flow, "more.ndjson", more)] });
      for (const [n, message] of posted.entries()) {
        const { status } = await (n % 2 === 0 ? one : two).send("POST", "/messages", message);
        assert.equal(status, 200);
      }
      assert.equal((await run).outcome, "success");
    });
    await withFlow(async (undisturbed) => {
      const messages = [...MESSAGES, ...more, ...posted];
      await nightlyRun(undisturbed, {
        ...input(undisturbed),
        messages: [writeRows(undisturbed, "all.ndjson", messages)],
      });
      assert.deepEqual(await digests(flow), await digests(undisturbed));
    });
  }));

Deno.test("a write needs the scope write, JSON or NDJSON, and a bounded body", () =>
  published(async (flow) => {
    const keys = { PARLEY_API_KEYS: "read:reader-key-of-24-characters,write:writer-key-of-24-characters" };
    await withFlow(async ({ config }) => {
      const api = await listen({ ...flow.config, keys: config.keys });
      const post = (path: string, key: string, type: string, body: string) =>
        fetch(api.value.url + path, {
          method: "POST",
          headers: { authorization: `Bearer ${key}`, "content-type": type },
          body,
        });
      const rows = MESSAGES.slice(0, 2).map((row) => JSON.stringify(row)).join("\n");
      const [reader, writer] = ["reader-key-of-24-characters", "writer-key-of-24-characters"];
      const responses = [
        await post("/messages", reader, "application/x-ndjson", rows),
        await post("/messages", writer, "application/x-ndjson", `${rows}\nnot json\n`),
        await post("/messages", writer, "text/plain", rows),
        await post("/messages", writer, "application/json", `[${"[],".repeat(1_000)}[]]`),
        await post("/messages", writer, "application/json", `"${"x".repeat(9_000_000)}"`),
      ];
      assert.deepEqual(responses.map(({ status }) => status), [403, 200, 415, 400, 413]);
      const [, { same, rejected }] = await Promise.all(responses.map((response) => response.json()));
      assert.deepEqual([same, rejected], [2, 1]);
      await api.value.ready;
      await api.close();
    }, { ...ENV, ...keys });
  }));

Deno.test("an erased user is gone from each replica, refused in later writes, and back once allowed", () =>
  published((flow) =>
    withReplicas(flow, async (one, two) => {
      const { analytics, documents } = flow.services;
      for (const replica of [one, two]) {
        assert.equal((await replica.send("GET", "/recommendations/ada")).body.strategy, "personal");
      }
      const erasure = await one.send("DELETE", "/users/ada");
      assert.deepEqual([erasure.status, erasure.body.erased.messages, erasure.body.erased.events], [
        202,
        1,
        1,
      ]);
      for (const replica of [one, two]) {
        const { strategy, items } = (await replica.send("GET", "/recommendations/ada")).body;
        assert.equal(strategy, "popular");
        for (const { sources, fatigue } of items) assert.deepEqual([sources.mention, fatigue], [0, 0]);
      }
      const message = { user_id: "ada", message: "I am looking for a rope", timestamp: at(1) };
      const rows = [message, { ...message, user_id: "bob" }, { user_id: "ada", message: "no time" }];
      const { body } = await two.send("POST", "/messages", rows);
      assert.deepEqual([body.inserted, body.rejected], [1, 2]);
      assert.deepEqual(body.rows[0], {
        status: "rejected",
        reason: "the user is erased",
        pointer: "/0/user_id",
      });
      const event = { user_id: "ada", campaign_id: "map", type: "click", timestamp: at(1) };
      assert.equal((await one.send("POST", "/events", event)).status, 400);
      assert.deepEqual(await documents.page({ after: null, limit: 9, user_ids: ["ada"] }), []);
      assert.deepEqual(await analytics.eventPage({ user_id: "ada", after: null, limit: 9 }), []);
      assert.deepEqual(await documents.quarantined({ limit: 9, offset: 0 }), []);
      assert.equal((await runDag(flow, "erase", {})).outcome, "success");
      const [held, end] = await fetchLines(one, "/users/ada");
      assert.deepEqual([held, end], [
        { store: "analytics", kind: "preferences", row: { personalisation: true } },
        { end: 1 },
      ]);
      await allowUser({ stores: flow.services, user_id: "ada", log: () => {} });
      assert.equal((await two.send("POST", "/messages", message)).body.inserted, 1);
      const isKnown = async () =>
        (await one.send("GET", "/recommendations/ada")).body.strategy === "personal";
      await eventually(isKnown, "an answer for what was said again");
    })
  ));

Deno.test("a user who opts out gets popular answers from each replica, also after further writes", () =>
  published((flow) =>
    withReplicas(flow, async (one, two) => {
      const put = (personalisation: boolean) =>
        one.send("PUT", "/users/bob/preferences", { personalisation });
      assert.equal((await put(false)).status, 200);
      const strategies = async () =>
        await Promise.all(
          [one, two].map(async (replica) =>
            (await replica.send("GET", "/recommendations/bob")).body.strategy
          ),
        );
      assert.deepEqual(await strategies(), ["popular", "popular"]);
      const message = { user_id: "bob", message: "I am looking for a rope", timestamp: at(1) };
      const epoch = async () => (await flow.services.analytics.epochs({ user_id: "bob" })).user;
      const before = await epoch();
      assert.equal((await two.send("POST", "/messages", message)).body.inserted, 1);
      await eventually(async () => await epoch() > before, "the user is derived");
      assert.deepEqual(await strategies(), ["popular", "popular"]);
      await put(true);
      await one.send("POST", "/messages", { ...message, timestamp: at(0) });
      await eventually(
        async () => (await strategies()).every((each) => each === "personal"),
        "personal again",
      );
    })
  ));

Deno.test("events of answers count for the user's arm, whether they are posted or in a file, and those with another user's id do not", () =>
  published(async (original) => {
    const flow = { ...original, config: { ...original.config, control_share: 0.5 } };
    const events: Json[] = [];
    const users = new Map<string, string>();
    await withReplicas(flow, async (one, two) => {
      for (const [replica, other] of [[one, two], [two, one]] as const) {
        for (const user_id of ["ada", "bob", "cy", "dan"]) {
          const { arm, recommendation_id, items } =
            (await replica.send("GET", `/recommendations/${user_id}`)).body;
          assert.equal(users.get(user_id) ?? arm, arm, "both replicas have the user in one arm");
          users.set(user_id, arm);
          const shown = { user_id, campaign_id: items[0].campaign_id, recommendation_id };
          const impression = { ...shown, type: "impression", timestamp: at(1) };
          assert.equal((await other.send("POST", "/events", [impression])).status, 200);
          events.push({ ...shown, type: "conversion", timestamp: at(0) });
          events.push({ ...shown, user_id: `not ${user_id}`, type: "impression", timestamp: at(0) });
        }
      }
    });
    await nightlyRun(flow, { events: [writeRows(flow, "answered.ndjson", events)] });
    const counted = async (arm: string) => {
      const span = { since: at(60), until: at(-60) };
      const { users, converted } = await flow.services.analytics.armEngagement({ arms: [arm], ...span });
      return [users, converted];
    };
    const expected = (arm: string) => {
      const { length } = [...users.values()].filter((each) => each === arm);
      return [length, length];
    };
    assert.deepEqual(new Set(users.values()), new Set(["control", "default"]));
    assert.deepEqual(
      [await counted("control"), await counted("default")],
      ["control", "default"].map(expected),
    );
  }));

async function fetchLines({ send }: Replica, path: string): Promise<Answered[]> {
  const { body } = await send("GET", path);
  return body.trimEnd().split("\n").map((line: string) => JSON.parse(line));
}
