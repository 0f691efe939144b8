import assert from "node:assert/strict";
import { parseExperiments } from "../../lib/experiments/experiment_file.ts";
import type { ArmSettings } from "../../lib/experiments/report.ts";
import type { EngagementEvent } from "../../lib/core/types.ts";
import { event } from "../lib/recommend/samples.ts";
import { emptyWorld, type World } from "../lib/recommend/world.ts";
import { pageTest, see } from "./pages.ts";

const STATED = { metric: "click", baseline: 0.2, minimum_effect: 0.3, power: 0.8 };
const armsOf = (...names: string[]) => names.map((id) => ({ id }));
const SETTINGS: ArmSettings = {
  control_share: 0.1,
  experiments: parseExperiments({
    source: "test",
    text: JSON.stringify({
      experiments: [
        { ...STATED, id: "old", ends_at: "2025-02-28", arms: armsOf("today", "best", "worst", "same") },
        {
          ...STATED,
          id: "now",
          starts_at: "2025-03-01",
          ends_at: "2025-03-31",
          arms: armsOf("today", "new"),
        },
        { ...STATED, id: "later", starts_at: "2025-04-01", arms: armsOf("today", "new") },
      ],
    }),
  }),
};
const dashboard = { arms: SETTINGS };

/** So many users of an arm to whom a campaign was shown, and who did more. */
function usersOf(
  arm: string,
  { users, clicked = 0, converted = 0, timestamp }: {
    users: number;
    clicked?: number;
    converted?: number;
    timestamp: string;
  },
) {
  const by = (type: EngagementEvent["type"], count: number) =>
    Array.from({ length: count }, (_, n) => {
      const user_id = `${arm} ${n}`;
      return { ...event(user_id, type, "g1"), event_id: `${type} ${user_id}`, timestamp, arm };
    });
  return [...by("impression", users), ...by("click", clicked), ...by("conversion", converted)];
}

const add = ({ stores }: World, ...all: ReturnType<typeof usersOf>[]) =>
  stores.analytics.upsertEvents({ events: all.flat() });

/** The text of a section, without its marks. */
function sectionOf(html: string, id: string): string {
  const [section = ""] = new RegExp(`<section id="${id}"[\\s\\S]*?</section>`).exec(html) ?? [];
  return section.replaceAll(/<[^>]+>/g, " ").replaceAll(/\s+/g, " ");
}

pageTest(
  "the page has a verdict on each arm, with the users that were planned before",
  async ({ app, world }) => {
    const timestamp = "2025-02-10T00:00:00.000Z";
    await add(
      world,
      usersOf("old/today", { users: 200, clicked: 60, timestamp }),
      usersOf("old/best", { users: 200, clicked: 150, timestamp }),
      usersOf("old/worst", { users: 200, clicked: 10, timestamp }),
      usersOf("old/same", { users: 200, clicked: 62, timestamp }),
      // After the end.
      usersOf("old/same", { users: 210, clicked: 200, timestamp: "2025-03-02T00:00:00.000Z" }).slice(405),
    );
    const { html } = await see(app, "/experiments");
    const old = sectionOf(html, "experiment-old");
    assert.match(old, /ended, until 2025-02-28/);
    assert.match(old, /200 of 83 users of each arm\. best/);
    assert.match(old, /best is better than today by 45\.00 points \(\+\d\d\.\d\d to \+\d\d\.\d\d\)/);
    assert.match(old, /worst is worse than today by 25\.00 points \(−\d\d\.\d\d to −\d+\.\d\d\)/);
    assert.match(
      old,
      /same: no difference shown with the planned users, so it is small: −\d+\.\d\d to \+\d+\.\d\d/,
    );
    assert.match(
      old,
      /By the file as it is now: 83 users of each arm find a difference of 30 points from 20 % who click, with a power of 80 %/,
    );
    assert.match(old, /same 200 200 62 0 31\.00 %/, "what users did after the end does not count");
    assert.match(old, /today 200 200 60 0 30\.00 % 24\.\d\d % – 36\.\d\d % – –/);
    const now = sectionOf(html, "experiment-now");
    assert.match(now, /running, from 2025-03-01, until 2025-03-31/);
    assert.match(now, /0 of \d+ users of each arm so far: no impression with the recommendation_id/);
    assert.match(sectionOf(html, "experiment-later"), /planned, from 2025-04-01.*It has not started/);
    const order = ["later", "now", "old"].map((id) => html.indexOf(`id="experiment-${id}"`));
    assert.deepEqual(order.toSorted((a, b) => a - b), order);
  },
  {},
  dashboard,
  emptyWorld,
);

pageTest(
  "few users show no difference yet",
  async ({ app, world }) => {
    const timestamp = "2025-03-05T00:00:00.000Z";
    await add(
      world,
      usersOf("now/today", { users: 30, clicked: 6, timestamp }),
      usersOf("now/new", { users: 28, clicked: 9, timestamp }),
    );
    const section = async () => sectionOf((await see(app, "/experiments")).html, "experiment-now");
    assert.match(await section(), /28 of \d+ users of each arm so far\. new: no difference shown yet\./);
    assert.doesNotMatch(await section(), /not by chance/);
  },
  {},
  dashboard,
  emptyWorld,
);

pageTest(
  "arms of different sizes are reported",
  async ({ app, world }) => {
    const timestamp = "2025-03-05T00:00:00.000Z";
    await add(
      world,
      usersOf("now/today", { users: 300, clicked: 60, timestamp }),
      usersOf("now/new", { users: 150, clicked: 30, timestamp }),
    );
    assert.match(
      sectionOf((await see(app, "/experiments")).html, "experiment-now"),
      /different numbers of users, and not by chance/,
    );
  },
  {},
  dashboard,
  emptyWorld,
);

pageTest(
  "the uplift is that of users of all other arms over those of the control arm, each counted once, in this quarter",
  async ({ app, world }) => {
    const [before, timestamp] = ["2024-12-31T00:00:00.000Z", "2025-01-02T00:00:00.000Z"];
    const moved = usersOf("now/new", { users: 400, clicked: 200, timestamp })
      .map((each) => ({ ...each, user_id: each.user_id.replace("now/new", "default") }));
    await add(
      world,
      usersOf("control", { users: 200, clicked: 20, converted: 20, timestamp }),
      usersOf("default", { users: 500, clicked: 100, converted: 50, timestamp }),
      moved,
      usersOf("old/today", { users: 500, clicked: 250, converted: 50, timestamp }),
    );
    const early = usersOf("control", { users: 900, clicked: 900, timestamp: before });
    await add(world, early.filter(({ user_id }) => Number(user_id.split(" ")[1]) >= 200));
    const uplift = sectionOf((await see(app, "/experiments")).html, "uplift-of-personal-answers");
    assert.match(uplift, /since 2025-01-01/);
    assert.match(uplift, /More users click \+35\.00 points \+\d+\.\d\d to \+\d+\.\d\d/);
    assert.match(uplift, /More users convert \+0\.00 points −/);
    assert.match(
      uplift,
      /Users of the control arm 200 of [\d,]+ that a difference of 2 points needs if 5 % click/,
    );
    assert.match(uplift, /personal answers 1,000 1,400 550 100 45\.00 %.*control 200 200 20 20 10\.00 %/);
  },
  {},
  dashboard,
  emptyWorld,
);

pageTest("without a control share and experiments the page says how to have them", async ({ app, world }) => {
  const { html } = await see(app, "/experiments");
  assert.match(html, /PARLEY_CONTROL_SHARE=0\.02/);
  assert.match(html, /PARLEY_EXPERIMENTS/);
  await world.stores.analytics.close();
});

pageTest(
  "the page says that analytics does not respond",
  async ({ app, world }) => {
    await world.stores.analytics.close();
    assert.match((await see(app, "/experiments")).html, /The analytics store did not answer/);
  },
  {},
  dashboard,
);

pageTest(
  "GET /experiments has what the page shows, as JSON, to clients that are no browsers",
  async ({ app, world }) => {
    const timestamp = "2025-02-10T00:00:00.000Z";
    await add(
      world,
      usersOf("old/today", { users: 200, clicked: 60, timestamp }),
      usersOf("old/best", { users: 200, clicked: 150, timestamp }),
      usersOf("control", { users: 5, converted: 1, timestamp }),
    );
    const response = await app.request("/experiments");
    assert.equal(response.status, 200);
    const { uplift, experiments } = await response.json();
    assert.deepEqual([uplift.control_share, uplift.control.users, uplift.others.users], [0.1, 5, 400]);
    assert.deepEqual(experiments.map(({ id, state }: Record<string, string>) => [id, state]), [
      ["later", "planned"],
      ["now", "running"],
      ["old", "ended"],
    ]);
    const { arms, planned_users, metric } = experiments[2];
    assert.deepEqual([planned_users, metric], [83, "click"]);
    assert.deepEqual([arms[0].name, arms[0].difference, arms[0].verdict], ["old/today", null, null]);
    assert.deepEqual([arms[1].clicked, arms[1].difference.value, arms[1].verdict], [150, 0.45, "better"]);
  },
  {},
  dashboard,
  emptyWorld,
);

pageTest(
  "GET /experiments is 503 while analytics is down",
  async ({ app, world }) => {
    world.stores.analytics.armEngagement = () => Promise.reject(new Error("down"));
    assert.equal((await app.request("/experiments")).status, 503);
  },
  {},
  dashboard,
);
