import type { Clock } from "../core/clock.ts";
import { causeOf } from "../core/errors.ts";
import { type ReleaseStore, WORDING_FILE } from "../stores/analytics/port.ts";
import { CATALOGUE_EPOCH_FILE, decodeCatalogueEpoch } from "./catalogue_epoch.ts";
import { ItemItem } from "./candidates/co_engagement.ts";
import type { Sources } from "./answer.ts";
import { decodeItemWeights, ITEM_WEIGHTS_FILE } from "./item_item_file.ts";
import { decodeRanker, RANKER_FILE } from "./ranker_file.ts";
import { WEIGHTS } from "./score.ts";
import { decodeUncertain, UNCERTAIN_FILE } from "./uncertain_file.ts";
import { Wording } from "./wording.ts";
import { decodeWording } from "./wording_file.ts";

/** Versions whose data are in memory: after a publish, requests may still use the version before. */
const MAX_VERSIONS = 2;
/** How long an answer waits for data that are being loaded, as a share of the time that it may take. */
const MAX_WAIT_SHARE = 0.2;
/** How long after a failure they are loaded again, in milliseconds. */
const RETRY_MS = 5_000;

/** What was learnt for a data version; null for what is missing or cannot be used. */
export interface LearntData {
  readonly items: ItemItem | null;
  readonly wording: Wording | null;
  /** Whether campaigns that a user names are known to them, and so not worth showing; else they ask for them. Null: neither is known. */
  readonly named_are_known: boolean | null;
  /** The catalogue's epoch before the indexes were built. */
  readonly built_from: number | null;
  /** Campaigns that are worth trying, those with fewest impressions. */
  readonly uncertain: readonly string[];
  /** Of sources; {@link WEIGHTS} if the version has none, or they cannot be used. */
  readonly weights: Sources;
}
export const NOTHING_LEARNT: LearntData = Object.freeze({
  items: null,
  wording: null,
  named_are_known: null,
  built_from: null,
  uncertain: [],
  weights: WEIGHTS,
});

interface LoadingVersion {
  learnt: Promise<LearntData>;
  /** Undefined while loading. */
  loaded: LearntData | undefined;
  /** When it is loaded again, in epoch milliseconds. */
  until: number;
}

interface VersionDataOptions {
  readonly analytics: Pick<ReleaseStore, "file">;
  readonly clock: Clock;
  /** How long an answer may take in all, in milliseconds. */
  readonly answer_ms: number;
  /** Called with a line about data that cannot be loaded. */
  readonly warn: (line: string) => void;
}

/**
 * Loads what was learnt for a data version once, without blocking the event loop, and holds it in typed arrays: 8 bytes per
 * weight, 16 MB for 16,000 campaigns, and 8 bytes per word of a conversation with the ids and words, some 75 MB for 100,000 of
 * them. An answer does not wait long for it or fail because of it: it is then computed without.
 */
export class VersionData {
  private readonly versions = new Map<number, LoadingVersion>();

  constructor(private readonly options: VersionDataOptions) {}

  /** What was learnt for a version, loaded unless it is in memory. Never throws. */
  load(version: number): Promise<LearntData> {
    return this.loading(version).learnt;
  }

  /** The same, or `loading` if that would take long. */
  async get(version: number): Promise<LearntData | "loading"> {
    const { learnt, loaded } = this.loading(version);
    if (loaded !== undefined) return loaded;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wait_ms = MAX_WAIT_SHARE * this.options.answer_ms;
    const timeout = new Promise<"loading">((resolve) => timer = setTimeout(resolve, wait_ms, "loading"));
    return await Promise.race([learnt, timeout]).finally(() => clearTimeout(timer));
  }

  private loading(version: number): LoadingVersion {
    const entry = this.versions.get(version);
    if (entry !== undefined && this.options.clock.now() < entry.until) return entry;
    const loading: LoadingVersion = {
      learnt: Promise.resolve(NOTHING_LEARNT),
      loaded: undefined,
      until: Infinity,
    };
    loading.learnt = this.read(version, () => loading.until = this.options.clock.now() + RETRY_MS);
    loading.learnt.then((learnt) => loading.loaded = learnt);
    this.versions.delete(version);
    this.versions.set(version, loading);
    if (this.versions.size > MAX_VERSIONS) this.versions.delete(this.versions.keys().next().value!);
    return loading;
  }

  private async read(version: number, onFailure: () => void): Promise<LearntData> {
    const { analytics, warn } = this.options;
    const file = async <T>(name: string, title: string, decode: (bytes: Uint8Array) => Promise<T>) => {
      try {
        const bytes = await analytics.file({ version, name });
        return bytes === null ? null : await decode(bytes);
      } catch (error) {
        warn(`${title} of version ${version} are left out of answers: ${causeOf(error)}`);
        onFailure();
        return null;
      }
    };
    const [items, postings, built_from, uncertain, ranker] = await Promise.all([
      file(
        ITEM_WEIGHTS_FILE,
        "item–item weights",
        async (bytes) => new ItemItem(await decodeItemWeights(bytes)),
      ),
      file(WORDING_FILE, "postings", decodeWording),
      file(
        CATALOGUE_EPOCH_FILE,
        "new campaigns",
        (bytes) => Promise.resolve(decodeCatalogueEpoch(bytes)),
      ),
      file(UNCERTAIN_FILE, "campaigns to explore", decodeUncertain),
      file(RANKER_FILE, "ranking weights", decodeRanker),
    ]);
    const wording = postings && new Wording(postings);
    const named_are_known = postings?.named_are_known ?? null;
    const weights = ranker?.weights ?? WEIGHTS;
    return { items, wording, named_are_known, built_from, uncertain: uncertain ?? [], weights };
  }
}
