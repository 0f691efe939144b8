import { loadS3, type S3Client } from "../../../../deps.ts";
import { abortable, withTimeout } from "../../../core/abort.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Abortable, Artifact, Health } from "../../../core/types.ts";
import type { ReadBytes } from "../compressed_lines.ts";
import { EncodedLines, linesOf } from "../lines.ts";
import { keyOf, nameOf, runKeyOf, uriOf, uriOfKey } from "../names.ts";
import type { ArtifactStore, FoundLine, LineFilter, Register } from "../port.ts";
import { openRegister } from "../sqlite_register.ts";
import { explainS3, parseS3Url, type S3Address } from "./url.ts";

/** How long a call may take that moves no artifact. */
const CALL_TIMEOUT_MS = 30_000;
/** What one request uploads. Four are under way at most, and an artifact has 10,000 at most, which is 80 GB compressed. */
const PART_BYTES = 8 * 2 ** 20;

/**
 * Artifacts as objects `prefix/run/task/file` of a bucket, for runs on several machines. An object appears when its upload is
 * complete. S3 cannot set the time of an object: one that lines are removed from counts as written then.
 */
export class S3Artifacts implements ArtifactStore {
  private readonly address: S3Address;
  private readonly scratch: string | undefined;
  private client: Promise<S3Client> | null = null;

  /**
   * `url` is `s3://KEY:SECRET@bucket/prefix?region=…`, with `&endpoint=` for another service than Amazon's; throws `invalid` for
   * another one. `scratch` is a local folder for registers.
   */
  constructor(options: { url: URL; scratch: string | undefined }) {
    this.address = parseS3Url(options.url);
    this.scratch = options.scratch;
  }

  async writeLines(
    { name, lines, signal }: { name: string; lines: AsyncIterable<string>; signal?: AbortSignal },
  ): Promise<Artifact> {
    const key = this.address.prefix + keyOf(name);
    const encoded = new EncodedLines(lines, signal);
    const upload = (client: S3Client) =>
      client.putObject(key, ReadableStream.from(encoded), { partSize: PART_BYTES });
    await this.run(upload);
    return { uri: uriOf(name), ...encoded.summary() };
  }

  async *readLines({ uri }: { uri: string }): AsyncGenerator<string> {
    for await (const lines of this.linesOf(this.address.prefix + keyOf(nameOf(uri)), uri)) yield* lines;
  }

  register(): Promise<Register> {
    if (this.scratch === undefined) throw new TypeError("opened without a folder for registers");
    return openRegister(this.scratch);
  }

  async *findLines({ matches, signal }: LineFilter): AsyncGenerator<FoundLine> {
    for await (const { key } of this.objects("")) {
      const uri = uriOfKey(key.slice(this.address.prefix.length));
      for await (const line of this.matchingLines(key, matches, signal)) yield { uri, line };
    }
  }

  async removeLines({ matches, run_id, signal }: LineFilter & { run_id?: string }): Promise<number> {
    let removed = 0;
    for await (const { key } of this.objects(run_id === undefined ? "" : runKeyOf(run_id))) {
      const before = removed;
      for await (const _line of this.matchingLines(key, matches, signal)) removed++;
      if (removed === before) continue;
      const name = nameOf(uriOfKey(key.slice(this.address.prefix.length)));
      const lines = this.matchingLines(key, (line) => !matches(line), signal);
      await this.writeLines({ name, lines, ...signal && { signal } });
    }
    return removed;
  }

  /** What a task began to upload is no object. The bucket's lifecycle rule removes it. */
  removeUnfinished(): Promise<number> {
    return Promise.resolve(0);
  }

  deleteRun({ run_id }: { run_id: string }): Promise<number> {
    return this.delete(runKeyOf(run_id), () => true);
  }

  prune({ before }: { before: string }): Promise<number> {
    return this.delete("", (written) => written < Date.parse(before));
  }

  async health(options: Abortable = {}): Promise<Health> {
    const start = performance.now();
    const { prefix } = this.address;
    await abortable(
      options.signal,
      () =>
        this.call((client) => Array.fromAsync(client.listObjects({ prefix, maxResults: 1, pageSize: 1 }))),
    );
    return { adapter: "s3", version: "1", latency_ms: performance.now() - start, bytes: null };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Removes objects by the time in epoch milliseconds when they were written; returns how many. */
  private async delete(prefix: string, isOld: (written: number) => boolean): Promise<number> {
    let artifacts = 0;
    for await (const { key, lastModified } of this.objects(prefix)) {
      if (!isOld(lastModified.getTime())) continue;
      await this.call((client) => client.deleteObject(key));
      artifacts++;
    }
    return artifacts;
  }

  private async *objects(prefix: string): AsyncGenerator<{ key: string; lastModified: Date }> {
    const client = await this.connect();
    const objects = client.listObjects({ prefix: this.address.prefix + prefix });
    for (;;) {
      const { done, value } = await this.call(() => objects.next());
      if (done) return;
      yield value;
    }
  }

  private async *matchingLines(
    key: string,
    matches: (line: string) => boolean,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<string> {
    for await (const lines of this.linesOf(key)) {
      signal?.throwIfAborted();
      for (const line of lines) if (matches(line)) yield line;
    }
  }

  private async *linesOf(key: string, uri = uriOfKey(key)): AsyncGenerator<string[]> {
    const { body } = await this.call((client) => client.getObject(key)).catch((error) => {
      if (!(error instanceof ParleyError) || error.code !== "not_found") throw error;
      throw new ParleyError("not_found", `${uri} does not exist; it may have been pruned`, { cause: error });
    });
    const reader = body!.getReader({ mode: "byob" });
    const read: ReadBytes = async (length) => {
      if (length === 0) return new Uint8Array();
      return (await this.run(() => reader.read(new Uint8Array(length), { min: length }))).value ??
        new Uint8Array();
    };
    try {
      yield* linesOf(read);
    } finally {
      await reader.cancel();
    }
  }

  private call<T>(body: (client: S3Client) => Promise<T>): Promise<T> {
    return withTimeout(CALL_TIMEOUT_MS, () => this.run(body));
  }

  private async run<T>(body: (client: S3Client) => Promise<T>): Promise<T> {
    const client = await this.connect();
    try {
      return await body(client);
    } catch (error) {
      // A stream of lines fails for reasons of its own.
      const { S3Errors: { S3Error } } = await loadS3();
      throw error instanceof S3Error || error instanceof TypeError ? explainS3(error, this.address) : error;
    }
  }

  private connect(): Promise<S3Client> {
    return this.client ??= loadS3().then(({ S3Client }) => {
      const { endpoint, region, bucket, key, secret } = this.address;
      return new S3Client({ endPoint: endpoint, region, bucket, accessKey: key, secretKey: secret });
    });
  }
}
