import type { Config } from "../lib/config.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { parseModelKey } from "../lib/core/types.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import { discover, type Group } from "../lib/intents/discover.ts";
import { sampleUnlabelled } from "../lib/intents/sample_unlabelled.ts";
import { IntentService } from "../lib/intents/intent_service.ts";
import { openAnalytics, openDocuments, openVectors } from "../lib/stores/open.ts";
import { EXIT } from "./exit.ts";
import { embedderOptions } from "./models.ts";
import { lazy, openAll, readOptions } from "./services.ts";

/** Messages that groups are made of at most. */
const SAMPLE = 4_000;
const BATCH = 500;
/** Examples that a proposed intent shows, and its catalogue entry takes. */
const EXAMPLES = 8;
/** A smaller group is no proposal. */
const MIN_GROUP_SIZE = 3;
/** How many intents are printed per text. */
const TOP = 3;

async function openStores(config: Config) {
  const options = await readOptions(config);
  return await openAll({
    analytics: () => openAnalytics(config.analytics, options),
    documents: () => openDocuments(config.documents, options),
    vectors: () => openVectors(config.vectors, options),
  });
}

/** Classifies the given texts, or one per line of standard input, and prints their intents. */
export async function classifyTexts(
  config: Config,
  args: readonly string[],
  options: { json: boolean },
): Promise<number> {
  const texts = args.length > 0 ? args : await standardInput();
  const stores = await openStores(config);
  const embedder = lazy(() => openEmbedder(embedderOptions(config)));
  try {
    const service = new IntentService({ stores: stores.value, embedder: embedder.open });
    const answer = await service.classify({ texts, top: TOP });
    if (options.json) console.log(JSON.stringify(answer));
    else for (const [n, result] of answer.results.entries()) console.log(lineOf(texts[n]!, result));
    return EXIT.ok;
  } finally {
    await embedder.close();
    await stores.close();
  }
}

async function standardInput(): Promise<string[]> {
  const lines = (await new Response(Deno.stdin.readable).text()).split("\n");
  const texts = lines.map((line) => line.trim()).filter((line) => line !== "");
  if (texts.length > 0) return texts;
  throw new ParleyError(
    "invalid",
    "there is no text to classify: pass texts, or write one per line to standard input",
  );
}

type Classified = Awaited<ReturnType<IntentService["classify"]>>["results"][number];

function lineOf(text: string, { intent, score, intents }: Classified): string {
  const likely = intents.map(({ intent: name, probability }) => `${name} ${probability.toFixed(2)}`).join(
    ", ",
  );
  return `${intent ?? "out of scope"} (${score.toFixed(2)})  ${text}\n    ${likely}`;
}

/**
 * Proposes intents from what users said without one: groups, with their sizes and typical messages, for a person to
 * name. It prints what people said, to the terminal that asked and nowhere else.
 */
export async function discoverIntents(
  config: Config,
  options: { json: boolean; groups?: number },
): Promise<number> {
  const stores = await openStores(config);
  try {
    const { analytics, documents, vectors } = stores.value;
    const published = await analytics.published();
    if (published === null) {
      throw new ParleyError("unavailable", "no data has been published yet: run `deno task pipeline`");
    }
    const sample = await sampleUnlabelled({ documents, size: SAMPLE });
    const store = await vectors.forModel({ model: parseModelKey(published.model) });
    const rows = new Map<string, Float32Array>();
    for (let at = 0; at < sample.length; at += BATCH) {
      const ids = sample.slice(at, at + BATCH).map(({ message_id }) => message_id);
      for (const row of await store.get({ collection: "messages", ids })) rows.set(...row);
    }
    const withVectors = sample.filter(({ message_id }) => rows.has(message_id));
    const maxGroups = Math.floor(withVectors.length / MIN_GROUP_SIZE);
    if (options.groups !== undefined && options.groups > maxGroups) {
      throw new ParleyError(
        "invalid",
        `${options.groups} groups are too many for ${withVectors.length} messages without an intent: with ${MIN_GROUP_SIZE} messages each, ` +
          `there can be at most ${maxGroups}`,
      );
    }
    const groups = discover({
      vectors: withVectors.map(({ message_id }) => rows.get(message_id)!),
      ...options.groups !== undefined && { k: options.groups },
    }).filter(({ members }) => members.length >= MIN_GROUP_SIZE);
    const texts = withVectors.map(({ text }) => text);
    console.log(options.json ? JSON.stringify(skeletonOf(groups, texts), null, 2) : tableOf(groups, texts));
    return EXIT.ok;
  } finally {
    await stores.close();
  }
}

/** A catalogue to be named, thinned out and corrected by a person. */
function skeletonOf(groups: readonly Group[], texts: readonly string[]) {
  return groups.map(({ members }, n) => ({
    intent: `intent_${n + 1}`,
    description: "",
    examples: members.slice(0, EXAMPLES).map((at) => texts[at]!),
  }));
}

function tableOf(groups: readonly Group[], texts: readonly string[]): string {
  const blocks = groups.map(({ members, cohesion }, n) =>
    [
      `intent_${n + 1}: ${members.length} messages, alike to ${cohesion.toFixed(2)}`,
      ...members.slice(0, EXAMPLES).map((at) => `    ${texts[at]!.replace(/\s+/g, " ")}`),
    ].join("\n")
  );
  const summary = `${groups.length} groups from ${texts.length} messages without an intent.`;
  return [...blocks, `${summary} Name them: \`deno task pipeline discover --json > intents.json\`.`].join(
    "\n\n",
  );
}
