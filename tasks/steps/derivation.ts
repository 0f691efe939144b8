import { z } from "../../deps.ts";
import { tryParseJson } from "../../lib/core/json.ts";
import type { Abortable, Published } from "../../lib/core/types.ts";
import type { Services, Settings } from "../services.ts";

/** Raise it when Parley derives more from the same rows, or something else: the next run then derives all users again. */
const FORMAT = 4;
const FILE = "derivation.json";

const DERIVATION = z.object({
  format: z.number(),
  conversation_gap_minutes: z.number(),
  half_life_days: z.number(),
  /** Absent in versions of an earlier Parley. */
  weights: z.enum(["learnt", "fixed"]).default("learnt"),
  model: z.string(),
  embed_long: z.string(),
  missing_campaigns: z.string(),
  /** By which rows of sources were refused; a run without sources leaves it as it was. */
  earliest: z.number(),
});

/** What decides what a data version is derived to from the same rows: the settings, and Parley's own ways by the number `format`. */
export type Derivation = z.infer<typeof DERIVATION>;

/** What a run derives by. `model` is the name of the model that it embeds with, by default the configured one. */
export function currentDerivation(settings: Settings, model = settings.model): Derivation {
  const { conversation_gap_minutes, half_life_days, weights, embed_long, missing_campaigns, earliest } =
    settings;
  return {
    format: FORMAT,
    conversation_gap_minutes,
    half_life_days,
    weights,
    model,
    embed_long,
    missing_campaigns,
    earliest,
  };
}

/** Keeps it as a file of a version that is not published yet. */
export async function saveDerivation(
  { analytics }: Pick<Services, "analytics">,
  { version, derivation, signal }: { version: number; derivation: Derivation } & Abortable,
): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(derivation));
  await analytics.saveFile({ version, name: FILE, bytes, signal });
}

/** How a version was derived; null if unknown, as for a version by an earlier Parley. */
export async function readDerivation(
  { analytics }: Pick<Services, "analytics">,
  { version }: Pick<Published, "version">,
  { signal }: Abortable,
): Promise<Derivation | null> {
  const bytes = await analytics.file({ version, name: FILE, signal });
  if (bytes === null) return null;
  return DERIVATION.safeParse(tryParseJson(new TextDecoder().decode(bytes))).data ?? null;
}

/** What must be derived again as settings are others than the published version was derived by, and why. */
interface SettingsChange {
  /** All users, or only what is derived for the whole. */
  readonly users: boolean;
  readonly reason: string;
}

/** Empty if nothing is published. Does not include the model: vectors of two models are never compared. */
export async function findSettingsChanges(services: Services, options: Abortable): Promise<SettingsChange[]> {
  const published = await services.analytics.published(options);
  if (published === null) return [];
  const before = await readDerivation(services, published, options);
  const now = currentDerivation(services.settings);
  if (before?.format !== now.format) {
    const gone = before === null ? ", or the record of it is gone" : "";
    const reason =
      `what is published was derived by another version of Parley${gone}: all users are derived again`;
    return [{ users: true, reason }];
  }
  const changes: SettingsChange[] = [];
  const compare = (name: keyof Derivation, users: boolean, what: string) => {
    if (before[name] === now[name]) return;
    const reason = `PARLEY_${name.toUpperCase()} was ${before[name]} and is ${now[name]}: ${what}`;
    changes.push({ users, reason });
  };
  compare("conversation_gap_minutes", true, "all users are derived again");
  compare("half_life_days", false, "popularity is derived again");
  compare("weights", false, "the weights of answers are set again");
  // What was ended stays so until its source has it again.
  if (now.missing_campaigns === "end") {
    compare("missing_campaigns", false, "campaigns that have left their source are ended");
  }
  return changes;
}

/**
 * Forgets which sources were read if their rows were checked by another PARLEY_EARLIEST than now: each is read again when a run
 * is next given it. Returns whether that is so.
 */
export async function forgetSourcesForSettings(services: Services, { signal }: Abortable): Promise<boolean> {
  const { analytics, settings: { earliest } } = services;
  const published = await analytics.published({ signal });
  const before = published && await readDerivation(services, published, { signal });
  if (before === null || before.earliest === earliest) return false;
  const uris = (await analytics.sources({ signal })).map(({ uri }) => uri);
  await analytics.forgetSources({ uris, signal });
  return true;
}

/** Marks all users as dirty if they must be derived again for other settings. Both stores list the users. */
export async function markDirtyForSettings(
  services: Services,
  { log, signal }: { log: (line: string) => void } & Abortable,
): Promise<void> {
  const changes = await findSettingsChanges(services, { signal });
  for (const { reason } of changes) log(reason);
  if (!changes.some(({ users }) => users)) return;
  for (const store of [services.documents, services.analytics]) await store.markAllDirty({ signal });
}
