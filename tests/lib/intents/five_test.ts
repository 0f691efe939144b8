import assert from "node:assert/strict";
import { openEmbedder } from "../../../lib/embed/open.ts";
import { classify } from "../../../lib/intents/classifier.ts";
import type { Example } from "../../../lib/intents/folds.ts";
import { fit } from "../../../lib/intents/fit.ts";
import { BGE } from "../../fixtures/models.ts";
import { BICYCLES, LIBRARY, type Small, SMALL_TALK, TENANTS } from "./five.ts";

/** The vectors of a small catalogue, of what is said that belongs to it, and of small talk. */
async function vectorsOf({ intents }: Small) {
  const embedder = await openEmbedder({ url: `onnx:${BGE}`, sessions: 1 });
  const embedded = async (texts: readonly string[], intent: string): Promise<Example[]> =>
    (await embedder.embed({ texts })).map((vector, n) => ({ intent, key: texts[n]!, vector }));
  const each = (texts: (one: Small["intents"][number]) => readonly string[]) =>
    Promise.all(intents.map((one) => embedded(texts(one), one.intent))).then((lists) => lists.flat());
  try {
    return {
      examples: await each(({ examples }) => examples),
      said: await each(({ said }) => said),
      talk: await embedded(SMALL_TALK, "none"),
    };
  } finally {
    await embedder.close();
  }
}

for (const small of [BICYCLES, LIBRARY, TENANTS]) {
  Deno.test(`fit() separates texts in scope from small talk with five examples per intent: ${small.name}`, async () => {
    const { examples, said, talk } = await vectorsOf(small);
    const fitted = await fit({ examples });
    const verdicts = said.map(({ intent, vector }) => ({ truth: intent, ...classify(fitted, vector) }));
    const right = verdicts.filter(({ intent, truth }) => intent === truth).length;
    assert.ok(right >= 0.7 * said.length, `${right} of ${said.length} get their intent`);
    const told = talk.filter(({ vector }) => classify(fitted, vector).intent !== null).map(({ key }) => key);
    assert.ok(told.length <= 0.3 * talk.length, `small talk in scope: ${told.join("; ")}`);
    for (const { intents: [best] } of verdicts) assert.ok(best!.probability < 0.9995, `${best!.probability}`);
    const sure = verdicts.reduce((sum, { intents: [best] }) => sum + best!.probability, 0) / said.length;
    const best = verdicts.filter(({ intents, truth }) => intents[0]!.intent === truth).length / said.length;
    assert.ok(Math.abs(sure - best) < 0.15, `sure of ${sure}, and ${best} are right`);
  });
}
