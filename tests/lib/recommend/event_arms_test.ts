import assert from "node:assert/strict";
import { EventArms } from "../../../lib/recommend/event_arms.ts";
import { IdSigner } from "../../../lib/recommend/recommendation_id.ts";
import { ShownCampaigns } from "../../../lib/recommend/shown_campaigns.ts";
import { event } from "./samples.ts";

const SECRET = new Uint8Array(32).fill(7);

function idOf(options: { user_id: string | null; arm: string; secret?: Uint8Array }): string {
  const { user_id, arm, secret = SECRET } = options;
  const facts = { version: 1, strategy: "personal", seed: 1, generated_at: 0, k: 1, offset: 0 } as const;
  return new IdSigner(secret).sign({ ...facts, arm, user_id, shown: new ShownCampaigns(1) });
}
const clicked = (user_id: string, recommendation_id: string | null) => ({
  ...event(user_id, "click", "g1"),
  recommendation_id,
});

Deno.test("EventArms.assign() gives events the arm that their id was signed with, for their user alone", async () => {
  const [ann, bob] = ["ann", "bob"].map((user_id) => idOf({ user_id, arm: `x/${user_id}` })) as [
    string,
    string,
  ];
  const [facts, ...rest] = ann.split(".");
  const other = { ...JSON.parse(atob(facts!)), a: "x/b" };
  const forged = [btoa(JSON.stringify(other)).replaceAll("=", ""), ...rest].join(".");
  const events = [
    clicked("ann", ann),
    clicked("bob", ann),
    clicked("bob", bob),
    clicked("ann", forged),
    clicked("ann", idOf({ user_id: "ann", arm: "x/b", secret: new Uint8Array(32) })),
    clicked("ann", idOf({ user_id: null, arm: "default" })),
    clicked("ann", "of another system"),
    clicked("ann", null),
    clicked("ann", ann),
  ];
  const assigned = await new EventArms(() => Promise.resolve(SECRET)).assign(events);
  const arms = assigned.map(({ arm }) => arm ?? null);
  assert.deepEqual(arms, ["x/ann", null, "x/bob", null, null, null, null, null, "x/ann"]);
  assert.deepEqual(assigned.map(({ arm: _, ...rest }) => rest), events);
});

Deno.test("EventArms.assign() needs the secret for events with ids alone, and asks for it again after a failure", async () => {
  let fails = true;
  const arms = new EventArms(() => fails ? Promise.reject(new Error("down")) : Promise.resolve(SECRET));
  assert.equal((await arms.assign([clicked("ann", null)])).length, 1);
  const withId = [clicked("ann", idOf({ user_id: "ann", arm: "control" }))];
  await assert.rejects(arms.assign(withId), /down/);
  fails = false;
  assert.equal((await arms.assign(withId))[0]!.arm, "control");
});
