import assert from "node:assert/strict";

/** Which layer may import which: by path prefix, longest first. `deps` is deps.ts; a layer may always import itself. */
const LAYERS: readonly { readonly at: RegExp; readonly may: readonly RegExp[] }[] = [
  { at: /^lib\/core\//, may: [/^lib\/core\//] },
  {
    at: /^lib\/config\.ts$/,
    may: [/^lib\/core\//, /^lib\/dag\/schedule\.ts$/, /^lib\/(suggest|settings)\.ts$/],
  },
  { at: /^lib\/settings\.ts$/, may: [/^lib\/core\//] },
  { at: /^lib\/suggest\.ts$/, may: [] },
  { at: /^lib\/environment\.ts$/, may: [/^lib\/core\//] },
  { at: /^lib\/(schema|sources)\//, may: [/^lib\/core\//] },
  { at: /^lib\/dag\//, may: [/^lib\/core\//, /^lib\/suggest\.ts$/, /^lib\/stores\/runs\/port\.ts$/] },
  { at: /^lib\/embed\//, may: [/^lib\/core\//] },
  {
    at: /^lib\/stores\//,
    may: [/^lib\/core\//, /^lib\/stores\/engines\//, /^lib\/stores\/[^/]+\/port\.ts$/],
  },
  { at: /^lib\/telemetry\//, may: [/^lib\/core\//, /\/port\.ts$/] },
  { at: /^lib\/ml\//, may: [/^lib\/core\//] },
  { at: /^lib\/evaluate\//, may: [/^lib\/(core|ml|recommend)\//, /\/port\.ts$/] },
  {
    at: /^lib\/recommend\//,
    may: [
      /^lib\/recommend\//,
      /^lib\/core\//,
      /^lib\/ml\//,
      /^lib\/schema\/ids\.ts$/,
      /^lib\/telemetry\/spans\.ts$/,
      /\/port\.ts$/,
    ],
  },
  {
    at: /^lib\/(monitoring|data_checks)\//,
    may: [/^lib\/(core|ml|monitoring|data_checks)\//, /\/port\.ts$/, /^lib\/dag\/schedule\.ts$/],
  },
  {
    at: /^lib\/lineage\//,
    may: [/^lib\/core\//, /^lib\/telemetry\/log\.ts$/, /^lib\/stores\/runs\/port\.ts$/],
  },
  { at: /^lib\/intents\//, may: [/^lib\/(core|ml)\//, /\/port\.ts$/] },
  {
    at: /^tasks\//,
    may: [
      /^tasks\//,
      /^lib\/(core|schema|sources|dag|recommend|monitoring|data_checks|intents|evaluate)\//,
      /\/port\.ts$/,
    ],
  },
  {
    at: /^routes\//,
    may: [
      /^routes\//,
      /^lib\/(core|ml|recommend|monitoring|data_checks|dag|schema|intents|telemetry)\//,
      /\/port\.ts$/,
    ],
  },
  { at: /^commands\//, may: [/^lib\//, /^tasks\//, /^routes\//, /^deno\.json$/] },
  { at: /^main\.ts$/, may: [/^commands\//, /^lib\/(config|environment|core\/errors)\.ts$/] },
];

/** `lib/stores/open.ts` is where a URL becomes an adapter: the one file of its layer that knows them all. */
const OPENER = "lib/stores/open.ts";

const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);

function* sources(folder = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(ROOT + folder)) {
    const path = folder + name;
    if (isDirectory && !/^(\.|models|sample|tests|tools|node_modules)/.test(name)) yield* sources(`${path}/`);
    else if (/\.tsx?$/.test(name) && folder + name !== "deps.ts") yield path;
  }
}

/** What a file imports, static and dynamic, as paths from the root; outside code as it is written. */
function importsOf(path: string): string[] {
  // Lines of docstrings are left out: their examples import what a reader of them would.
  const text = Deno.readTextFileSync(ROOT + path).replace(/^ *\* .*$/gm, "");
  const found = text.matchAll(/(?:from\s+|import\s+|import\()"([^"]+)"/g);
  return [...found].map(([, to]) => to!).map((to) =>
    to.startsWith(".") ? new URL(to, `file:///${path}`).pathname.slice(1) : to
  );
}

/** The files that may import each other freely: one role of the stores, one layer of lib, one top folder. */
const roomOf = (path: string) => /^(lib\/stores\/[^/]+\/|lib\/[^/]+\/|[^/]+\/)/.exec(path)?.[1] ?? path;

Deno.test("imports run one way", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const path of sources()) {
    const layer = LAYERS.find(({ at }) => at.test(path));
    assert.ok(layer, `${path} is in no layer: name it in LAYERS`);
    for (const to of importsOf(path)) {
      seen++;
      const own = roomOf(to) === roomOf(path);
      const allowed = to === "deps.ts"
        ? !path.startsWith("lib/core/")
        : own || layer.may.some((may) => may.test(to));
      if (!allowed && path !== OPENER) wrong.push(`${path} → ${to}`);
    }
  }
  assert.ok(seen > 100, "the test reads the tree");
  assert.deepEqual(wrong, []);
});

Deno.test("outside code comes in through deps.ts alone", () => {
  const wrong = [...sources()].flatMap((path) =>
    importsOf(path).filter((to) => /^(npm|node|jsr|https?):/.test(to)).map((to) => `${path} → ${to}`)
  );
  assert.deepEqual(wrong, []);
});
