import { messageOf, ParleyError } from "../core/errors.ts";
import { modelKey } from "../core/types.ts";
import type { Embedder } from "../embed/port.ts";
import type { ReleaseStore } from "../stores/analytics/port.ts";
import type { ClassificationStore } from "../stores/documents/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";
import { type ClassifiedText, classify } from "./classifier.ts";
import { type Classifier, openClassifier } from "./classifier_store.ts";
import { yieldIfDue } from "../ml/matrix.ts";

export interface IntentStores {
  readonly analytics: Pick<ReleaseStore, "published">;
  readonly documents: Pick<ClassificationStore, "classifier" | "examples">;
  readonly vectors: Pick<VectorStores, "forModel">;
}

/** Classifications of texts, in their order, with the classifier and model. */
export interface Classifications {
  readonly classifier: string;
  readonly model: string;
  /** From this score on a text is in scope. */
  readonly threshold: number;
  readonly results: readonly ClassifiedText[];
}

/** Classifies texts as the pipeline classifies messages. Model and classifier are opened when first needed. */
export class IntentService {
  private embedding: Promise<Embedder> | null = null;
  private opened: { readonly version: number; readonly classifier: Promise<Classifier | null> } | null = null;

  /** `embedder` opens the configured model; the caller that passes it closes what it opened. */
  constructor(private readonly options: { stores: IntentStores; embedder?: () => Promise<Embedder> }) {}

  /**
   * Throws `unavailable` if nothing is published, there is no classifier for the published model, or that model
   * cannot be opened here.
   */
  async classify(
    options: { texts: readonly string[]; top?: number; signal?: AbortSignal },
  ): Promise<Classifications> {
    const signal = options.signal === undefined ? {} : { signal: options.signal };
    const classifier = await this.classifier();
    const embedder = await this.embedderFor(classifier);
    const vectors = await embedder.embed({ texts: options.texts, ...signal });
    const results: ClassifiedText[] = [];
    for (const vector of vectors) {
      await yieldIfDue(options.signal);
      results.push(classify(classifier.fitted, vector, options));
    }
    const { key, model, fitted } = classifier;
    return { classifier: key, model, threshold: fitted.calibration.threshold, results };
  }

  /**
   * The intent of a text by its vector of the published model, null if it is out of scope; null instead of the function if no intents
   * were learnt. Throws `unavailable` if nothing is published, or the intents were learnt by another model.
   */
  async labeller(): Promise<((vector: Float32Array) => string | null) | null> {
    const classifier = await this.findClassifier();
    return classifier && ((vector) => classify(classifier.fitted, vector, { top: 1 }).intent);
  }

  private async classifier(): Promise<Classifier> {
    const classifier = await this.findClassifier();
    if (classifier !== null) return classifier;
    throw unavailable(
      "no intents have been learnt: set PARLEY_INTENTS to a catalogue and run `deno task pipeline run intents`",
    );
  }

  /** Read again with each data version, which is when a new classifier's findings begin to count. */
  private async findClassifier(): Promise<Classifier | null> {
    const published = await this.options.stores.analytics.published();
    if (published === null) throw unavailable("no data has been published yet: run `deno task pipeline`");
    if (this.opened?.version !== published.version) {
      const classifier = openClassifier(this.options.stores);
      this.opened = { version: published.version, classifier };
      classifier.then((found) => found === null && this.forget(), () => this.forget());
    }
    const classifier = await this.opened.classifier;
    if (classifier === null || classifier.model === published.model) return classifier;
    throw unavailable(
      `the intents were learnt by ${classifier.model}, and ${published.model} is published: ` +
        "run `deno task pipeline run intents`",
    );
  }

  /** The next call reads it again. */
  private forget(): void {
    this.opened = null;
  }

  private async embedderFor(classifier: Classifier): Promise<Embedder> {
    const embedder = await this.embedder();
    const model = modelKey(embedder.model);
    if (model === classifier.model) return embedder;
    throw unavailable(
      `PARLEY_EMBEDDINGS is ${model}, and the intents were learnt by ${classifier.model}: set it back, or change over ` +
        "by `deno task pipeline run reembed` and then `deno task pipeline run intents`",
    );
  }

  private embedder(): Promise<Embedder> {
    const { embedder } = this.options;
    if (embedder === undefined) return Promise.reject(unavailable("this process has no embedding model"));
    return this.embedding ??= embedder().catch((error) => {
      this.embedding = null;
      throw unavailable(`the embedding model cannot be opened in this process: ${messageOf(error)}`);
    });
  }
}

function unavailable(sentence: string): ParleyError {
  return new ParleyError("unavailable", sentence);
}
