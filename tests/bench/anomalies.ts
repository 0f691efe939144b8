/**
 * How often the detector cries wolf over generated histories in which nothing is wrong, and how often it finds what was
 * planted. Every night of each history is judged by the nights before it. Seeded: the figures are the same each time.
 *
 *     deno task bench anomalies
 */
import { FAULTS } from "../fixtures/quality_faults.ts";
import { detected, judge, until, worlds } from "../fixtures/quality_rates.ts";

const WORLDS = 200;
const NIGHTS = 84;
const clean = worlds(WORLDS, NIGHTS);
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

async function falseAlarms(from: number, to: number): Promise<void> {
  const codes = new Map<string, number>();
  let judged = 0, alarmed = 0;
  for (const world of clean) {
    for (let n = from; n < to; n++) {
      const found = await judge(until(world, n));
      judged++;
      if (found.length > 0) alarmed++;
      for (const { code } of found) codes.set(code, (codes.get(code) ?? 0) + 1);
    }
  }
  const by = [...codes].map(([code, count]) => `${code} ${percent(count / judged)}`).join(", ");
  console.log(`nights ${from} to ${to - 1}, clean: ${percent(alarmed / judged)} with any alarm (${by})`);
}

console.log(`${WORLDS} worlds of ${NIGHTS} nights, five tasks each`);
await falseAlarms(8, 21);
await falseAlarms(21, 42);
await falseAlarms(42, NIGHTS);
for (const fault of FAULTS) {
  const shares = await Promise.all([10, 20, NIGHTS - 1].map((n) => detected(clean, fault, n)));
  console.log(
    `${fault.name}: found in ${shares.map(percent).join(", ")} after 10, 20 and ${NIGHTS - 1} nights`,
  );
}
