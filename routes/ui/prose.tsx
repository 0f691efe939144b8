import { sentence } from "./text.ts";

/** A message as a sentence, its `commands` set as code. */
export function Prose({ text }: { text: string }) {
  return <>{sentence(text).split("`").map((part, i) => i % 2 === 1 ? <code>{part}</code> : part)}</>;
}
