import { ParleyError } from "../../core/errors.ts";
import type { Job, Reply, WorkerSetup } from "./worker.ts";

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
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => this.handleReply(data);
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
  request(message: WorkerSetup | Job): Promise<EmbeddedTexts> {
    if (this.ended) return Promise.reject(this.ended);
    const request = Promise.withResolvers<EmbeddedTexts>();
    this.pending.push(request);
    this.worker.postMessage(message);
    return request.promise;
  }

  private handleReply(reply: Reply): void {
    const request = this.pending.shift();
    if ("vectors" in reply) request?.resolve(reply);
    else request?.reject(this.failure(reply.error));
  }

  private failure(problem: string): ParleyError {
    return new ParleyError("unavailable", `the embedding model ${this.model} ${problem}`);
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
  activeRequests = 0;
  private session: WorkerSession | null = null;
  private starting: Promise<WorkerSession> | null = null;

  constructor(private readonly setup: WorkerSetup) {}

  get started(): boolean {
    return this.session !== null;
  }

  async request(job: Job): Promise<EmbeddedTexts> {
    this.activeRequests++;
    try {
      const session = await (this.starting ??= this.start());
      return await session.request(job);
    } finally {
      this.activeRequests--;
      if (!this.session?.alive) this.starting = null;
    }
  }

  private async start(): Promise<WorkerSession> {
    const { name } = this.setup.config;
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
  private readonly slots: readonly WorkerSlot[];
  private readonly waiting: PromiseWithResolvers<void>[] = [];
  private closed: ParleyError | null = null;

  constructor(private readonly setup: WorkerSetup, size: number) {
    this.slots = Array.from({ length: size }, () => new WorkerSlot(setup));
  }

  /** Has the texts embedded by the session that has least to do. */
  async embed(job: Job): Promise<EmbeddedTexts> {
    let slot = this.freeSlot();
    while (slot === null) {
      const waiter = Promise.withResolvers<void>();
      this.waiting.push(waiter);
      await waiter.promise;
      slot = this.freeSlot();
    }
    try {
      return await slot.request(job);
    } finally {
      this.waiting.shift()?.resolve();
    }
  }

  /** The slot with the fewest requests; of idle ones, a slot that is started already. */
  private freeSlot(): WorkerSlot | null {
    if (this.closed) throw this.closed;
    const cost = ({ activeRequests, started }: WorkerSlot) => activeRequests + (started ? 0 : 0.5);
    const best = this.slots.reduce((a, b) => cost(b) < cost(a) ? b : a);
    return best.activeRequests < REQUESTS_PER_SESSION ? best : null;
  }

  /** Ends all workers; calls under way are rejected with `unavailable`. */
  close(): void {
    this.closed = new ParleyError("unavailable", `the embedding model ${this.setup.config.name} is closed`);
    for (const slot of this.slots) slot.close(this.closed);
    for (const waiter of this.waiting.splice(0)) waiter.resolve();
  }
}
