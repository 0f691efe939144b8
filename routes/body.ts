import type { Context } from "../deps.ts";
import { HttpError } from "./problem.ts";

/** The body as JSON; 413 above so many bytes, without reading on, and 400 where it is not JSON. */
export async function jsonBody(context: Context, max_bytes: number): Promise<unknown> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of context.req.raw.body ?? []) {
    bytes += chunk.length;
    if (bytes > max_bytes) {
      throw new HttpError(413, "invalid", `the body is larger than ${max_bytes} bytes`);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(await new Blob(chunks).text());
  } catch {
    // The parser's own sentence quotes the body.
    throw new HttpError(400, "invalid", "the body is not JSON");
  }
}
