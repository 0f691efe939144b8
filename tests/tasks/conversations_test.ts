import assert from "node:assert/strict";
import { DeterministicEmbedder } from "../../lib/embed/deterministic_embedder.ts";
import type { Embedder, EmbedOptions } from "../../lib/embed/port.ts";
import type { ManualClock } from "../../lib/core/clock.ts";
import type { EngagementEvent, Message, ModelIdentity } from "../../lib/core/types.ts";
import type { Services } from "../../tasks/services.ts";
import type { DerivedCounts } from "../../lib/derive/derive_users.ts";
import { conversations } from "../../tasks/steps/conversations.ts";
import { contextOf, withInputStores } from "../fixtures/context.ts";
import { event, message, minute } from "../fixtures/rows.ts";

/** An embedder that notes what it reads, and fails before it reads more than `capacity` texts. */
class NotingEmbedder implements Embedder {
  readonly model;
  readonly read: string[] = [];
  capacity = Infinity;
  /** Called before each reading. */
  onRead = () => {};
  constructor(private readonly inner = new DeterministicEmbedder(64)) {
    this.model = inner.model;
  }
  async embed(options: EmbedOptions): Promise<Float32Array[]> {
    if (this.read.length + options.texts.length > this.capacity) throw new Error("killed");
    this.onRead();
    this.read.push(...options.texts);
    return await this.inner.embed({ texts: options.texts });
  }
  close = () => this.inner.close();
}

async function* each(lines: readonly string[]) {
  yield* lines;
}

interface World {
  readonly services: Services;
  readonly embedder: NotingEmbedder;
  write(rows: { messages?: Message[]; events?: EngagementEvent[] }): Promise<void>;
  /** Derives all dirty users in a run of its own. An error of it has what was reported, and the artifact of users. */
  derive(options?: { model?: ModelIdentity }): Promise<{ done: DerivedCounts; log: readonly string[] }>;
  digests(): Promise<string[]>;
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  await withInputStores(async (stores) => {
    const embedder = new NotingEmbedder();
    const services: Services = Object.assign(Object.create(stores.services), {
      embedder: () => Promise.resolve(embedder),
    });
    const { documents, analytics, artifacts, vectors, graph } = services;
    const store = await vectors.forModel({ model: embedder.model });
    let runs = 0;
    await body({
      services,
      embedder,
      async write({ messages = [], events = [] }) {
        await documents.upsert({ messages });
        await analytics.upsertEvents({ events });
      },
      async derive({ model = embedder.model } = {}) {
        const run_id = `run-${runs++}`;
        const all = { after: null, limit: 1_000 };
        const dirty = [...await documents.listDirtyUsers(all), ...await analytics.listDirtyUsers(all)];
        const user_ids = new Set(dirty.map(({ user_id }) => user_id));
        const lines = [...user_ids].map((user_id) => JSON.stringify({ user_id }));
        const name = `${run_id}/graph/touched.ndjson`;
        const touched = await artifacts.writeLines({ name, lines: each(lines) });
        const { context, reported } = contextOf({ services, run_id });
        const store = await vectors.forModel({ model });
        const done = await conversations(context, store, touched).catch((error) => {
          throw Object.assign(error, { reported, touched });
        });
        return { done, log: reported.log };
      },
      digests: async () => [await store.digest(), await graph.digest()],
    });
  });
}

const said = (user_id: string, at: number, text: string, more: Partial<Message> = {}) =>
  message({
    message_id: `${user_id}-${at}`,
    user_id,
    message: text,
    timestamp: minute(at),
    conversation_id: null,
    ...more,
  });
const took = (user_id: string, at: number, campaign_id: string, more: Partial<EngagementEvent> = {}) =>
  event({
    event_id: `${user_id}-${at}-${campaign_id}`,
    user_id,
    timestamp: minute(at),
    campaign_id,
    ...more,
  });

const ADA = {
  messages: [said("ada", 0, "boots for ice"), said("ada", 5, "thank you"), said("ada", 500, "a tent")],
  events: [took("ada", 3, "boots"), took("ada", 4, "poles", { type: "dismissal" })],
};

const vectorsOf = async ({ services, embedder }: World) =>
  await services.vectors.forModel({ model: embedder.model });

Deno.test("conversations() writes the conversations of each dirty user, and the engagement that they led to", () =>
  withWorld(async (world) => {
    const { services: { graph }, embedder } = world;
    await world.write(ADA);
    const { done } = await world.derive();
    assert.deepEqual([done.users, done.conversations, done.edges], [1, 1, 4]);
    const store = await vectorsOf(world);
    assert.deepEqual(await store.counts(), { messages: 3, profiles: 1, conversations: 1, campaigns: 0 });
    const [opening, whole, profile] = await embedder.embed({
      texts: ["boots for ice", "boots for ice\nthank you", "a tent\nthank you\nboots for ice"],
    });
    assert.deepEqual((await store.get({ collection: "profiles", ids: ["ada"] })).get("ada"), profile);
    await store.build({ version: 1 });
    const [hit] = await store.search({ collection: "conversations", version: 1, vector: opening!, k: 5 });
    const sum = opening!.map((x, at) => x + whole![at]!);
    assert.ok(
      Math.abs(hit!.score - 1 / Math.hypot(...sum) * sum.reduce((dot, x, at) => dot + x * opening![at]!, 0)) <
        1e-5,
    );
    const led = await graph.engagedIn({ conversation_ids: [hit!.id] });
    assert.deepEqual(led.map((row) => [row.user_id, row.campaign_id, row.clicks, row.dismissals]), [
      ["ada", "boots", 1, 0],
      ["ada", "poles", 0, 1],
    ]);
  }));

Deno.test("conversations() done again embeds nothing and changes nothing", () =>
  withWorld(async (world) => {
    await world.write(ADA);
    await world.derive();
    const [before, read] = [await world.digests(), world.embedder.read.length];
    await world.services.documents.markAllDirty();
    const { done } = await world.derive();
    assert.equal(done.users, 1);
    assert.deepEqual([done.embedded, done.reused], [0, 2]);
    assert.equal(world.embedder.read.length, read);
    assert.deepEqual(await world.digests(), before);
  }));

Deno.test("conversations() embeds a text once, and none that a message has a vector of", () =>
  withWorld(async (world) => {
    const { embedder } = world;
    const [vector] = await embedder.embed({ texts: ["a tent"] });
    const rest = { user_id: "x", role: "user", timestamp: minute(0) } as const;
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("a tent")));
    const row = { ...rest, id: "m", content_hash: hash.toHex(), vector: vector! };
    await (await vectorsOf(world)).upsert({ collection: "messages", rows: [row] });
    embedder.read.length = 0;
    const users = ["ada", "bob", "cy"];
    await world.write({
      messages: users.flatMap((user) => [said(user, 0, user === "cy" ? "a tent" : "a stove")]),
      events: users.map((user) => took(user, 1, "k")),
    });
    await world.derive();
    assert.deepEqual(embedder.read, ["a stove"]);
  }));

Deno.test("conversations() removes vanished data: a conversation without engagement, all of a user without messages", () =>
  withWorld(async (world) => {
    const { services: { documents, graph } } = world;
    const bob = { messages: [said("bob", 0, "a map")], events: [took("bob", 1, "map")] };
    await world.write({
      messages: [...ADA.messages, ...bob.messages],
      events: [...ADA.events, ...bob.events],
    });
    await world.derive();
    const store = await vectorsOf(world);
    assert.deepEqual([(await store.counts()).profiles, (await store.counts()).conversations], [2, 2]);
    // What bob said turns out to be ada's, and what ada clicked to be dismissed.
    await world.write({
      messages: [{ ...bob.messages[0]!, user_id: "ada", timestamp: minute(9_000) }],
      events: [{ ...ADA.events[0]!, type: "dismissal" }],
    });
    const { done } = await world.derive();
    assert.equal(done.removed, 3);
    assert.deepEqual([(await store.counts()).profiles, (await store.counts()).conversations], [1, 0]);
    assert.equal((await store.get({ collection: "profiles", ids: ["bob"] })).size, 0);
    assert.equal((await graph.counts()).conversations, 0);
    assert.equal((await documents.counts()).users, 1);
  }));

Deno.test("conversations() derives a user again who wrote meanwhile, and clears the marks of what it derived", () =>
  withWorld(async (world) => {
    await world.write(ADA);
    const dirty = writeWhileEmbedding(world, { times: 1 });
    await world.derive();
    assert.deepEqual(await dirty(), [[], []]);
    const { embedder } = world;
    const [profile] = await embedder.embed({ texts: ["stove 0\na tent\nthank you\nboots for ice"] });
    const store = await vectorsOf(world);
    assert.deepEqual((await store.get({ collection: "profiles", ids: ["ada"] })).get("ada"), profile);
  }));

Deno.test("conversations() leaves a user dirty who writes all the time", () =>
  withWorld(async (world) => {
    await world.write(ADA);
    const dirty = writeWhileEmbedding(world, { times: Infinity });
    await world.derive();
    assert.deepEqual(await dirty(), [["ada"], []]);
  }));

/** Makes ada say something else while her texts are embedded. Returns who is dirty then, in documents and analytics. */
function writeWhileEmbedding({ services, embedder }: World, { times }: { times: number }) {
  const { documents, analytics } = services;
  const embed = embedder.embed.bind(embedder);
  let written = 0;
  embedder.embed = async (options) => {
    if (written < times) {
      await documents.upsert({ messages: [said("ada", 900 + written, `stove ${written}`)] });
      written++;
    }
    return await embed(options);
  };
  const all = { after: null, limit: 10 };
  return async () =>
    [await documents.listDirtyUsers(all), await analytics.listDirtyUsers(all)].map((users) =>
      users.map(({ user_id }) => user_id)
    );
}

Deno.test("conversations() continues where a killed attempt was", () =>
  withWorld(async (world) => {
    const names = Array.from({ length: 180 }, (_, n) => `user-${n}`);
    const rows = {
      messages: names.map((name, n) => said(name, n, `thing ${n} for ${name}`)),
      events: names.map((name, n) => took(name, n + 1, `k${n % 7}`)),
    };
    await world.write(rows);
    const { embedder } = world;
    embedder.capacity = 120;
    // Reading takes so long that each group of users is committed.
    embedder.onRead = () => (world.services.clock as ManualClock).advance(30_000);
    const killed = await world.derive().then(() => null, (error) => error);
    assert.equal(killed.message, "killed");
    assert.equal(killed.reported.checkpoint.users, 100);
    embedder.capacity = Infinity;
    const { checkpoint } = killed.reported;
    const { context, reported } = contextOf({ services: world.services, checkpoint });
    const store = await world.services.vectors.forModel({ model: embedder.model });
    const done = await conversations(context, store, killed.touched);
    assert.deepEqual([done.users, done.conversations, done.embedded], [180, 180, 180]);
    assert.equal(embedder.read.length, 180);
    assert.match(reported.log[0]!, /^continues after 100 of 180 users$/);
    await withWorld(async (calm) => {
      await calm.write(rows);
      await calm.derive();
      assert.deepEqual(await world.digests(), await calm.digests());
    });
  }));

Deno.test("conversations() takes the newest 10,000 messages of a user, and says so", () =>
  withWorld(async (world) => {
    const many = Array.from({ length: 20_100 }, (_, n) => said("bot", n * 60, `beep ${n}`));
    await world.write({ messages: many, events: [10_099, 10_100].map((n) => took("bot", n * 60 + 1, "k")) });
    const { done, log } = await world.derive();
    assert.equal(done.conversations, 1);
    assert.match(log[0]!, /^1 users have more than 10000 messages or events: the newest count$/);
  }));

Deno.test("conversations() takes the newest 10,000 events of a user, and says so", () =>
  withWorld(async (world) => {
    const later = Array.from({ length: 10_000 }, (_, n) => took("bot", 20_000 + n, "k"));
    await world.write({
      messages: [said("bot", 0, "a tent, please")],
      events: [took("bot", 1, "tent"), ...later.slice(1)],
    });
    const { done, log } = await world.derive();
    assert.deepEqual([done.conversations, log.some((line) => /newest/.test(line))], [1, false]);
    await world.write({ events: later });
    const { done: without, log: [first] } = await world.derive();
    assert.equal(without.conversations, 0);
    assert.match(first!, /^1 users have more than 10000 messages or events: the newest count$/);
  }));

Deno.test("conversations() embeds by the model of the run alone, and reports nothing of the text", () =>
  withWorld(async (world) => {
    await world.write(ADA);
    const { log } = await world.derive();
    assert.ok(log.length > 0 && log.every((line) => !/boots|tent|thank/.test(line)));
    await world.services.documents.markAllDirty();
    const model = { ...world.embedder.model, revision: "other" };
    await assert.rejects(
      world.derive({ model }),
      /the model was .* when this run began and is .* now: begin a new run/,
    );
  }));
