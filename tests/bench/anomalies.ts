/**
 * How often the detector cries wolf over generated histories in which nothing is wrong, and how often it finds what was
 * planted. Every night of each history is judged by the nights before it. Seeded: the figures are the same each time.
 *
 *     deno task bench anomalies
 */
import { engagementAnomalies } from "../../lib/quality/engagement.ts";
import { runAnomalies } from "../../lib/quality/history.ts";
import type { Anomaly } from "../../lib/quality/anomaly.ts";
import { DAY_MS } from "../../lib/quality/watched.ts";
import { cleanWorld, DAG, NIGHT, type World } from "../fixtures/quality.ts";
import { FAULTS } from "../fixtures/quality_faults.ts";

const WORLDS = 200;
const NIGHTS = 84;
const worlds = Array.from({ length: WORLDS }, (_, seed) => cleanWorld(seed + 1, NIGHTS));
const percent = (part: number, whole: number) => `${(100 * part / whole).toFixed(2)} %`;

/** What is said of the newest of these nights, and of the newest whole day. */
async function judge({ nights, days }: World): Promise<Anomaly[]> {
  const [newest, ...before] = nights.toReversed();
  const daily = () => Promise.resolve([...days]);
  const now = NIGHT + (nights.length - 1) * DAY_MS + DAY_MS / 2;
  return [...runAnomalies(DAG, newest!, before), ...await engagementAnomalies({ daily }, now)];
}

const until = ({ nights, days }: World, n: number): World => ({
  nights: nights.slice(0, n + 1),
  days: days.slice(0, n + 1),
});

async function falseAlarms(): Promise<void> {
  for (const [from, to] of [[8, 21], [21, 42], [42, NIGHTS]] as const) {
    const codes = new Map<string, number>();
    let judged = 0, alarmed = 0;
    for (const world of worlds) {
      for (let n = from; n < to; n++) {
        const found = await judge(until(world, n));
        judged++;
        if (found.length > 0) alarmed++;
        for (const { code } of found) codes.set(code, (codes.get(code) ?? 0) + 1);
      }
    }
    const by = [...codes].map(([code, count]) => `${code} ${percent(count, judged)}`).join(", ");
    console.log(`clean nights ${from} to ${to - 1}: ${percent(alarmed, judged)} with any alarm (${by})`);
  }
}

async function detection(): Promise<void> {
  for (const { name, code, plant } of FAULTS) {
    const found = await Promise.all([10, 20, 83].map(async (n) => {
      const judged = await Promise.all(worlds.map((world) => judge(plant(until(world, n)))));
      return percent(judged.filter((each) => each.some((one) => one.code === code)).length, WORLDS);
    }));
    console.log(`${name}: found ${found.join(", ")} after 10, 20 and 83 nights`);
  }
}

console.log(`${WORLDS} worlds of ${NIGHTS} nights, five tasks each`);
await falseAlarms();
await detection();
