import { z } from "../../deps.ts";
import { decodeVersionFile, encodeVersionFile, magicOf, type VersionFileFormat } from "./version_file.ts";
import type { Postings } from "./wording.ts";

/** What is in the file: postings, and what became of campaigns that users named. */
export interface WordingContent extends Postings {
  /** Whether campaigns that a user names are known to them, and so not worth showing; else they ask for them. */
  readonly named_are_known: boolean;
}

const FORMAT: VersionFileFormat = {
  title: "postings",
  magic: magicOf("PWD", 1),
  arrays: ["uint32", "uint32", "float32"],
};

const Texts = z.object({
  conversation_ids: z.array(z.string()),
  words: z.array(z.string()),
  named_are_known: z.boolean(),
});

export function encodeWording(content: WordingContent): Uint8Array {
  const { starts, conversations, weights, ...json } = content;
  return encodeVersionFile(FORMAT, { arrays: [starts, conversations, weights], json });
}

/** What is in a file. Throws `mismatch` if it is of another format, or not what was written. */
export function decodeWording(file: Uint8Array): WordingContent {
  const { arrays: [starts, conversations, weights], json } = decodeVersionFile(FORMAT, file);
  return {
    ...Texts.parse(json),
    starts: starts as Uint32Array,
    conversations: conversations as Uint32Array,
    weights: weights as Float32Array,
  };
}
