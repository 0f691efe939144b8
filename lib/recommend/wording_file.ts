import { z } from "../../deps.ts";
import { decodeVersionFile, encodeVersionFile, magicOf, type VersionFileFormat } from "./version_file.ts";
import type { Postings } from "./wording.ts";

/** The content of the file: postings, and what became of campaigns that users named. */
export interface WordingContent extends Postings {
  /** Whether campaigns that a user names are known to them, and so not worth showing; else they ask for them. */
  readonly named_are_known: boolean;
}

const FORMAT: VersionFileFormat = {
  title: "postings",
  magic: magicOf("PWD", 2),
  arrays: ["uint32", "uint32", "float32"],
};

const Metadata = z.object({ named_are_known: z.boolean() });

export function encodeWording(content: WordingContent): Uint8Array {
  const { conversation_ids, words, offsets, conversations, weights, named_are_known } = content;
  return encodeVersionFile(FORMAT, {
    arrays: [offsets, conversations, weights],
    texts: [conversation_ids, words],
    json: { named_are_known },
  });
}

/**
 * The content of a file, read without blocking the event loop. Throws `mismatch` if the file has another format or is damaged.
 */
export async function decodeWording(file: Uint8Array): Promise<WordingContent> {
  const { arrays: [offsets, conversations, weights], texts, json } = await decodeVersionFile(FORMAT, file);
  return {
    ...Metadata.parse(json),
    conversation_ids: texts[0]!,
    words: texts[1]!,
    offsets: offsets as Uint32Array,
    conversations: conversations as Uint32Array,
    weights: weights as Float32Array,
  };
}
