import { type Attributes, loadOpenTelemetry, type Span, type Tracer } from "../../deps.ts";

type OpenTelemetry = Awaited<ReturnType<typeof loadOpenTelemetry>>;

/** OpenTelemetry's `SpanStatusCode.ERROR`. */
const ERROR = 2;

/** Null if tracing is off: a span then costs one comparison. */
let tracing: { readonly api: OpenTelemetry; readonly tracer: Tracer } | null = null;

/** Turns tracing on if Deno exports spans (`OTEL_DENO=true`). Call once, before any work. */
export async function startTracing(): Promise<void> {
  if (!/^(true|1)$/.test(Deno.env.get("OTEL_DENO") ?? "")) return;
  const api = await loadOpenTelemetry();
  const tracer = api.trace.getTracer("parley");
  withholdUrls(Object.getPrototypeOf(tracer.startSpan("never ended, so never sent")));
  tracing = { api, tracer };
}

/**
 * Deno puts the URL of each request into its span, and Parley's paths name users. Deno has no setting for that, and attributes
 * cannot be removed, so `setAttribute` ignores them. tests/telemetry_test.ts checks it.
 */
function withholdUrls(span: Span): void {
  const { setAttribute } = span;
  span.setAttribute = function (this: Span, name, value) {
    return /^url\.(full|path|query)$/.test(name) ? this : setAttribute.call(this, name, value);
  };
}

/** Names the request's span, which Deno creates, by its route. */
export function nameRequest(method: string, route: string): void {
  if (tracing === null) return;
  const span = tracing.api.trace.getActiveSpan();
  span?.updateName(`${method} ${route}`).setAttribute("http.route", route);
}

/**
 * Marks the active span as failed, for an error that is handled here. Only the error's name is recorded: its message may quote
 * data.
 */
export function markFailed(error: unknown, attributes: Attributes = {}): void {
  const span = tracing?.api.trace.getActiveSpan();
  span?.setStatus({ code: ERROR });
  span?.setAttributes({ ...attributes, "error.type": error instanceof Error ? error.name : typeof error });
}

/** Runs `body` in a span, inside the one that is active. Attributes name stores, dags, tasks and runs, never a user. */
export function withSpan<T>(name: string, attributes: Attributes, body: () => Promise<T>): Promise<T> {
  if (tracing === null) return body();
  return tracing.tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await body();
    } catch (error) {
      // `Skip` ends a task that has nothing to do: it is no failure.
      if (!(error instanceof Error && error.name === "Skip")) markFailed(error);
      throw error;
    } finally {
      span.end();
    }
  });
}
