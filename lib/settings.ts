import { z } from "../deps.ts";
import { holdsLogin } from "./core/parse_url.ts";
import { LOG_LEVELS } from "./core/types.ts";

/** The text of the reference about a setting, in addition to its schema. */
interface About {
  readonly description: string;
  /** The meaning of an empty value, if it is not the schema's default. */
  readonly empty?: string;
}

const describe = <S extends z.ZodType>(schema: S, description: string, empty?: string): S =>
  schema.meta({ description, ...empty !== undefined && { empty } } satisfies About);

const number = (low: number, high: number) =>
  z.coerce.number({ error: "is not a number" }).min(low, `is below ${low}`).max(high, `is above ${high}`);
const list = z.string().transform((text) =>
  text.split(",").map((part) => part.trim()).filter((part) => part !== "")
);
const origins = list.refine(
  (all) => all.every((origin) => origin === "*" || URL.parse(origin)?.origin === origin),
  "has an entry that is no origin: write https://shop.example, without a path and without / at the end",
);
const text = z.string().optional();
/** An address that is posted to. */
const address = (example: string) =>
  z.url({ protocol: /^https?$/, error: `is not a URL such as ${example}` })
    .refine((text) => !holdsLogin(text), "holds credentials, which are not sent: leave them out")
    .transform((text) => new URL(text)).nullable().default(null);
const PERMISSION = /^--allow-(read|write|net|env|run|sys|ffi|import)(=\S+)?$/;
const secret = z.string().nullable().default(null);

const DATA = {
  PARLEY_DATA: describe(
    z.string().min(1).default("./.parley"),
    "The folder of the embedded stores. The tasks in deno.json may write `.parley` only. For another folder, run the task's line " +
      "from deno.json with `--allow-write=` and that folder.",
  ),
  PARLEY_MESSAGES: describe(
    list.default([]),
    "Messages that the nightly pipeline reads: files or folders, comma-separated. JSON, NDJSON or CSV, plain or gzipped.",
    "none",
  ),
  PARLEY_CAMPAIGNS: describe(
    list.default([]),
    "Campaigns that the pipeline reads, in the same form.",
    "none",
  ),
  PARLEY_EVENTS: describe(list.default([]), "Events that the pipeline reads, in the same form.", "none"),
  PARLEY_INBOX: describe(
    text,
    "A folder whose files can be selected for a run on the page of the pipeline, in addition to the sources above. Its " +
      "sub-folders are not offered, and links in it are not followed.",
    "none",
  ),
};

const STORES = {
  PARLEY_STORES: describe(
    text,
    "One PostgreSQL for the stores of documents, vectors, graph, analytics and runs: " +
      "`postgres://user:password@host:5432/parley`, version 14 or newer with pgvector 0.8 or newer. A store's own setting " +
      "below takes precedence. The cache and the artifacts are not part of it: for several API processes set " +
      "PARLEY_CACHE; for runs on several machines set PARLEY_ARTIFACTS to a bucket, or to a folder that they share.",
    "none",
  ),
  PARLEY_DOCUMENTS: describe(
    text,
    "The store of messages: `mongodb://user:password@host:27017/parley`, `postgres://user:password@host:5432/parley` or a " +
      "SQLite file. In the URL of any store, write `/ ? # %` in a user or a password as `%2F %3F %23 %25`, and `@` after the " +
      "host as `%40`.",
    "the server in PARLEY_STORES, or a SQLite file in PARLEY_DATA",
  ),
  PARLEY_VECTORS: describe(
    text,
    "The store of vectors: `milvus://host:19530`, `https://API_KEY@host` for Zilliz Cloud, " +
      "`postgres://user:password@host:5432/parley` for PostgreSQL 14 or newer with pgvector 0.8 or newer, or a SQLite file.",
    "the server in PARLEY_STORES, or a SQLite file in PARLEY_DATA",
  ),
  PARLEY_GRAPH: describe(
    text,
    "The store of the graph: `neo4j://neo4j:password@host:7687`, `postgres://user:password@host:5432/parley` or a SQLite " +
      "file.",
    "the server in PARLEY_STORES, or a SQLite file in PARLEY_DATA",
  ),
  PARLEY_ANALYTICS: describe(
    text,
    "The store of campaigns, events and data versions: `postgres://user:password@host:5432/parley` or a SQLite file.",
    "the server in PARLEY_STORES, or a SQLite file in PARLEY_DATA",
  ),
  PARLEY_RUNS: describe(
    text,
    "The store of run records, in the same form.",
    "the server in PARLEY_STORES or PARLEY_ANALYTICS, or a SQLite file in PARLEY_DATA",
  ),
  PARLEY_CACHE: describe(
    z.string().default("memory:64mb"),
    "The cache of answers: in memory with a maximum size, or `redis://:password@host:6379`.",
  ),
  PARLEY_ARTIFACTS: describe(
    text,
    "Where tasks write artifacts for each other: a folder, or for runs on several machines a bucket with Amazon's S3 API, " +
      "`s3://KEY:SECRET@bucket/prefix?region=eu-west-1`, with `&endpoint=https://host` for another service.",
    "artifacts/ in PARLEY_DATA",
  ),
};

const EMBEDDING = {
  PARLEY_EMBEDDINGS: describe(
    text,
    "The embedding model. `onnx:./models/NAME` is a folder in the layout of sentence-transformers with an ONNX export; " +
      "`onnx:sentence-transformers/all-roberta-large-v1` a model of a hub, fetched once into models/ in PARLEY_DATA; " +
      "`https://HOST/v1/embeddings?model=NAME` an OpenAI-compatible endpoint, with `&dimensions=N` to request a dimension; " +
      "`tei+http://HOST:8080` Text Embeddings Inference. Once data are loaded, change it by a run of the dag reembed.",
    "the bundled bge-small-en-v1.5",
  ),
  PARLEY_EMBEDDINGS_KEY: describe(
    secret,
    "The endpoint's API key. It is sent to the scheme, host and port in PARLEY_EMBEDDINGS and nowhere else.",
    "none",
  ),
  PARLEY_MODELS: describe(
    list.default([]),
    "Other models that can be selected for reembed on a page, comma-separated, in the form of PARLEY_EMBEDDINGS (a " +
      "comma in one as `%2C`). The command line takes any model.",
    "none",
  ),
  PARLEY_INTENTS: describe(
    text,
    "The catalogue of intents, a JSON file.",
    "the sample's own for the sample, and none for other data",
  ),
  PARLEY_EMBED_SESSIONS: describe(
    number(1, 256).default(() => navigator.hardwareConcurrency),
    "Number of texts that are embedded at one time, each by one core.",
    "the number of cores",
  ),
  PARLEY_EMBED_LONG: describe(
    z.enum(["truncate", "windows"], { error: "is neither truncate nor windows" }).default("truncate"),
    'Handling of texts that are too long for the model: "truncate" cuts off the end; "windows" embeds the first 64 overlapping ' +
      "windows and takes their mean. The stores treat the latter as another model.",
  ),
  PARLEY_ALLOW_TEST_EMBEDDER: describe(
    z.enum(["0", "1"], { error: "is neither 0 nor 1" }).default("0"),
    "1 allows start, serve and schedule to use PARLEY_EMBEDDINGS=test:DIMENSION, whose vectors mean nothing, and data that were " +
      "published with it.",
  ),
  HF_ENDPOINT: describe(
    z.url({ protocol: /^https?$/, error: "is not a URL such as https://huggingface.co" })
      .refine((text) => !holdsLogin(text), "holds credentials: set HF_TOKEN to a token")
      .nullable().default(null),
    "The hub that models are fetched from.",
    "Hugging Face",
  ),
  HF_TOKEN: describe(
    secret,
    "A token for models that are not public. It is sent to that hub and not to the target of a redirect.",
    "none",
  ),
};

const API = {
  PARLEY_HOST: describe(
    z.string().min(1).default("127.0.0.1"),
    "The address on which the API listens. Any address except loopback needs keys.",
  ),
  PARLEY_PORT: describe(number(0, 65_535).default(8000), "The port of the API; 0 selects a free port."),
  PARLEY_DRAIN_MS: describe(
    number(0, 600_000).default(0),
    "How long `serve` and `start` still answer after SIGTERM or Ctrl-C, in milliseconds, while `/readyz` says `stopping`. Set it " +
      "above the interval at which your proxy asks `/readyz`, and no request of a restart fails.",
  ),
  PARLEY_API_KEYS: describe(
    list.default([]),
    "Comma-separated `scopes:secret`. Scopes are read, write, admin; each includes those before it. A secret has 16 characters " +
      "or more, such as the output of `openssl rand -hex 16`.",
    "none, and the API is open on loopback",
  ),
  PARLEY_CORS_ORIGINS: describe(
    origins.default([]),
    "Sites whose pages may call the API from a browser, comma-separated, such as `https://shop.example`; `*` for any. Cookies " +
      "are never accepted from them. A key in a page can be read by its visitors: give it no scope but the ones that they may use.",
    "none",
  ),
  PARLEY_SECRET: describe(
    z.string().min(32, "has fewer than 32 characters").nullable().default(null),
    "The secret that signs the ids of answers, 32 characters or more, such as the output of `openssl rand -hex 32`. All " +
      "processes on one store need the same. If it changes, next pages of earlier answers are refused. Erased users are " +
      "recognised by a secret of the analytics store, whatever this one is.",
    "a random one that is made once and kept in the analytics store",
  ),
  PARLEY_RATE_LIMIT: describe(
    z.union([z.literal("none"), number(1, 100_000_000)], {
      error: "is neither none nor a number of requests from 1 to 100000000",
    }).default("none").transform((limit) => limit === "none" ? null : Math.floor(limit)),
    "How many requests each key may send in a minute; more are answered with 429. Without keys all requests count together; " +
      "pages, `/healthz` and others that need no key do not count. With PARLEY_CACHE on Redis, all API processes count together; " +
      "while it is down, each counts alone. If keys are given to others, or are in pages, 6000 is a start: 100 a second.",
  ),
  PARLEY_ANSWER_MS: describe(
    number(10, 60_000).default(250),
    "The time budget of an answer, in milliseconds. Stores that have not responded by then are left out and named.",
  ),
};

const PIPELINE = {
  PARLEY_SCHEDULE: describe(
    z.string().default("30 2 * * *"),
    'When the nightly pipeline runs: crontab(5), or "off". If day and weekday are both given, and neither begins with `*`, it ' +
      "runs on either. A time that the clock skips in spring is due at the first instant after the gap; one " +
      "from a `*` in minutes or hours is skipped.",
  ),
  PARLEY_TIMEZONE: describe(
    z.string().default("UTC"),
    "The IANA time zone of PARLEY_SCHEDULE and PARLEY_BACKUP_SCHEDULE.",
  ),
  PARLEY_DEADLINE: describe(
    z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "is not a time of day such as 06:00").nullable().default(
      null,
    ),
    "The time of day, in PARLEY_TIMEZONE, by which the scheduled nightly run is expected to have ended, such as `06:00`. If it has not, " +
      "a notification says so; the run continues.",
    "none",
  ),
  PARLEY_BACKUP_SCHEDULE: describe(
    z.string().default("off"),
    "When the dag `backup` copies the embedded stores into backups/ in PARLEY_DATA, as PARLEY_SCHEDULE is written.",
  ),
  PARLEY_BACKUP_COUNT: describe(
    z.coerce.number({ error: "is not a number" }).int("is not a whole number").min(1, "is below 1").default(
      7,
    ),
    "How many of these copies stay; each run of `backup` removes older ones. Those in other folders are not touched.",
  ),
  PARLEY_MAX_SOURCE_GB: describe(
    number(0.001, 1_000_000).default(10),
    "The maximum size of one source, in GB, both on disk and unzipped. A larger source is left out.",
  ),
  PARLEY_MAX_BAD_SHARE: describe(
    number(0, 1).default(0.2),
    "The share of invalid input rows above which a run stops before it writes to any store, if ten or more rows are invalid. A " +
      "run also stops if all rows are invalid.",
  ),
  PARLEY_EARLIEST: describe(
    z.iso.date({ error: "is not a day such as 1990-01-01" }).default("1990-01-01")
      .transform((day) => Date.parse(day))
      .refine((at) => at >= 0, "is before 1970")
      .refine((at) => at <= Date.now(), "is in the future: every message and event would be refused"),
    "The first day of accepted messages and events. An earlier row, or one that is more than a day after the run, is " +
      "refused.",
  ),
  PARLEY_RETENTION_DAYS: describe(
    number(1, 3_650).default(30),
    "How long refused rows, artifacts and the audit log are stored, in days.",
  ),
  PARLEY_LEASE_MS: describe(
    number(500, 3_600_000).default(15_000),
    "How long a process may be silent before another takes over its runs, in milliseconds.",
  ),
};

const MEANING = {
  PARLEY_HALF_LIFE_DAYS: describe(
    number(0.01, 3_650).default(365),
    "The number of days after which an event counts half for popularity. If demand changes within weeks, 30 is better.",
  ),
  PARLEY_WEIGHTS: describe(
    z.enum(["learnt", "fixed"], { error: "is neither learnt nor fixed" }).default("learnt"),
    'The weights of sources in answers: "learnt" has each run learn them from what users chose, for which it embeds up to 2,000 texts, ' +
      'and take them if they are not worse on other users; "fixed" are those that Parley has until there is enough data.',
  ),
  PARLEY_REPURCHASE_DAYS: describe(
    z.union([z.literal("never"), number(0, 36_500)], {
      error: "is neither never nor a number of days from 0 to 36500",
    }).default("never").transform((days) => days === "never" ? null : days),
    "The number of days after which a campaign may be shown again to a user who converted on it, if it has no repurchase_days: " +
      'a number, or "never".',
  ),
  PARLEY_EXPLORATION: describe(
    number(0, 0.5).default(0.1),
    "The share of an answer's slots for campaigns that were shown fewer than 200 times, in its second half: without it, a new " +
      "campaign that no source finds is never shown, and how good it is stays unknown. 0 turns it off.",
  ),
  PARLEY_CONVERSATION_GAP_MINUTES: describe(
    number(0.1, 100_000).default(30),
    "The number of minutes without a message after which a user's next message begins another conversation, if messages have " +
      "no conversation_id. An event without one belongs to the conversation of the last message, up to a week before it, or twice " +
      "this setting if that is longer. After a change the next run derives all users again.",
  ),
  PARLEY_CONTROL_SHARE: describe(
    number(0, 0.5).default(0),
    "The share of users, 0 to 0.5, who get the popular campaigns whatever is known of them, so that the effect of personal " +
      "answers can be measured. A user stays in it, or out of it, in every process. The default is 0 because each of " +
      "these users gets a worse answer and few users measure nothing: 0.02 is a start with 430,000 active users, 0.1 with " +
      "86,000.",
  ),
  PARLEY_EXPERIMENTS: describe(
    text,
    "A JSON file of experiments, which compare ways of ranking on parts of the users. It is read at the start.",
    "none",
  ),
  PARLEY_MISSING_CAMPAIGNS: describe(
    z.enum(["keep", "end"], { error: "is neither keep nor end" }).default("keep"),
    'Handling of campaigns that no source has any more: "keep" reports them; "end" sets their status to "ended" until a source ' +
      "has them again.",
  ),
  PARLEY_DAGS: describe(
    text,
    "A folder of your own dags: each `*.ts` file in it exports dags, see docs/own_dag.md. A secret that a dag declares as `NAME` is read " +
      "from the variable `PARLEY_DAG_SECRET_NAME`.",
    "none",
  ),
  PARLEY_WORKER_PERMISSIONS: describe(
    z.string().default("").transform((line) => line.split(/\s+/).filter((part) => part !== ""))
      .refine(
        (options) => options.every((option) => PERMISSION.test(option)),
        "has an entry that is no permission of Deno: write them as `--allow-write=/srv/reports --allow-run=git`",
      ),
    "What scheduled runs may do in addition to what Parley's own tasks need, as options of `deno run`, for your own dags. A run " +
      "that you start by hand has the permissions of its command line.",
    "nothing",
  ),
};

const WATCHING = {
  PARLEY_LINEAGE: describe(
    z.url({ protocol: /^https?$/, error: "is not a URL such as http://marquez:5000" })
      .refine(
        (text) => !holdsLogin(text),
        "holds credentials: set PARLEY_LINEAGE_KEY to a token, and write an @ in its path as %40",
      )
      .transform((text) => new URL(text)).nullable().default(null),
    "Where lineage is sent as OpenLineage events, such as `http://marquez:5000`; `?namespace=` sets the jobs' namespace.",
    "nowhere",
  ),
  PARLEY_LINEAGE_KEY: describe(secret, "A bearer token for PARLEY_LINEAGE.", "none"),
  PARLEY_NOTIFY_WEBHOOK: describe(
    address("https://ops.example/parley"),
    "Where notifications are posted as JSON: of failed runs and of the next success, of missed deadlines and of critical anomalies. They are " +
      "signed by the rules of https://www.standardwebhooks.com.",
    "nowhere",
  ),
  PARLEY_NOTIFY_WEBHOOK_SECRET: describe(
    z.string().regex(
      /^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/,
      'is not whsec_ with 24 to 64 bytes in base64: make one by `echo "whsec_$(openssl rand -base64 32)"`',
    ).nullable().default(null),
    'The secret that signs them, such as the output of `echo "whsec_$(openssl rand -base64 32)"`. PARLEY_NOTIFY_WEBHOOK needs it.',
    "none",
  ),
  PARLEY_NOTIFY_SLACK: describe(
    address("https://hooks.slack.com/services/…"),
    "An incoming webhook of Slack, or of another service that takes the same messages, such as Mattermost. Its address is a secret.",
    "none",
  ),
  PARLEY_NOTIFY_EMAIL: describe(
    list.refine(
      (all) => all.every((one) => z.email().safeParse(one).success),
      "has an entry that is no address such as ops@shop.example",
    ).default([]),
    "The addresses that notifications are mailed to, comma-separated. They need PARLEY_SMTP and PARLEY_NOTIFY_FROM.",
    "none",
  ),
  PARLEY_NOTIFY_FROM: describe(
    z.email("is no address such as parley@shop.example").nullable().default(null),
    "The sender of these mails.",
    "none",
  ),
  PARLEY_SMTP: describe(
    z.url({ protocol: /^smtps?$/, error: "is not a URL such as smtps://user:password@mail.shop.example" })
      .transform((text) => new URL(text)).nullable().default(null),
    "The server that sends mails: `smtps://user:password@host:465`, or `smtp://…:587`, which is encrypted if the server offers it. Write " +
      "`/ ? # % @` in a user or a password as `%2F %3F %23 %25 %40`.",
    "none",
  ),
  PARLEY_LOG: describe(
    z.enum(LOG_LEVELS, { error: `is not one of ${LOG_LEVELS.join(", ")}` }).default("info"),
    "The lowest level that is logged to stderr: as text on a terminal, else as JSON lines.",
  ),
};

/** The schema of the environment. `deno task docs` writes docs/configuration.md and .env.example from it. */
export const Environment = z.object({
  ...DATA,
  ...STORES,
  ...EMBEDDING,
  ...API,
  ...PIPELINE,
  ...MEANING,
  ...WATCHING,
});

/** The settings by topic, in the order of the reference. */
export const SECTIONS: Readonly<Record<string, Readonly<Record<string, z.ZodType>>>> = {
  "Data and sources": DATA,
  "Stores": STORES,
  "Embedding and intents": EMBEDDING,
  "The API": API,
  "Runs": PIPELINE,
  "Ranking and conversations": MEANING,
  "Monitoring": WATCHING,
};
