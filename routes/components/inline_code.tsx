import { sentence } from "../../lib/core/text.ts";
import { Time } from "./time.tsx";

const ISO_TIME = /(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z)/;

/** A message as a sentence, with its `commands` as code and its times in the viewer's zone. */
export function InlineCode({ text }: { text: string }) {
  return (
    <>
      {sentence(text).split("`").map((part, i) => i % 2 === 1 ? <code>{part}</code> : <Times text={part} />)}
    </>
  );
}

function Times({ text }: { text: string }) {
  return <>{text.split(ISO_TIME).map((part, i) => i % 2 === 1 ? <Time at={part} /> : part)}</>;
}
