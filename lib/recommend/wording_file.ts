import { z } from "../../deps.ts";
import { decodeVersionFile, encodeVersionFile, magicOf, type VersionFileFormat } from "./version_file.ts";
import type { Postings } from "./wording.ts";

/** What is in the file: postings, and what became of campaigns that users named. */
interface WordingContent extends Postings {
  /** Whether campaigns that a user names are known to them, and so not worth showing; else they ask for them. */
  readonly named_are_known: boolean;
}

const FORMAT: VersionFileFormat = {
  title: "postings",
  magic: magicOf("PWD", 2),
  arrays: ["uint32", "uint32", "float32"],
};

const Facts = z.object({ named_are_known: z.boolean() });

export function encodeWording(content: WordingContent): Uint8Array {
  const { conversation_ids, words, starts, conversations, weights, named_are_known } = content;
  return encodeVersionFile(FORMAT, {
    arrays: [starts, conversations, weights],
    texts: [conversation_ids, words],
    json: { named_are_known },
  });
}

/** What is in a file, read in turns with other work. Throws `mismatch` if it is of another format, or not what was written. */
export async function decodeWording(file: Uint8Array): Promise<WordingContent> {
  const { arrays: [starts, conversations, weights], texts, json } = await decodeVersionFile(FORMAT, file);
  return {
    ...Facts.parse(json),
    conversation_ids: texts[0]!,
    words: texts[1]!,
    starts: starts as Uint32Array,
    conversations: conversations as Uint32Array,
    weights: weights as Float32Array,
  };
}
