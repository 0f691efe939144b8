import type { OriginKey } from "../../core/origin_key.ts";
import type { Abortable } from "../../core/types.ts";
import { type Api, apiOf } from "./api.ts";
import { Caller } from "./caller.ts";
import type { Endpoint } from "./url.ts";
import { normalize } from "../vectors.ts";

/** Texts in, unit vectors out, one request a call, each answer checked. */
export class Client {
  readonly caller: Caller;
  private readonly api: Api;

  constructor(endpoint: Endpoint, key: OriginKey | null) {
    this.caller = new Caller(endpoint, key);
    this.api = apiOf(endpoint);
  }

  /** Whether the endpoint can truncate long texts on request. */
  get truncates(): boolean {
    return this.api.truncates;
  }

  async dimension({ signal }: Abortable): Promise<number> {
    const [vector] = await this.embed(["dimension"], { signal });
    return vector!.length;
  }

  /** Throws what {@link Caller.call} throws, and the same for vectors that are too few, too short or no direction. */
  async embed(
    texts: readonly string[],
    options: { dimension?: number; truncate?: boolean } & Abortable,
  ): Promise<Float32Array[]> {
    const request = this.api.request(texts.map((text) => text.toWellFormed()), options.truncate ?? false);
    const rows = this.api.read(await this.caller.call({ ...request, signal: options.signal }));
    if (rows === null) {
      throw this.caller.invalidAnswer("answers with something other than numbered vectors of numbers");
    }
    if (rows.length !== texts.length) {
      throw this.caller.invalidAnswer(`gives ${rows.length} vectors for ${texts.length} texts`);
    }
    return rows.map((row) => this.check(row, options.dimension));
  }

  private check(row: readonly number[], dimension = row.length): Float32Array {
    if (row.length !== dimension) {
      throw this.caller.invalidAnswer(
        `gives vectors of ${row.length} dimensions, not of ${dimension}`,
        "mismatch",
      );
    }
    try {
      return normalize(row);
    } catch {
      throw this.caller.invalidAnswer("gives a vector without a direction");
    }
  }
}
