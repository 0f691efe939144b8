import assert from "node:assert/strict";
import { parseDate } from "../../commands/run.ts";
import { runHere, withFolder } from "../fixtures/commands.ts";

Deno.test("parseDate() takes a day as its start in UTC, and a time with its offset, on every machine", () => {
  for (
    const [text, date] of [
      ["2026-05-01", "2026-05-01T00:00:00.000Z"],
      ["2026-05-01T02:30Z", "2026-05-01T02:30:00.000Z"],
      ["2026-05-01 02:30+02:00", "2026-05-01T00:30:00.000Z"],
      ["2026-05-01T02:30:15.250-0400", "2026-05-01T06:30:15.250Z"],
    ]
  ) assert.equal(parseDate(text!), date);
});

Deno.test("parseDate() refuses text that is no date, a day that does not exist and a time without an offset", () => {
  for (
    const [text, sentence] of [
      ["2026-02-30", /"2026-02-30" is not a real date/],
      ["2026-02-30T00:00Z", /is not a real date/],
      ["5/6/2026", /is not a time/],
      ["1", /is not an epoch/],
      ["20260501", /is a date without separators/],
      ["tomorrow", /is not a time/],
      ["2026-05-01 02:30", /has no UTC offset/],
      ["2026-05-01T02:30:00", /has no UTC offset/],
      ["", /is not a time/],
    ] as const
  ) assert.throws(() => parseDate(text), { code: "invalid", message: sentence });
});

for (
  const [what, args, sentence, env = {}] of [
    ["a date without an offset", ["pipeline", "--all", "--date", "2026-05-01T02:30"], /has no UTC offset/],
    [
      "a date that has not come",
      ["pipeline", "--all", "--date", "9999-05-05"],
      /9999-05-05 has not come yet: the schedule starts its run when it is due\n/,
    ],
    [
      "a param that the dag does not have",
      ["pipeline", "run", "reembed", "--param", "modl=test:32"],
      /has no param "modl" \(did you mean "model"\?\); its params are model, /,
    ],
    ["an unknown command", ["pipelin"], /unknown command 'pipelin'\n\(Did you mean pipeline\?\)/],
    [
      "an unknown command of the pipeline",
      ["pipeline", "staus"],
      /no dag or command "staus" \(did you mean "status"\?\)/,
    ],
    ["an unknown dag", ["pipeline", "show", "nihgtly"], /no dag "nihgtly" \(did you mean "nightly"\?\)/],
    [
      "an unknown option",
      ["pipeline", "runs", "--limt", "3"],
      /unknown option '--limt'\n\(Did you mean --limit\?\)/,
    ],
    ["an unknown zone", ["pipeline", "runs"], /problem\(s\):\n- PARLEY_TIMEZONE: .*\n$/, {
      PARLEY_TIMEZONE: "Mars",
    }],
    ["a schedule that is never due", ["doctor"], /problem\(s\):\n- PARLEY_SCHEDULE: .* is never due.*\n$/, {
      PARLEY_SCHEDULE: "0 0 30 2 *",
    }],
  ] as [string, string[], RegExp, Record<string, string>?][]
) {
  Deno.test(`${what} ends a command with exit code 2 before it makes anything, and says what is right`, () =>
    withFolder(async (folder) => {
      const { code, stdout, stderr } = await runHere(folder, args, { env });
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, sentence);
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    }));
}

Deno.test("--help comes with a wrong configuration too", () =>
  withFolder(async (folder) => {
    const { code, stdout } = await runHere(folder, ["pipeline", "run", "--help"], {
      env: { PARLEY_SCHEDULE: "x" },
    });
    assert.equal(code, 0);
    assert.match(
      stdout,
      /--messages[^]*The params of the dags are not shown: the configuration has 1 problem/,
    );
  }));
