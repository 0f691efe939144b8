import { ParleyError } from "../core/errors.ts";
import type { ModelLayout } from "./layout.ts";
import type { Reply } from "./worker.ts";

/** A worker that answers one request at a time. */
export class Session {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private pending: PromiseWithResolvers<Float32Array> | null = null;
  private ended: ParleyError | null = null;

  constructor(private readonly model: string) {
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => this.settle(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.close(this.failure(`lost a worker: ${event.message}`));
    };
  }

  /** False once its worker is gone. */
  get alive(): boolean {
    return this.ended === null;
  }

  /** Sends the layout (first) or texts, and returns the vectors in one block. */
  request(message: ModelLayout | readonly string[]): Promise<Float32Array> {
    if (this.ended) return Promise.reject(this.ended);
    this.pending = Promise.withResolvers();
    this.worker.postMessage(message);
    return this.pending.promise;
  }

  private settle(reply: Reply): void {
    if ("vectors" in reply) this.pending?.resolve(reply.vectors);
    else this.pending?.reject(this.failure(reply.error));
    this.pending = null;
  }

  private failure(what: string): ParleyError {
    return new ParleyError("unavailable", `the embedding model ${this.model} ${what}`);
  }

  /** Ends the worker; what it was asked, and will be, is rejected with `error`. */
  close(error: ParleyError): void {
    this.ended = error;
    this.worker.terminate();
    this.pending?.reject(error);
    this.pending = null;
  }
}

/** At most `size` sessions, started when first needed and shared by all calls. */
export class SessionPool {
  /** Free places, the one last used on top; null for one without a session. */
  private readonly free: (Session | null)[];
  private readonly waiting: PromiseWithResolvers<Session | null>[] = [];
  private readonly started = new Set<Session>();
  private closed: ParleyError | null = null;

  constructor(private readonly layout: ModelLayout, private readonly size: number) {
    this.free = Array.from({ length: size }, () => null);
  }

  /** Gives each session one item after another, until all are done, one fails, or the signal aborts. */
  async each<T>(
    o: { items: readonly T[]; signal: AbortSignal | null; work(session: Session, item: T): Promise<void> },
  ): Promise<void> {
    const items = o.items.values();
    let going = true;
    const lane = async () => {
      for (const item of items) {
        o.signal?.throwIfAborted();
        if (going) await this.use((session) => o.work(session, item));
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(this.size, o.items.length) }, lane));
    } finally {
      going = false;
    }
  }

  private async use(work: (session: Session) => Promise<void>): Promise<void> {
    const session = await this.acquire();
    try {
      await work(session);
    } finally {
      this.release(session);
    }
  }

  private async acquire(): Promise<Session> {
    const place = this.free.pop();
    const session = place === undefined ? await this.turn() : place;
    if (this.closed) throw this.closed;
    return session?.alive ? session : await this.start();
  }

  private turn(): Promise<Session | null> {
    if (this.closed) return Promise.reject(this.closed);
    const turn = Promise.withResolvers<Session | null>();
    this.waiting.push(turn);
    return turn.promise;
  }

  private async start(): Promise<Session> {
    const session = new Session(this.layout.name);
    this.started.add(session);
    try {
      await session.request(this.layout);
      return session;
    } catch (error) {
      session.close(new ParleyError("unavailable", `the embedding model ${this.layout.name} did not load`));
      this.release(session);
      throw error;
    }
  }

  private release(session: Session): void {
    const place = session.alive ? session : null;
    if (place === null) this.started.delete(session);
    const next = this.waiting.shift();
    if (next) next.resolve(place);
    else this.free.push(place);
  }

  /** Ends all workers; calls under way are rejected with `unavailable`. */
  close(): void {
    this.closed = new ParleyError("unavailable", `the embedding model ${this.layout.name} is closed`);
    for (const session of this.started) session.close(this.closed);
    for (const turn of this.waiting.splice(0)) turn.reject(this.closed);
  }
}
