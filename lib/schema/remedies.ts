/** What to do about refused rows, by reason; the first pattern that matches counts. */
const REMEDIES: readonly (readonly [reason: RegExp, remedy: string])[] = [
  [
    /: the row has .*; give /,
    "Give the fields the names that are needed: in a CSV, in its first row; in JSON, by `jq`, as docs/data.md shows under " +
    '"Exports of chat tools".',
  ],
  [
    / \(a list of objects\)/,
    "Give the list alone, as by `jq .NAME` with its name, instead of what is around it.",
  ],
  [
    /is missing: the row has /,
    "Look whether the source is given for the right kind of rows: messages, campaigns or events.",
  ],
  [
    /not UTF-8/,
    "Export the source as UTF-8; `iconv -f WINDOWS-1252 -t UTF-8` converts what Windows has written.",
  ],
  [/not valid JSON/, "Look at this line of the source: it may be cut off, or a quote in it not be escaped."],
  [/not a JSON object/, "Give each row as an object with the names of its fields."],
  [/quote in the row is not closed/, "Close the quote in this row; quotes within a quoted cell are doubled."],
  [/more cells than the header/, "Put cells in quotes that hold what separates cells."],
  [/same id with other content/, "Give each row an id of its own, or none: then its content makes one."],
  [/is longer than/, "Shorten the text, or split the row."],
  [/UTC offset|without a time|without separators/, "Have the export write times in UTC, or as an epoch."],
  [
    /in the future|is before /,
    "Look at the clock that wrote it; PARLEY_EARLIEST is the first day that is taken.",
  ],
  [/^metadata must be an object/, "Write `metadata` as a JSON object, or leave it out."],
  [/^metadata /, "Make what is in `metadata` smaller, or leave it out."],
];

/** What to do about rows that were refused for this reason. A changed source is read again as a whole. */
export function remedyOf(reason: string): string {
  const match = REMEDIES.find(([pattern]) => pattern.test(reason));
  return match?.[1] ?? "Correct the field in the source.";
}
