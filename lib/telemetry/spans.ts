import { type Attributes, loadOpenTelemetry, type Span, type Tracer } from "../../deps.ts";

type OpenTelemetry = Awaited<ReturnType<typeof loadOpenTelemetry>>;

/** Null while nobody traces: a span is then one comparison. */
let tracing: { readonly api: OpenTelemetry; readonly tracer: Tracer } | null = null;

/** Begins to make spans, where Deno exports them (`OTEL_DENO=true`). Call once, before work begins. */
export async function startTracing(): Promise<void> {
  if (!/^(true|1)$/.test(Deno.env.get("OTEL_DENO") ?? "")) return;
  const api = await loadOpenTelemetry();
  const tracer = api.trace.getTracer("parley");
  withholdUrls(Object.getPrototypeOf(tracer.startSpan("never ended, so never sent")));
  tracing = { api, tracer };
}

/**
 * Deno puts the URL of each request into its span, and Parley's paths name users. Deno has no setting for that, and
 * attributes can't be taken back: so spans are kept from taking them. tests/telemetry/traces_test.ts holds it to that.
 */
function withholdUrls(span: Span): void {
  const { setAttribute } = span;
  span.setAttribute = function (this: Span, name, value) {
    return /^url\.(full|path|query)$/.test(name) ? this : setAttribute.call(this, name, value);
  };
}

/** Names the request's span, which Deno makes, by its route. */
export function nameRequest(method: string, route: string): void {
  if (tracing === null) return;
  const span = tracing.api.trace.getActiveSpan();
  span?.updateName(`${method} ${route}`).setAttribute("http.route", route);
}

/**
 * Runs `body` in a span, inside the one that is active. An error marks the span by its kind alone: its message may quote
 * data. Attributes name stores, dags, tasks and runs, never a user.
 */
export function spanned<T>(name: string, attributes: Attributes, body: () => Promise<T>): Promise<T> {
  if (tracing === null) return body();
  const { api, tracer } = tracing;
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await body();
    } catch (error) {
      span.setStatus({ code: api.SpanStatusCode.ERROR });
      span.setAttribute("error.type", error instanceof Error ? error.name : typeof error);
      throw error;
    } finally {
      span.end();
    }
  });
}
