import { Buffer, createCipheriv, createDecipheriv, createHmac, timingSafeEqual, z } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import { tryParseJson } from "../core/json.ts";
import { ShownCampaigns } from "./shown_campaigns.ts";

/** What an answer was made from, as its id says. */
interface AnswerFacts {
  /** The data version; null if analytics did not respond. */
  readonly version: number | null;
  readonly strategy: "personal" | "popular";
  /** The arm that the user was in; `default` without a stored user. */
  readonly arm: string;
  /** 32 bits, the same for all pages of an answer. */
  readonly seed: number;
  /** Epoch milliseconds. */
  readonly generated_at: number;
  readonly k: number;
  /** Items of the pages before it. */
  readonly offset: number;
  readonly intent?: string | undefined;
  readonly category?: string | undefined;
  readonly filter?: string | undefined;
  readonly diversity?: number | undefined;
}

export interface RecommendationId extends AnswerFacts {
  /** Null if the answer was not for a stored user. */
  readonly user_id: string | null;
  /** What was shown in the answer and in the pages before it. */
  readonly shown: ShownCampaigns;
}

/** The facts by short names, since an id goes with every event. */
const FACTS = z.object({
  v: z.literal(1),
  d: z.int().nullable(),
  s: z.enum(["personal", "popular"]),
  a: z.string(),
  e: z.int(),
  t: z.int(),
  k: z.int().min(1).max(100),
  o: z.int().min(0),
  i: z.string().optional(),
  c: z.string().optional(),
  f: z.string().optional(),
  y: z.number().optional(),
});

/** What an answer showed, as its id says without a proof: `shown` has the pages before it too, which are `offset` campaigns. */
export function readShown(id: string): Pick<RecommendationId, "offset" | "shown"> | null {
  const [facts = "", shown = ""] = id.split(".");
  const row = FACTS.safeParse(tryParseJson(Buffer.from(facts, "base64url").toString())).data;
  return row === undefined ? null : { offset: row.o, shown: ShownCampaigns.fromText(row.e, shown) };
}

const SIGNATURE_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Signs and reads ids of answers. An id has four parts in base64url, joined by dots: the facts as JSON, what was shown as 4 bytes for
 * each campaign, the user encrypted (AES-256-GCM; empty without one), and an HMAC-SHA256 of the parts before it, cut to 128
 * bits. So any reader sees the facts, only who has the secret sees for whom they are, and nothing is stored to serve the next
 * page.
 */
export class IdSigner {
  private readonly signing: Buffer;
  private readonly encryption: Buffer;

  /** All processes that serve one store need the same secret. */
  constructor(secret: Uint8Array) {
    this.signing = keyOf(secret, "parley.recommendation_id.sign.v1");
    this.encryption = keyOf(secret, "parley.recommendation_id.encrypt.v1");
  }

  sign({ user_id, shown, ...facts }: RecommendationId): string {
    const { version, strategy, arm, seed, generated_at, k, offset, intent, category, filter, diversity } =
      facts;
    const json = JSON.stringify({
      v: 1,
      d: version,
      s: strategy,
      a: arm,
      e: seed,
      t: generated_at,
      k,
      o: offset,
      i: intent,
      c: category,
      f: filter,
      y: diversity,
    });
    const head = `${Buffer.from(json).toString("base64url")}.${shown.toText()}`;
    const signed = `${head}.${user_id === null ? "" : this.encrypt(user_id, head)}`;
    return `${signed}.${this.signature(signed).toString("base64url")}`;
  }

  /** Throws `invalid` for what this or another process with the secret did not sign. */
  read(id: string): RecommendationId {
    const [facts = "", shown = "", user = "", signature = "", ...rest] = id.split(".");
    const given = Buffer.from(signature, "base64url");
    const expected = this.signature(`${facts}.${shown}.${user}`);
    if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new ParleyError(
        "invalid",
        "this is not the recommendation_id of an answer of this service, or PARLEY_SECRET has changed since",
      );
    }
    const row = FACTS.safeParse(tryParseJson(Buffer.from(facts, "base64url").toString())).data;
    if (row === undefined) {
      throw new ParleyError(
        "invalid",
        "this recommendation_id is of another version of Parley: ask for a new answer",
      );
    }
    return {
      version: row.d,
      strategy: row.s,
      arm: row.a,
      seed: row.e,
      generated_at: row.t,
      k: row.k,
      offset: row.o,
      intent: row.i,
      category: row.c,
      filter: row.f,
      diversity: row.y,
      user_id: user === "" ? null : this.decrypt(user, `${facts}.${shown}`),
      shown: ShownCampaigns.fromText(row.e, shown),
    };
  }

  /** The arm of an answer to this user; null if the id is not one that was signed for them. */
  armFor(id: string, user_id: string): string | null {
    try {
      const read = this.read(id);
      return read.user_id === user_id ? read.arm : null;
    } catch (error) {
      if (error instanceof ParleyError && error.code === "invalid") return null;
      throw error;
    }
  }

  /** A seed for the first page of an answer: of equal requests at one time the same in every process. */
  seedOf(request: string): number {
    return this.signature(request).readUInt32BE();
  }

  private signature(text: string): Buffer {
    return createHmac("sha256", this.signing).update(text).digest().subarray(0, SIGNATURE_BYTES);
  }

  /** The nonce depends on all that is encrypted and on the rest of the id, so it is never used for two texts. */
  private encrypt(user_id: string, head: string): string {
    const nonce = createHmac("sha256", this.encryption).update(`${head}.${user_id}`).digest().subarray(
      0,
      NONCE_BYTES,
    );
    const cipher = createCipheriv("aes-256-gcm", this.encryption, nonce).setAAD(Buffer.from(head));
    const parts = [nonce, cipher.update(user_id, "utf8"), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(parts).toString("base64url");
  }

  private decrypt(text: string, head: string): string {
    const bytes = Buffer.from(text, "base64url");
    const [nonce, tag] = [bytes.subarray(0, NONCE_BYTES), bytes.subarray(-TAG_BYTES)];
    const decipher = createDecipheriv("aes-256-gcm", this.encryption, nonce).setAAD(Buffer.from(head));
    decipher.setAuthTag(tag);
    const user_id = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
    return Buffer.concat([user_id, decipher.final()]).toString();
  }
}

function keyOf(secret: Uint8Array, purpose: string): Buffer {
  return createHmac("sha256", secret).update(purpose).digest();
}
