import type { Abortable, Health, HealthOptions, ModelIdentity, Role, WriteCounts } from "../../core/types.ts";

/** The collections that are searched; messages are only looked up. */
export const INDEXED = ["profiles", "conversations", "campaigns"] as const;
export type Indexed = typeof INDEXED[number];

export const COLLECTIONS = ["messages", ...INDEXED] as const;
export type Collection = typeof COLLECTIONS[number];
/** The collections with rows that are a user's. */
export const PERSONAL = ["messages", "profiles", "conversations"] as const satisfies readonly Collection[];

/** A unit vector with what it was made from. */
export interface VectorRow {
  /** `message_id`, `user_id`, `conversation_id` or `campaign_id`, by collection. */
  readonly id: string;
  /** Whose it is; null in the collection `campaigns`. */
  readonly user_id: string | null;
  /** Of a message; `user` elsewhere. */
  readonly role: Role;
  /** When it was said; of a conversation, its end; of a profile, the user's newest message; of a campaign, null. */
  readonly timestamp: string | null;
  /** SHA-256 (hex) of the text, or for several texts of all of them. */
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
  /** Whether the next process that opens it to search builds it again by itself. */
  readonly rebuilt: boolean;
}

/** Vectors of one model, with nearest-neighbour search over profiles, conversations and campaigns. Before the first write it is empty. */
export interface VectorStore {
  readonly model: ModelIdentity;
  /**
   * Inserts or replaces by id; a row is `same` where all but the vector is. Throws `invalid` for a vector of another
   * dimension, with NaN, or whose norm is off 1 by more than 1e-3; nothing of that call is written then.
   */
  upsert(options: { collection: Collection; rows: readonly VectorRow[] } & Abortable): Promise<WriteCounts>;
  /** Content hashes of the ids that are there. */
  hashes(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, string>>;
  /** A vector for each content hash that some live row of this collection has; none that is damaged. */
  byHash(
    options: { collection: Collection; hashes: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>>;
  /** Vectors of the ids that are there. */
  get(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>>;
  /**
   * Nearest rows by cosine, best first, ties by id, from the index of a built data version; `exclude` are ids that
   * must not come back. A version that was not built is `not_found`, one whose index is damaged is `unavailable`; an
   * embedded store builds either from its rows.
   */
  search(options: Search): Promise<Hit[]>;
  /**
   * Builds the indexes of a data version beside those that serve. Repeating it replaces them. `log` gets a line about
   * what could not be used for it.
   */
  build(o: { version: number; log?: (line: string) => void } & Abortable): Promise<VectorCounts>;
  /**
   * What is wrong with the indexes of a data version; nothing if they can be searched. The first time it may take seconds, then a
   * file is read again only if it has changed.
   */
  verify(o: { version: number } & Abortable): Promise<IndexFault[]>;
  /** Drops indexes of versions other than these. */
  dropVersionsExcept(options: { versions: readonly number[] } & Abortable): Promise<void>;
  /** Ids whose stored vector has NaN, another dimension, or a norm off 1; at most `limit` of them. */
  faults(options: { limit: number } & Abortable): Promise<string[]>;
  /** Removes the rows that {@link faults} names, all of them; returns how many went. */
  dropFaults(options?: Abortable): Promise<number>;
  /** Removes what these users have in a collection other than `ids`, from built versions too; returns how many rows went. */
  deleteExcept(options: DeleteExcept): Promise<number>;
  deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number>;
  deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number>;
  counts(options?: Abortable): Promise<VectorCounts>;
  /** Whether a collection holds nothing: soon told, however much it holds. */
  isEmpty(options: { collection: Collection } & Abortable): Promise<boolean>;
  /** Hash of all rows with their vectors, independent of order, rowids and index bytes. */
  digest(options?: Abortable): Promise<string>;
}

/** Whose rows of which collection go, and which of them stay. */
export interface DeleteExcept extends Abortable {
  readonly collection: Collection;
  readonly user_ids: readonly string[];
  readonly ids: readonly string[];
}

/** What `search` is asked. */
export interface Search extends Abortable {
  readonly collection: Indexed;
  readonly version: number;
  readonly vector: Float32Array;
  readonly k: number;
  readonly exclude?: readonly string[];
}

/**
 * The vectors of all models, a store each, which never meet. Which of them answers is said by the published row, so
 * that another model is built beside the one that serves, and the switch is one write.
 */
export interface VectorStores {
  /**
   * The models that anything was written for and that were not dropped, in ascending {@link modelKey}. One whose vectors
   * cannot be read is not among them: `log` gets a line about it that says what to do. That of the model that `of` gave
   * last is an error instead. `thorough` reads embedded vectors through.
   */
  models(options?: { log?: (line: string) => void } & HealthOptions): Promise<ModelIdentity[]>;
  /** One model's store, the same object each time. Nothing is made for it before its first write. */
  forModel(options: { model: ModelIdentity } & Abortable): Promise<VectorStore>;
  /** Removes all that there is of a model. Its store is then as one that nothing was written to. */
  drop(options: { model: ModelIdentity } & Abortable): Promise<void>;
  /** Of the vectors that `of` gave last; of all vectors, if it gave none. */
  health(options?: HealthOptions): Promise<Health>;
  /** Closes every store that `of` gave. */
  close(): Promise<void>;
}
