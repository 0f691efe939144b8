import { ParleyError } from "../../core/errors.ts";
import type { Job, Reply, Setup } from "./worker.ts";

/** The vectors that a session made, in one block. */
export type EmbeddedTexts = Extract<Reply, { readonly vectors: Float32Array }>;

/** Requests that a session has at one time: with the next one there, it does not wait for this thread to send it. */
export const REQUESTS_PER_SESSION = 2;

/** A worker that answers its requests in order. */
class WorkerSession {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly pending: PromiseWithResolvers<EmbeddedTexts>[] = [];
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
  request(message: Setup | Job): Promise<EmbeddedTexts> {
    if (this.ended) return Promise.reject(this.ended);
    const request = Promise.withResolvers<EmbeddedTexts>();
    this.pending.push(request);
    this.worker.postMessage(message);
    return request.promise;
  }

  private settle(reply: Reply): void {
    const request = this.pending.shift();
    if ("vectors" in reply) request?.resolve(reply);
    else request?.reject(this.failure(reply.error));
  }

  private failure(what: string): ParleyError {
    return new ParleyError("unavailable", `the embedding model ${this.model} ${what}`);
  }

  /** Ends the worker; what it was asked, and will be, is rejected with `error`. */
  close(error: ParleyError): void {
    this.ended = error;
    this.worker.terminate();
    for (const request of this.pending.splice(0)) request.reject(error);
  }
}

/** Room for one session, which is started when first needed, and again when it was lost. */
class WorkerSlot {
  /** Requests that it has now. */
  load = 0;
  private session: WorkerSession | null = null;
  private starting: Promise<WorkerSession> | null = null;

  constructor(private readonly setup: Setup) {}

  get started(): boolean {
    return this.session !== null;
  }

  async request(job: Job): Promise<EmbeddedTexts> {
    this.load++;
    try {
      const session = await (this.starting ??= this.start());
      return await session.request(job);
    } finally {
      this.load--;
      if (!this.session?.alive) this.starting = null;
    }
  }

  private async start(): Promise<WorkerSession> {
    const { name } = this.setup.layout;
    const session = this.session = new WorkerSession(name);
    try {
      await session.request(this.setup);
      return session;
    } catch (error) {
      this.session = null;
      session.close(new ParleyError("unavailable", `the embedding model ${name} did not load`));
      throw error;
    }
  }

  close(error: ParleyError): void {
    this.session?.close(error);
  }
}

/** At most `size` sessions, shared by all calls. */
export class SessionPool {
  private readonly places: readonly WorkerSlot[];
  private readonly waiting: PromiseWithResolvers<void>[] = [];
  private closed: ParleyError | null = null;

  constructor(private readonly setup: Setup, size: number) {
    this.places = Array.from({ length: size }, () => new WorkerSlot(setup));
  }

  /** Has the texts embedded by the session that has least to do. */
  async ask(job: Job): Promise<EmbeddedTexts> {
    let place = this.next();
    while (place === null) {
      const turn = Promise.withResolvers<void>();
      this.waiting.push(turn);
      await turn.promise;
      place = this.next();
    }
    try {
      return await place.request(job);
    } finally {
      this.waiting.shift()?.resolve();
    }
  }

  /** One that runs already goes before one that would have to start, where both are idle. */
  private next(): WorkerSlot | null {
    if (this.closed) throw this.closed;
    const cost = ({ load, started }: WorkerSlot) => load + (started ? 0 : 0.5);
    const best = this.places.reduce((a, b) => cost(b) < cost(a) ? b : a);
    return best.load < REQUESTS_PER_SESSION ? best : null;
  }

  /** Ends all workers; calls under way are rejected with `unavailable`. */
  close(): void {
    this.closed = new ParleyError("unavailable", `the embedding model ${this.setup.layout.name} is closed`);
    for (const place of this.places) place.close(this.closed);
    for (const turn of this.waiting.splice(0)) turn.resolve();
  }
}
