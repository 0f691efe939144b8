import assert from "node:assert/strict";
import { loadConfig } from "../../lib/config.ts";

const settings = () =>
  Deno.readTextFileSync(new URL("../../.env.example", import.meta.url)).split("\n")
    .flatMap((line) => /^(PARLEY_\w+)=(.*)$/.exec(line)?.slice(1) ?? []);

Deno.test("loadConfig() takes an empty environment and gives absolute places", () => {
  const config = loadConfig({}, "/home/somebody");
  assert.equal(config.data, "/home/somebody/.parley");
  assert.equal(config.documents.href, "sqlite:/home/somebody/.parley/documents.db");
  assert.equal(config.port, 8000);
  assert.ok(Object.isFrozen(config));
});

Deno.test("loadConfig() reports every problem at once", () => {
  const env = { PARLEY_PORT: "x", PARLEY_MAX_BAD_SHARE: "2", PARLEY_NONSENSE: "1" };
  assert.throws(() => loadConfig(env), /PORT[^]*MAX_BAD_SHARE|NONSENSE[^]*PORT[^]*MAX_BAD_SHARE/);
});

Deno.test("loadConfig() takes a number of days after which a purchase may be repeated, or never", () => {
  const days = (value?: string) => loadConfig({ PARLEY_REPURCHASE_DAYS: value }).repurchase_days;
  assert.deepEqual([days(), days("never"), days("0"), days("90")], [null, null, 0, 90]);
  assert.throws(() => days("soon"), /PARLEY_REPURCHASE_DAYS is neither never nor a number of days/);
  assert.throws(() => days("-1"), /PARLEY_REPURCHASE_DAYS is below 0/);
});

Deno.test("loadConfig() takes half of the users at most as the control share, and none by default", () => {
  const share = (value?: string) => loadConfig({ PARLEY_CONTROL_SHARE: value }).control_share;
  assert.deepEqual([share(), share("0"), share("0.02"), share("0.5")], [0, 0, 0.02, 0.5]);
  assert.throws(() => share("2"), /PARLEY_CONTROL_SHARE is above 0.5/);
});

Deno.test("loadConfig() refuses an address that can be reached from outside without keys", () => {
  assert.throws(() => loadConfig({ PARLEY_HOST: "0.0.0.0" }), /can be reached from outside/);
  const key = "0123456789abcdef";
  const config = loadConfig({ PARLEY_HOST: "0.0.0.0", PARLEY_API_KEYS: `read+admin:${key}` });
  assert.deepEqual(config.keys, [{ key, scopes: ["read", "admin"] }]);
  assert.throws(() => loadConfig({ PARLEY_API_KEYS: "root:0123456789abcdef" }), /key 1/);
});

Deno.test("loadConfig() takes origins of sites, and refuses an address with a path", () => {
  const origins = (value?: string) => loadConfig({ PARLEY_CORS_ORIGINS: value }).cors_origins;
  assert.deepEqual(origins(), []);
  assert.deepEqual(origins("https://a.example, http://localhost:5173"), [
    "https://a.example",
    "http://localhost:5173",
  ]);
  assert.deepEqual(origins("*"), ["*"]);
  for (
    const wrong of ["https://a.example/", "a.example", "https://a.example/shop", "https://a.example,null"]
  ) {
    assert.throws(() => origins(wrong), /PARLEY_CORS_ORIGINS has an entry that is no origin/, wrong);
  }
});

Deno.test("loadConfig() has all stores but cache and artifacts on the server in PARLEY_STORES, less those set apart", () => {
  const one = "postgres://me:secret@db:5432/parley?schema=x";
  const roles = ["documents", "vectors", "graph", "analytics", "runs"] as const;
  const all = loadConfig({ PARLEY_STORES: one }, "/x");
  assert.deepEqual(roles.map((role) => all[role].href), Array(5).fill(one));
  assert.deepEqual([...all.shared_stores].sort(), roles.toSorted());
  assert.deepEqual([all.cache.href, all.artifacts.href], ["memory:64mb", "file:///x/.parley/artifacts"]);
  const apart = { PARLEY_GRAPH: "neo4j://db:7687", PARLEY_ANALYTICS: "sqlite:/a.db" };
  const some = loadConfig({ PARLEY_STORES: one, ...apart }, "/x");
  assert.deepEqual([some.graph.href, some.analytics.href, some.runs.href], [...Object.values(apart), one]);
  assert.deepEqual([...some.shared_stores].sort(), ["documents", "runs", "vectors"]);
  assert.deepEqual(loadConfig({ PARLEY_ANALYTICS: one }).shared_stores, []);
});

Deno.test("loadConfig() refuses another server than PostgreSQL for all stores, in one sentence", () => {
  for (const url of ["mongodb://me:secret@h/db", "sqlite:./all.db", "milvus://h", "https://secret@h"]) {
    assert.throws(() => loadConfig({ PARLEY_STORES: url }), (error: Error) => {
      assert.match(
        error.message,
        /has 1 problem\(s\):\n- PARLEY_STORES has the scheme \w+:, and only a PostgreSQL can/,
      );
      return !error.message.includes("secret");
    });
  }
});

/** Stores by their settings and schemes, each with a login. */
const LOGINS = [
  ["PARLEY_DOCUMENTS", "mongodb://me:PASSWORD@h:27017/db"],
  ["PARLEY_DOCUMENTS", "mongodb+srv://me:PASSWORD@h/db"],
  ["PARLEY_DOCUMENTS", "postgres://me:PASSWORD@h:5432/db"],
  ["PARLEY_VECTORS", "milvus://root:PASSWORD@h:19530"],
  ["PARLEY_VECTORS", "milvuss://root:PASSWORD@h:19530"],
  ["PARLEY_GRAPH", "neo4j+s://neo4j:PASSWORD@h:7687"],
  ["PARLEY_GRAPH", "bolt://neo4j:PASSWORD@h:7687"],
  ["PARLEY_GRAPH", "postgresql://me:PASSWORD@h:5432/db"],
  ["PARLEY_ANALYTICS", "postgres://me:PASSWORD@h:5432/db"],
  ["PARLEY_RUNS", "postgresql://me:PASSWORD@h:5432/db"],
  ["PARLEY_STORES", "postgres://me:PASSWORD@h:5432/db"],
  ["PARLEY_CACHE", "redis://:PASSWORD@h:6379"],
  ["PARLEY_CACHE", "rediss://:PASSWORD@h:6379"],
] as const;

Deno.test("loadConfig() says which characters of a password have to be escaped, without the password", () => {
  const slashed =
    /has a user, a password or a key with \/ or \? or # in it: write them as %2F, %3F and %23 \(/;
  const percent = /holds a % that starts no escape: write it as %25$/;
  for (const [name, url] of LOGINS) {
    for (
      const [password, sentence] of [
        ["se/cret", slashed],
        ["12/34", slashed],
        ["se?cret", slashed],
        ["se#cret", slashed],
        ["100%", percent],
        ["%E0", percent],
      ] as const
    ) {
      assert.throws(() => loadConfig({ [name]: url.replace("PASSWORD", password) }), (error: Error) => {
        assert.match(error.message, /has 1 problem/);
        assert.ok(error.message.includes(`- ${name} `));
        assert.match(error.message, sentence);
        return !error.message.includes(password);
      });
    }
    loadConfig({ [name]: url.replace("PASSWORD", encodeURIComponent("a/b?c#d%e@f:g")) });
  }
  const key = "https://100%@in01.cloud.zilliz.com";
  assert.throws(() => loadConfig({ PARLEY_VECTORS: key }), /PARLEY_VECTORS holds a % that starts no escape/);
});

Deno.test("loadConfig() refuses a URL whose login ends at a / or ? or #, of whatever scheme, without showing it", () => {
  const cut = [
    "S3cr3t/k3y@h",
    "u:1234/S3cr3t@h:8339/",
    "S3cr3t?k3y@h",
    "S3cr3t#k3y@h",
    "S3cr3t/@h",
    "S3cr3t/?x=@h",
  ];
  for (
    const [name, ...schemes] of [
      ["PARLEY_DOCUMENTS", "mongodb", "mongodb+srv"],
      ["PARLEY_VECTORS", "https", "milvus"],
      ["PARLEY_GRAPH", "neo4j", "bolt+s"],
      ["PARLEY_ANALYTICS", "postgres"],
      ["PARLEY_STORES", "postgresql"],
      ["PARLEY_CACHE", "redis"],
      ["PARLEY_EMBEDDINGS", "https", "http", "tei+http"],
      ["PARLEY_MODELS", "https"],
      ["PARLEY_LINEAGE", "https", "http"],
      ["HF_ENDPOINT", "https"],
    ]
  ) {
    for (const url of schemes.flatMap((scheme) => cut.map((rest) => `${scheme}://${rest}`))) {
      assert.throws(() => loadConfig({ [name!]: url }), (error: Error) => {
        assert.match(error.message, /has 1 problem/, url);
        assert.match(error.message, /has a user, a password or a key with|holds credentials/, url);
        return !/S3cr3t|k3y|1234/i.test(error.message);
      }, `${name}=${url}`);
    }
  }
  for (const text of ["https:///u:S3cr3t@h/", "https:\\\\u:S3cr3t@h", "https:\\\\S3cr3t\\k3y@h"]) {
    assert.throws(() => loadConfig({ PARLEY_LINEAGE: text }), /PARLEY_LINEAGE holds credentials/, text);
  }
});

Deno.test("loadConfig() accepts an @ in a folder, in the name of a model and in escaped text", () => {
  const set = (PARLEY_EMBEDDINGS: string) => loadConfig({ PARLEY_EMBEDDINGS }, "/x").embeddings.href;
  for (
    const url of [
      "onnx:/models/org@2/model",
      "https://host/v1/embeddings?model=org/model@rev&dimensions=8",
      "https://host:8080/v1/embeddings?dimensions=8&model=org/model@rev",
      "https://host/ai/run/@cf/baai/bge?model=m",
      "https://host/models/gecko%40001?model=m",
      "http://host/v1?model=m&query_prefix=me@home",
    ]
  ) assert.equal(set(url), url);
  const { documents } = loadConfig({ PARLEY_DOCUMENTS: "sqlite:///srv/me@home/x.db" });
  assert.equal(documents.href, "sqlite:///srv/me@home/x.db");
  assert.equal(
    loadConfig({ PARLEY_DATA: "./me@home" }, "/x").documents.href,
    "sqlite:/x/me@home/documents.db",
  );
});

Deno.test("loadConfig() accepts a folder of any name for the data and for a model", () => {
  for (const folder of ["C# apps", "what?", "100%", "a%20b", "back\\slash", "a b", "é[x]"]) {
    const at = ({ pathname }: URL) => decodeURIComponent(pathname);
    const here = loadConfig({}, `/srv/${folder}`);
    assert.equal(here.data, `/srv/${folder}/.parley`);
    for (const name of ["documents", "analytics", "vectors", "graph", "runs"] as const) {
      assert.equal(at(here[name]), `/srv/${folder}/.parley/${name}.db`);
    }
    assert.equal(at(here.artifacts), `/srv/${folder}/.parley/artifacts`);
    const relative = loadConfig({ PARLEY_DOCUMENTS: "sqlite:./x.db" }, `/srv/${folder}`).documents;
    assert.equal(at(relative), `/srv/${folder}/x.db`);
    for (const scheme of ["onnx:", `onnx:/srv/`]) {
      const { embeddings } = loadConfig({ PARLEY_EMBEDDINGS: `${scheme}${folder}/m?dtype=fp16` }, "/srv");
      assert.deepEqual([at(embeddings), embeddings.search], [`/srv/${folder}/m`, "?dtype=fp16"]);
    }
  }
  for (const place of ["/srv/C#/x?.db", "///srv/C#/x?.db"]) {
    const { documents } = loadConfig({ PARLEY_DOCUMENTS: `sqlite:${place}` }, "/x");
    assert.equal(decodeURIComponent(documents.pathname), "/srv/C#/x?.db");
  }
});

Deno.test("loadConfig() takes the earliest day up to now alone", () => {
  assert.equal(loadConfig({ PARLEY_EARLIEST: "2001-01-01" }).earliest, Date.UTC(2001, 0, 1));
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
  for (const [day, sentence] of [[tomorrow, /is in the future/], ["1969-12-31", /is before 1970/]] as const) {
    assert.throws(() => loadConfig({ PARLEY_EARLIEST: day }), sentence);
  }
});

Deno.test("loadConfig() accepts the hosts of a MongoDB replica set, and names unsupported parts", () => {
  const set = (PARLEY_DOCUMENTS: string) => loadConfig({ PARLEY_DOCUMENTS }).documents.href;
  assert.equal(
    set("mongodb://u:p@h1:27017,h2:27017,h3:27017/db?replicaSet=rs0"),
    "mongodb://u:p@h1,h2,h3:27017/db?replicaSet=rs0",
  );
  assert.equal(set("mongodb://h1:27017,h2:27018"), "mongodb://h1,h2:27018");
  assert.equal(set("mongodb://u:a:27017,b@h/db"), "mongodb://u:a%3A27017,b@h/db", "a password is left alone");
  assert.throws(
    () => set("mongodb://u:p@h1:27018,h2:27018/db?replicaSet=rs0"),
    /PARLEY_DOCUMENTS names several hosts .* or write mongodb\+srv:\/\/$/,
  );
});

Deno.test("loadConfig() takes a lineage sink by http alone, and its token apart from its URL", () => {
  const { lineage, lineage_key } = loadConfig({
    PARLEY_LINEAGE: "http://marquez:5000",
    PARLEY_LINEAGE_KEY: "token",
  });
  assert.deepEqual([lineage?.href, lineage_key], ["http://marquez:5000/", "token"]);
  assert.equal(loadConfig({ PARLEY_LINEAGE: "" }).lineage, null);
  for (const wrong of ["marquez:5000", "kafka://broker/topic", "here"]) {
    assert.throws(() => loadConfig({ PARLEY_LINEAGE: wrong }), /PARLEY_LINEAGE is not a URL such as/);
  }
  assert.throws(() => loadConfig({ PARLEY_LINEAGE: "http://me:secret@marquez" }), (error: Error) => {
    return /set PARLEY_LINEAGE_KEY/.test(error.message) && !error.message.includes("secret");
  });
});

Deno.test("loadConfig() takes sinks of notifications whole, and names what is missing without a secret", () => {
  const whsec = `whsec_${btoa("a secret of two dozen bytes and more")}`;
  const { notify, deadline } = loadConfig({
    PARLEY_NOTIFY_WEBHOOK: "https://ops.example/hook",
    PARLEY_NOTIFY_WEBHOOK_SECRET: whsec,
    PARLEY_NOTIFY_SLACK: "https://hooks.slack.example/services/s3cret",
    PARLEY_NOTIFY_EMAIL: "ops@shop.example, ann@shop.example",
    PARLEY_NOTIFY_FROM: "parley@shop.example",
    PARLEY_SMTP: "smtps://parley:s3cret@mail.example:465",
    PARLEY_DEADLINE: "06:00",
  });
  assert.deepEqual([notify.webhook?.url.host, notify.webhook?.secret], ["ops.example", whsec]);
  assert.deepEqual([notify.slack?.pathname, notify.email?.to.length, deadline], [
    "/services/s3cret",
    2,
    "06:00",
  ]);
  assert.deepEqual(loadConfig({}).notify, { webhook: null, slack: null, email: null });
  const wrong: [Record<string, string>, RegExp][] = [
    [{ PARLEY_NOTIFY_WEBHOOK: "https://ops.example" }, /needs PARLEY_NOTIFY_WEBHOOK_SECRET, .*openssl rand/],
    [{ PARLEY_NOTIFY_WEBHOOK_SECRET: "s3cret" }, /is not whsec_ with 24 to 64 bytes/],
    [{ PARLEY_NOTIFY_SLACK: "https://me:s3cret@hooks.example" }, /PARLEY_NOTIFY_SLACK holds credentials/],
    [{ PARLEY_NOTIFY_EMAIL: "ops@shop.example" }, /needs PARLEY_SMTP and PARLEY_NOTIFY_FROM/],
    [{ PARLEY_NOTIFY_EMAIL: "ops" }, /is no address such as/],
    [{ PARLEY_SMTP: "s3cret" }, /PARLEY_SMTP is not a URL such as smtps:/],
    [{ PARLEY_DEADLINE: "6 am" }, /is not a time of day such as 06:00/],
  ];
  for (const [env, reason] of wrong) {
    assert.throws(() => loadConfig(env), (error: Error) => {
      return reason.test(error.message) && !error.message.includes("s3cret");
    });
  }
});

Deno.test(".env.example has every setting with its default", () => {
  const pairs = settings();
  const example = Object.fromEntries(pairs.flatMap((name, i) => i % 2 === 0 ? [[name, pairs[i + 1]!]] : []));
  assert.deepEqual(loadConfig(example, "/x"), loadConfig({}, "/x"));
  assert.ok(Object.keys(example).length >= 20);
});

Deno.test("loadConfig() refuses a schedule that is not crontab(5) or never due, and an unknown zone, all at once", () => {
  const refused: [string, RegExp][] = [
    ["0 0 30 2 *", /"0 0 30 2 \*" is never due/],
    ["0 0 31 4,6,9,11 *", /is never due/],
    ["0 0 32 * *", /is not crontab\(5\)/],
    ["0 0 * *", /has not the five fields/],
    ["0 0 0 * * *", /has not the five fields/],
    ["nightly", /has not the five fields/],
  ];
  for (const [PARLEY_SCHEDULE, sentence] of refused) {
    assert.throws(() => loadConfig({ PARLEY_SCHEDULE, PARLEY_TIMEZONE: "Middle/Earth" }), (error: Error) => {
      assert.match(
        error.message,
        /has 2 problem.*\n- PARLEY_TIMEZONE: "Middle\/Earth".*\n- PARLEY_SCHEDULE: /,
      );
      assert.match(error.message, sentence);
      return true;
    });
  }
  for (const PARLEY_SCHEDULE of ["0 0 29 2 *", "@daily", " 30 2 * * 1-5 "]) {
    assert.equal(loadConfig({ PARLEY_SCHEDULE }).schedule?.cron, PARLEY_SCHEDULE);
  }
  assert.equal(loadConfig({ PARLEY_SCHEDULE: "off" }).schedule, null);
});

Deno.test("loadConfig() suggests the setting that was meant", () => {
  for (const name of ["PARLEY_SHEDULE", "parley_schedule"]) {
    assert.throws(() => loadConfig({ [name]: "off" }), new RegExp(`${name} is not .*"PARLEY_SCHEDULE"\\?`));
  }
  assert.throws(() => loadConfig({ PARLEY_TIMEZONE: "Europe/Londn" }), /mean "Europe\/London"\?/);
  assert.throws(
    () => loadConfig({ PARLEY_XYZXYZXYZXYZ: "1" }),
    (error: Error) => !/mean/.test(error.message),
  );
});

Deno.test("loadConfig() takes secrets of own dags by any name, and permissions of Deno alone", () => {
  const env = { PARLEY_DAG_SECRET_SLACK_URL: "https://hooks.example", PARLEY_DAG_SECRET_EMPTY: "" };
  assert.deepEqual(loadConfig(env).dag_secrets, { SLACK_URL: "https://hooks.example" });
  assert.throws(() => loadConfig({ PARLEY_DAG_SECRETS: "x" }), /PARLEY_DAG_SECRETS is not a setting/);
  const permissions = (value: string) => loadConfig({ PARLEY_WORKER_PERMISSIONS: value }).worker_permissions;
  assert.deepEqual(permissions(" --allow-write=/srv/a,/srv/b  --allow-run=git "), [
    "--allow-write=/srv/a,/srv/b",
    "--allow-run=git",
  ]);
  for (const wrong of ["--allow-all", "-A", "main.ts", "--allow-write /srv"]) {
    assert.throws(() => permissions(wrong), /no permission of Deno/);
  }
});
