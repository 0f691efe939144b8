import { KILLS, killsLoseNothing } from "../fixtures/kills.ts";

Deno.test(`${KILLS} kills at any instant lose nothing and do nothing twice`, () => killsLoseNothing());
