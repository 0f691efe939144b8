import { join, type z } from "../deps.ts";
import { ParleyError, reasonOf } from "./core/errors.ts";
import { absolute, localUrl, parseUrl } from "./core/parse_url.ts";
import { checkSchedule, type Schedule, timezoneProblem } from "./dag/schedule.ts";
import { didYouMean } from "./did_you_mean.ts";
import { type ApiKey, type Kind, type Scope, SCOPES } from "./core/types.ts";
import { Environment } from "./settings.ts";

/** Paths to read, by what they hold. */
export type Sources = Readonly<Record<Kind, readonly string[]>>;

/** Next to this program, whatever folder it is started from. */
const VENDORED_MODEL = decodeURIComponent(new URL("../models/bge-small-en-v1.5", import.meta.url).pathname);

type Values = z.infer<typeof Environment>;

/** Everything that can be set, checked and complete; `settings.ts` describes each setting. Paths are absolute. */
export type Config = Readonly<ReturnType<typeof build>> & {
  /** Secrets of the user's own dags, by the name that a dag declares. */
  readonly dag_secrets: Readonly<Record<string, string>>;
};

/** Turns an environment into a frozen configuration. Throws one `invalid` that lists every problem. */
export function loadConfig(env: Record<string, string | undefined>, cwd = Deno.cwd()): Config {
  const set = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => isSetting(name) && value !== ""),
  );
  const problems = Object.keys(env).filter((name) =>
    /^PARLEY_/i.test(name) && !isSetting(name) && !isTestSetting(name) && dagSecretName(name) === null
  )
    .map((name) =>
      `${name} is not a setting${
        didYouMean(name.toUpperCase(), Object.keys(Environment.shape))
      }; see .env.example`
    );
  const config = { ...build(parse(set, problems), cwd, problems), dag_secrets: dagSecrets(env) };
  if (problems.length > 0) {
    throw new ParleyError(
      "invalid",
      `the configuration has ${problems.length} problem(s):\n- ${problems.join("\n- ")}`,
    );
  }
  return Object.freeze(config);
}

/** Values of all settings; one that is wrong is reported and gives way to its default, so that the rest is checked too. */
function parse(set: Record<string, string | undefined>, problems: string[]): Values {
  const parsed = Environment.safeParse(set);
  if (parsed.success) return parsed.data;
  problems.push(...parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`));
  const wrong = new Set(parsed.error.issues.map(({ path }) => path[0]));
  return Environment.parse(Object.fromEntries(Object.entries(set).filter(([name]) => !wrong.has(name))));
}

function isSetting(name: string): boolean {
  return name in Environment.shape;
}

/** Settings of the tests, which this program does not read. */
function isTestSetting(name: string): boolean {
  return name.startsWith("PARLEY_TEST_");
}

/** The name by which a dag declares the secret that a variable holds; null if it holds none. */
function dagSecretName(variable: string): string | null {
  return /^PARLEY_DAG_SECRET_([A-Z][A-Z0-9_]*)$/.exec(variable)?.[1] ?? null;
}

function dagSecrets(env: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([variable, value]) => {
      const name = dagSecretName(variable);
      return name === null || value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}

function build(v: Values, cwd: string, problems: string[]) {
  const zone = timezoneProblem(v.PARLEY_TIMEZONE);
  if (zone !== null) problems.push(`PARLEY_TIMEZONE: ${zone}`);
  const data = absolute(v.PARLEY_DATA, cwd);
  const url = (name: keyof Values, otherwise: URL) =>
    v[name] === undefined ? otherwise : parseUrl(name, String(v[name]), cwd, problems);
  const server = v.PARLEY_STORES === undefined ? null : parseServer(v.PARLEY_STORES, cwd, problems);
  const sqlite = (file: string) => localUrl("sqlite", `${data}/${file}.db`);
  const analytics = url("PARLEY_ANALYTICS", server ?? sqlite("analytics"));
  const sources: Sources = {
    messages: v.PARLEY_MESSAGES.map((path) => absolute(path, cwd)),
    campaigns: v.PARLEY_CAMPAIGNS.map((path) => absolute(path, cwd)),
    events: v.PARLEY_EVENTS.map((path) => absolute(path, cwd)),
  };
  const stores = {
    documents: url("PARLEY_DOCUMENTS", server ?? sqlite("documents")),
    vectors: url("PARLEY_VECTORS", server ?? sqlite("vectors")),
    graph: url("PARLEY_GRAPH", server ?? sqlite("graph")),
    analytics,
    runs: url("PARLEY_RUNS", server ?? (analytics.protocol === "sqlite:" ? sqlite("runs") : analytics)),
  };
  return {
    data,
    ...stores,
    /** The stores on the server in PARLEY_STORES, less those that are set apart. */
    shared_stores: Object.entries(stores).flatMap(([name, { href }]) => href === server?.href ? [name] : []),
    cache: parseUrl("PARLEY_CACHE", v.PARLEY_CACHE, cwd, problems),
    artifacts: url("PARLEY_ARTIFACTS", localUrl("file", `${data}/artifacts`)),
    lineage: v.PARLEY_LINEAGE,
    lineage_key: v.PARLEY_LINEAGE_KEY,
    notify: parseNotify(v, problems),
    embeddings: url("PARLEY_EMBEDDINGS", localUrl("onnx", VENDORED_MODEL)),
    models: v.PARLEY_MODELS.map((text) => parseUrl("PARLEY_MODELS", text, cwd, problems)),
    intents: v.PARLEY_INTENTS === undefined ? null : absolute(v.PARLEY_INTENTS, cwd),
    embed_sessions: v.PARLEY_EMBED_SESSIONS,
    embed_long: v.PARLEY_EMBED_LONG,
    embeddings_key: v.PARLEY_EMBEDDINGS_KEY,
    hub: { endpoint: v.HF_ENDPOINT, token: v.HF_TOKEN },
    allow_test_embedder: v.PARLEY_ALLOW_TEST_EMBEDDER === "1",
    sources,
    inbox: v.PARLEY_INBOX === undefined ? null : join(absolute(v.PARLEY_INBOX, cwd), "/").slice(0, -1),
    deadline: v.PARLEY_DEADLINE,
    /** Null if the nightly run is switched off. */
    schedule: parseSchedule("PARLEY_SCHEDULE", v, problems),
    backup_schedule: parseSchedule("PARLEY_BACKUP_SCHEDULE", v, problems),
    backup_count: v.PARLEY_BACKUP_COUNT,
    host: v.PARLEY_HOST,
    port: v.PARLEY_PORT,
    drain_ms: v.PARLEY_DRAIN_MS,
    keys: parseKeys(v, problems),
    /** Null for the one that analytics keeps. */
    secret: v.PARLEY_SECRET,
    answer_ms: v.PARLEY_ANSWER_MS,
    cors_origins: v.PARLEY_CORS_ORIGINS,
    /** Requests per minute and key; null for any number. */
    rate_limit: v.PARLEY_RATE_LIMIT,
    max_source_bytes: v.PARLEY_MAX_SOURCE_GB * 1e9,
    max_bad_share: v.PARLEY_MAX_BAD_SHARE,
    /** Epoch milliseconds. */
    earliest: v.PARLEY_EARLIEST,
    retention_days: v.PARLEY_RETENTION_DAYS,
    lease_ms: v.PARLEY_LEASE_MS,
    half_life_days: v.PARLEY_HALF_LIFE_DAYS,
    weights: v.PARLEY_WEIGHTS,
    repurchase_days: v.PARLEY_REPURCHASE_DAYS,
    exploration: v.PARLEY_EXPLORATION,
    conversation_gap_minutes: v.PARLEY_CONVERSATION_GAP_MINUTES,
    control_share: v.PARLEY_CONTROL_SHARE,
    experiments: v.PARLEY_EXPERIMENTS === undefined ? null : absolute(v.PARLEY_EXPERIMENTS, cwd),
    missing_campaigns: v.PARLEY_MISSING_CAMPAIGNS,
    dags: v.PARLEY_DAGS === undefined ? null : absolute(v.PARLEY_DAGS, cwd),
    worker_permissions: v.PARLEY_WORKER_PERMISSIONS,
    log: v.PARLEY_LOG,
  };
}

/** The URL of a server that can have all stores. */
function parseServer(text: string, cwd: string, problems: string[]): URL {
  const url = parseUrl("PARLEY_STORES", text, cwd, problems);
  if (!/^(postgres(ql)?|invalid):$/.test(url.protocol)) {
    problems.push(
      `PARLEY_STORES has the scheme ${url.protocol}, and only a PostgreSQL can have all stores: write ` +
        "postgres://user:password@host:5432/parley, or set each store by its own setting, such as PARLEY_DOCUMENTS",
    );
  }
  return url;
}

function parseSchedule(
  name: "PARLEY_SCHEDULE" | "PARLEY_BACKUP_SCHEDULE",
  { [name]: cron, PARLEY_TIMEZONE: timezone }: Values,
  problems: string[],
): Pick<Schedule, "cron" | "timezone"> | null {
  const zone = timezoneProblem(timezone);
  if (cron === "off") return null;
  try {
    checkSchedule({ cron, timezone: zone === null ? timezone : "UTC" });
  } catch (error) {
    problems.push(`${name}: ${reasonOf(error)}; "off" switches it off`);
  }
  return { cron, timezone };
}

/** Where failures, missed deadlines and critical anomalies are reported; each null for nowhere. */
function parseNotify(v: Values, problems: string[]) {
  const { PARLEY_NOTIFY_WEBHOOK: url, PARLEY_NOTIFY_WEBHOOK_SECRET: secret } = v;
  const { PARLEY_NOTIFY_EMAIL: to, PARLEY_NOTIFY_FROM: from, PARLEY_SMTP: smtp } = v;
  if (url !== null && secret === null) {
    problems.push(
      "PARLEY_NOTIFY_WEBHOOK needs PARLEY_NOTIFY_WEBHOOK_SECRET, which signs what is sent: make one by " +
        '`echo "whsec_$(openssl rand -base64 32)"`',
    );
  }
  if (to.length > 0 && (from === null || smtp === null)) {
    problems.push("PARLEY_NOTIFY_EMAIL needs PARLEY_SMTP and PARLEY_NOTIFY_FROM: set both");
  }
  return {
    webhook: url === null || secret === null ? null : { url, secret },
    slack: v.PARLEY_NOTIFY_SLACK,
    email: to.length === 0 || from === null || smtp === null ? null : { smtp, from, to },
  };
}

function parseKeys({ PARLEY_API_KEYS, PARLEY_HOST }: Values, problems: string[]): ApiKey[] {
  const keys = PARLEY_API_KEYS.map((text, i): ApiKey => {
    const [, names = "", key = ""] = /^([a-z+]+):(.{16,})$/.exec(text) ?? [];
    const scopes = names.split("+").filter((name): name is Scope =>
      (SCOPES as readonly string[]).includes(name)
    );
    if (scopes.length === 0 || scopes.length < names.split("+").length) {
      problems.push(
        `PARLEY_API_KEYS: key ${i + 1} is not "scope:secret": scopes are ${SCOPES.join("+")}, and the ` +
          "secret has 16 characters or more",
      );
    }
    return { key, scopes };
  });
  if (keys.length === 0 && !isLoopback(PARLEY_HOST)) {
    problems.push(
      `PARLEY_HOST ${PARLEY_HOST} can be reached from outside: set PARLEY_API_KEYS, or use 127.0.0.1`,
    );
  }
  return keys;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
