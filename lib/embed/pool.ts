import { ParleyError } from "../core/errors.ts";
import type { Job, Reply, Setup } from "./worker.ts";

type Made = Extract<Reply, { readonly vectors: Float32Array }>;

/** A worker that answers one request at a time. */
export class Session {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private pending: PromiseWithResolvers<Made> | null = null;
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

  /** Sends the setup (first) or texts, and returns the vectors in one block. */
  request(message: Setup | Job): Promise<Made> {
    if (this.ended) return Promise.reject(this.ended);
    this.pending = Promise.withResolvers();
    this.worker.postMessage(message);
    return this.pending.promise;
  }

  private settle(reply: Reply): void {
    if ("vectors" in reply) this.pending?.resolve(reply);
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

  constructor(private readonly setup: Setup, size: number) {
    this.free = Array.from({ length: size }, () => null);
  }

  /** Has the texts embedded by the next free session. */
  async ask(job: Job): Promise<Made> {
    const session = await this.acquire();
    try {
      return await session.request(job);
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
    const session = new Session(this.setup.layout.name);
    this.started.add(session);
    try {
      await session.request(this.setup);
      return session;
    } catch (error) {
      session.close(
        new ParleyError("unavailable", `the embedding model ${this.setup.layout.name} did not load`),
      );
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
    this.closed = new ParleyError("unavailable", `the embedding model ${this.setup.layout.name} is closed`);
    for (const session of this.started) session.close(this.closed);
    for (const turn of this.waiting.splice(0)) turn.reject(this.closed);
  }
}
