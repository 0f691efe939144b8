/** The words of docs, comments, messages and names: phrases and retired names that are not used, each with the better word. */
import assert from "node:assert/strict";

interface Rule {
  readonly found: RegExp;
  readonly better: string;
  /** A line that breaks the rule. */
  readonly planted: string;
}

const UNIT =
  "user|run|night|verb|core|batch|line|port|role|model|query|part|version|conversation|weight|dag|" +
  "step|page|text|word|task|day|request|store|build|campaign";
const COUNTED =
  "files?|functions?|rows?|lines?|sessions?|spans?|stores?|tasks?|vectors?|suites?|ports?|pages?|bytes|KB|MB|" +
  "texts?|scale|entry|call|objects?|impressions";

const RULES: Readonly<Record<string, Rule>> = {
  // An id such as "nobody" of an unknown user is data.
  nobody: {
    found: /(?<!["'`/=_-])\b(?:no|some|every|any)body\b(?!["'`/_-])/gi,
    better: "name the actor: a user, a caller, the operator, no process",
    planted: "Nobody has met it yet.",
  },
  whoever: {
    found: /\bwhoever\b|\bwho (?:asks|looks|watches|goes)\b/gi,
    better: "the caller, the client, a user who …",
    planted: "Whoever asks gets the same.",
  },
  "where there is": {
    found: /\bwhere (?:there (?:is|are|was|were)|none (?:is|are|was|does|has)|nothing (?:is|was|has))\b/gi,
    better: "if there is, if no",
    planted: "What to do next, where there is something.",
  },
  "is none": {
    found: /(?<!\bthere )\b(?:is|are|was|were) none\b/gi,
    better: "unknown, invalid, does not exist",
    planted: "A zone that is none.",
  },
  "goes on": {
    found: /\b(?:goes|go|going|went|gone) on\b/gi,
    better: "continues, is in progress",
    planted: "The run is going on.",
  },
  afresh: {
    found: /\banew\b|afresh\b/gi,
    better: "again, from the start, reset",
    planted: "It begins afresh.",
  },
  stands: {
    found: /\bstands\b(?! (?:for|out)\b)|\bstand (?:in|on|at|there)\b/gi,
    better: "is, has, contains",
    planted: "The reason stands in the log.",
  },
  "is told": {
    found: /\b(?:is|are|was|were|be) told\b/gi,
    better: "is reported, receives, is instructed",
    planted: "It is told of what ended.",
  },
  tells: { found: /\btells\b/gi, better: "reports, says, shows", planted: "The page tells what to do." },
  beside: {
    found: /(?<![."])\bbeside\b(?!")/gi,
    better: "next to, in addition to",
    planted: "It runs beside the other.",
  },
  wants: {
    found: /(?<!users? )\bwants\b(?!=)/gi,
    better: "needs, requires",
    planted: "The route wants a key.",
  },
  "at work": { found: /\bat work\b/gi, better: "in progress, running", planted: "A run is at work." },
  "in hand": { found: /\bin hand\b/gi, better: "acknowledged", planted: "It is known and in hand." },
  "all the same": {
    found: /\ball the same\b/gi,
    better: "anyway, still",
    planted: "It serves all the same.",
  },
  "for good": {
    found: /\bfor good\b/gi,
    better: "permanently, without retry",
    planted: "It fails for good.",
  },
  "no more": {
    found: /(?<!\b(?:is|are) )\bno more\b(?=[.,;:)]| until| then)/gi,
    better: "no longer, not … any more",
    planted: "It counts no more.",
  },
  "held against": {
    found: /\b(?:hold|holds|held|holding) (?:\w+ )?against\b/gi,
    better: "compared with",
    planted: "It is held against the last run.",
  },
  "goes by": { found: /\b(?:goes|go|went) by\b/gi, better: "uses, follows", planted: "It goes by the list." },
  "said of": { found: /\b(?:said|says|say) of\b/gi, better: "about", planted: "What is said of it." },
  mended: { found: /\bmend(?:s|ed)\b/gi, better: "fixed, repaired", planted: "The file is mended." },
  "a row a user": {
    found: new RegExp(`\\b(?:a|an|one|two|three|\\d+)(?: \\w+)? (?:${COUNTED}) an? (?:${UNIT})\\b`, "gi"),
    better: "per: one row per user",
    planted: "One file a verb.",
  },
  "what is kept": {
    found: /\bwhat (?:is|was|are|were) (?:kept|asked|told|held|seen|queued|due|hidden|left)\b/gi,
    better: "name the thing: the stored rows, the request, the queued runs",
    planted: "It executes what is queued.",
  },
  "not as it should be": {
    found: /\bas it should be\b|\bhow (?:everything|each \w+) (?:is|goes)\b/gi,
    better: "wrong, an anomaly; health",
    planted: "It says how everything is.",
  },
  // A name says what a thing is, as in the field: names that were replaced, and participles as types.
  "retired names": {
    found:
      /\b(?:touched (?:users?|TEXT)|touche[ds](?=\()|touchAll|listTouched|settledCampaigns|keepClassifier|KeptAnswers?|troubleOf|frameOf|workOff|cause_of_stop|sourcesOf|passedOver|inLanes|adoptFormer)\b/g,
    better: "the name that the code has now, such as dirty user, drainQueue, allow_failure, stop_reason",
    planted: "await store.touchAll();",
  },
  "limits without a unit": {
    found: /\b(?:const|let|readonly) (?:MOST|LEAST|PATIENCE|FAREWELL|STRETCH|DOUBT)\b/g,
    better: "MAX_… or MIN_… with a unit, such as CLOSE_TIMEOUT_MS",
    planted: "const PATIENCE = 2_000;",
  },
  "participles as types": {
    found:
      /\b(?:interface|type|class|enum) (?:Made|Seen|Asked|Told|Kept|Held|Judged|Guarded|Served|Settled|Touched|Given)\b/g,
    better: "a noun, such as StoredClassifier, ServedAnswer",
    planted: "interface Told {}",
  },
};

/** A space of a rule matches a line break in prose and in a comment too. */
const compile = ({ found }: Rule) =>
  new RegExp(found.source.replaceAll(" ", "\\s+(?:(?:\\*|//|#)\\s+)?"), found.flags);

/** Places that may use the words, with the reason. */
const ALLOWED: readonly (readonly [path: RegExp, reason: string])[] = [
  [/^tests\/vocabulary_test\.ts$/, "names what is not used"],
  [/^(models|sample\/.*json|deno\.lock|LICENSE)/, "not prose of the project"],
];

const ROOT = new URL("../", import.meta.url);
const TEXT = /\.(ts|tsx|js|css|md|json|yml|yaml|svg|sh)$|^\.env\.example$|^Dockerfile|^\.ci\//;
const HIDDEN = [".ci", ".github", ".env.example", ".vscode"];

function* paths(folder = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    const path = `${folder}${name}`;
    if (name.startsWith(".") && !HIDDEN.includes(name) || name === "node_modules") continue;
    if (isDirectory) yield* paths(`${path}/`);
    else if (TEXT.test(path) && !ALLOWED.some(([allowed]) => allowed.test(path))) yield path;
  }
}

/** Each use of what a rule forbids, as path, line, words and what to write instead. */
function uses(name: string, files: ReadonlyMap<string, string>): string[] {
  const rule = RULES[name]!;
  const found = compile(rule);
  return [...files].flatMap(([path, text]) =>
    [...text.matchAll(found)].map(({ 0: words, index }) =>
      `${path}:${text.slice(0, index).split("\n").length}: "${words}", better: ${rule.better}`
    )
  );
}

/** Of the changelog only what is not released yet. */
const read = (path: string) =>
  Deno.readTextFileSync(new URL(path, ROOT)).replace(path === "CHANGELOG.md" ? /^## \[\d[^]*/m : /$^/, "");
const FILES = new Map([...paths()].sort().map((path) => [path, read(path)]));

for (const [name, { planted }] of Object.entries(RULES)) {
  Deno.test(`no text of the repository uses "${name}", and a planted use is found`, () => {
    assert.deepEqual(uses(name, FILES), []);
    assert.equal(uses(name, new Map([["docs/planted.md", planted]])).length, 1);
    assert.equal(
      uses(name, new Map([["docs/planted.ts", `/**\n * ${planted.replaceAll(" ", "\n * ")}\n */`]])).length,
      1,
    );
  });
}
