import type { Context } from "../../deps.ts";
import { abortable } from "../../lib/core/abort.ts";
import { tryParseJson } from "../../lib/core/json.ts";
import { HttpError } from "./problem.ts";

const BODY_TIMEOUT_MS = 10_000;
/** Asks the client to hang up: `Deno.serve` keeps a connection open for the rest of its body. */
const HANG_UP = { connection: "close" };

/** The body as JSON. Throws as {@link readBody}, and 400 if it is not JSON. A number keeps all digits, as `parseJson` says. */
export async function jsonBody(context: Context, max_bytes: number): Promise<unknown> {
  const value = tryParseJson(await readBody(context.req.raw, max_bytes));
  if (value === undefined) throw new HttpError(400, "invalid", "the body is not JSON");
  return value;
}

/**
 * The body as text. Throws 413 if it is larger, without reading the rest, 408 if it does not arrive in time, and 400 if it is not
 * UTF-8: other text would be stored with replacement characters.
 */
export async function readBody(
  { body }: Pick<Request, "body">,
  max_bytes: number,
  timeout_ms: number = BODY_TIMEOUT_MS,
): Promise<string> {
  if (body === null) return "";
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeout_ms);
  const reader = body.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { value, done } = await abortable(deadline.signal, () => reader.read());
      if (done) return decode(await new Blob(chunks).bytes());
      bytes += value.length;
      if (bytes > max_bytes) {
        throw new HttpError(413, "invalid", `the body is larger than ${max_bytes} bytes`, HANG_UP);
      }
      chunks.push(value);
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    if (error instanceof HttpError) throw error;
    if (!deadline.signal.aborted) throw new HttpError(400, "invalid", "the body ended early: send it again");
    throw new HttpError(408, "invalid", `the body did not arrive within ${timeout_ms / 1_000} s`, HANG_UP);
  } finally {
    clearTimeout(timer);
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HttpError(400, "invalid", "the body is not UTF-8: send it as UTF-8");
  }
}
