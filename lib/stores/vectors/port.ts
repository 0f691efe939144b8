import type {
  Abortable,
  Health,
  HealthOptions,
  ModelIdentity,
  PageOptions,
  Role,
  WriteCounts,
} from "../../core/types.ts";
import type { TombstoneStore } from "../tombstones/port.ts";
import type { BulkWriter } from "../bulk/port.ts";

/** The collections that are searched; messages are read by id only. */
export const INDEXED = ["profiles", "conversations", "campaigns"] as const;
export type Indexed = typeof INDEXED[number];

export const COLLECTIONS = ["messages", ...INDEXED] as const;
export type Collection = typeof COLLECTIONS[number];
/** The collections whose rows belong to users. */
export const PERSONAL = ["messages", "profiles", "conversations"] as const satisfies readonly Collection[];

/** A unit vector with what it was made from. */
export interface VectorRow {
  /** `message_id`, `user_id`, `conversation_id` or `campaign_id`, by collection. */
  readonly id: string;
  /** The user that it belongs to; null in the collection `campaigns`. */
  readonly user_id: string | null;
  /** Of a message; `user` elsewhere. */
  readonly role: Role;
  /** Time of the message; of a conversation, its end; of a profile, the user's newest message; of a campaign, null. */
  readonly timestamp: string | null;
  /** SHA-256 (hex) of the text, or of all texts. */
  readonly content_hash: string;
  /** Length `dimension`, Euclidean norm 1. */
  readonly vector: Float32Array;
}

/** A neighbour. `score` is cosine similarity, -1..1. */
export interface Hit {
  readonly id: string;
  readonly score: number;
}

export type VectorCounts = Readonly<Record<Collection, number>>;

/** What is wrong with an index of a data version. */
export interface IndexFault {
  /** A clause, such as "the index profiles-3 is damaged: its file is missing". */
  readonly text: string;
  /** Whether the next process that opens it to search rebuilds it. */
  readonly rebuilt: boolean;
}

/** Vectors of one model, with nearest-neighbour search over profiles, conversations and campaigns. Before the first write it is empty. */
export interface VectorStore extends BulkWriter {
  readonly model: ModelIdentity;
  readonly tombstones: TombstoneStore;
  /**
   * Inserts or replaces by id; a row is `same` if all but the vector is. Throws `invalid`, and writes nothing, if a vector
   * has another dimension, NaN, or a norm that is off 1 by more than 1e-3.
   */
  upsert(options: { collection: Collection; rows: readonly VectorRow[] } & Abortable): Promise<WriteCounts>;
  /** Content hashes of those of these ids that exist. */
  hashes(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, string>>;
  /** A vector for each of these content hashes that a live row of this collection has; none that is damaged. */
  byHash(
    options: { collection: Collection; hashes: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>>;
  /** Vectors of those of these ids that exist. */
  get(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>>;
  /** Whole rows in ascending id, with `user_id` only those of this user; the vectors as they were written, to the bit. */
  page(options: PageOptions & { collection: Collection; user_id?: string }): Promise<VectorRow[]>;
  /**
   * Nearest rows by cosine, best first, ties by id, from the index of a built data version, without the ids of `exclude`.
   * Throws `not_found` for a version that was not built, and `unavailable` for one whose index is damaged; an embedded
   * store then rebuilds it from its rows.
   */
  search(options: Search): Promise<Hit[]>;
  /**
   * Builds the indexes of a data version next to those that serve. Repeating it replaces them. `log` gets a line about
   * each file that could not be used.
   */
  build(options: { version: number; log?: (line: string) => void } & Abortable): Promise<VectorCounts>;
  /**
   * What is wrong with the indexes of a data version; nothing if they can be searched. The first call may take seconds;
   * later ones read a file again only if it has changed.
   */
  verify(options: { version: number } & Abortable): Promise<IndexFault[]>;
  /** Drops indexes of versions other than these. */
  dropVersionsExcept(options: { versions: readonly number[] } & Abortable): Promise<void>;
  /**
   * Ids whose stored vector has NaN, another dimension, or a norm off 1; at most `limit` of them. A store may leave out rows that had
   * no fault before and were not written since.
   */
  faults(options: { limit: number } & Abortable): Promise<string[]>;
  /** Removes all rows with {@link faults}; returns how many. */
  dropFaults(options?: Abortable): Promise<number>;
  /** Removes these users' rows other than `ids` from a collection and its built versions; returns how many. */
  deleteExcept(options: DeleteExcept): Promise<number>;
  deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number>;
  deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number>;
  /** Takes the bytes of deleted rows out of the files, as far as that is in this side's power. Indexes keep theirs. */
  compact(options?: Abortable): Promise<void>;
  counts(options?: Abortable): Promise<VectorCounts>;
  /** Whether a collection has no rows; fast for any size. */
  isEmpty(options: { collection: Collection } & Abortable): Promise<boolean>;
  /** Hash of all rows with their vectors, independent of order, rowids and index bytes. */
  digest(options?: Abortable): Promise<string>;
}

export interface DeleteExcept extends Abortable {
  readonly collection: Collection;
  readonly user_ids: readonly string[];
  /** The rows that stay. */
  readonly ids: readonly string[];
}

export interface Search extends Abortable {
  readonly collection: Indexed;
  readonly version: number;
  readonly vector: Float32Array;
  readonly k: number;
  readonly exclude?: readonly string[];
}

/**
 * The vectors of all models, in a separate store for each. The published row names the model that answers come from, so
 * that another model is built next to it, and the switch is one write.
 */
export interface VectorStores {
  /**
   * The models with vectors, in ascending {@link modelKey}. A model whose vectors cannot be read is left out, and `log` gets
   * a line that says what to do; for the model that `forModel` gave last it is an error instead. `thorough` reads embedded
   * vectors whole.
   */
  models(options?: { log?: (line: string) => void } & HealthOptions): Promise<ModelIdentity[]>;
  /** One model's store, the same object each time. Nothing is created for it before its first write. */
  forModel(options: { model: ModelIdentity } & Abortable): Promise<VectorStore>;
  /** Removes all vectors of a model. Its store is then as before its first write. */
  drop(options: { model: ModelIdentity } & Abortable): Promise<void>;
  /** Of the vectors that `forModel` gave last; of all vectors, if it gave none. */
  health(options?: HealthOptions): Promise<Health>;
  /** Closes all stores that `forModel` gave. */
  close(): Promise<void>;
}
