import type { Clock } from "../core/clock.ts";
import { causeOf } from "../core/errors.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import { ItemItem } from "./candidates/co_engagement.ts";
import { decodeItemWeights, ITEM_WEIGHTS_FILE } from "./item_item_file.ts";

/** Versions whose data are in memory: while one is published, requests may still be under way with the one before. */
const MAX_VERSIONS = 2;
/** How long an answer waits for data that are being loaded, in milliseconds. */
const MAX_WAIT_MS = 50;
/** How long after a failure they are loaded again, in milliseconds. */
const RETRY_MS = 5_000;

/** One version's weights: null if it has none, or they cannot be used. */
interface Loading {
  items: Promise<ItemItem | null>;
  /** Undefined while they are being loaded. */
  loaded: ItemItem | null | undefined;
  /** When they are loaded again, in epoch milliseconds. */
  until: number;
}

export interface VersionDataOptions {
  readonly analytics: Pick<AnalyticsStore, "file">;
  readonly clock: Clock;
  /** Gets a line about data that cannot be loaded. */
  readonly warn: (line: string) => void;
}

/**
 * What was learnt for a data version and is needed whole to answer, loaded once and held in typed arrays: 8 bytes a weight, 16 MB for
 * 16,000 campaigns. No answer waits long for it or fails because of it: it is then computed without.
 */
export class VersionData {
  private readonly versions = new Map<number, Loading>();

  constructor(private readonly options: VersionDataOptions) {}

  /** The item–item weights of a version, loaded unless they are in memory; null if it has none, or they cannot be used. Never throws. */
  load(version: number): Promise<ItemItem | null> {
    return this.loading(version).items;
  }

  /** The same, or `loading` if that would take long. */
  async items(version: number): Promise<ItemItem | null | "loading"> {
    const { items, loaded } = this.loading(version);
    if (loaded !== undefined) return loaded;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"loading">((resolve) => timer = setTimeout(resolve, MAX_WAIT_MS, "loading"));
    return await Promise.race([items, late]).finally(() => clearTimeout(timer));
  }

  private loading(version: number): Loading {
    const { clock, warn } = this.options;
    const known = this.versions.get(version);
    if (known !== undefined && clock.now() < known.until) return known;
    const loading: Loading = { items: this.read(version), loaded: undefined, until: Infinity };
    loading.items = loading.items.catch((error) => {
      warn(`item–item weights of version ${version} are left out of answers: ${causeOf(error)}`);
      loading.until = clock.now() + RETRY_MS;
      return null;
    });
    loading.items.then((items) => loading.loaded = items);
    this.versions.delete(version);
    this.versions.set(version, loading);
    if (this.versions.size > MAX_VERSIONS) this.versions.delete(this.versions.keys().next().value!);
    return loading;
  }

  private async read(version: number): Promise<ItemItem | null> {
    const file = await this.options.analytics.file({ version, name: ITEM_WEIGHTS_FILE });
    return file === null ? null : new ItemItem(decodeItemWeights(file));
  }
}
