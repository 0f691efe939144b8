/**
 * Writes docs/configuration.md and .env.example from the settings' schema, and docs/openapi.json from the endpoints.
 *
 *     deno task docs
 */
import { z } from "../deps.ts";
import { Environment, SECTIONS } from "../lib/settings.ts";
import { ENDPOINTS } from "../routes/api/mod.ts";
import { openApiDocument } from "../routes/http/openapi.ts";
import config from "../deno.json" with { type: "json" };

/** A setting's JSON Schema, with the text of the reference. */
type Setting = z.core.JSONSchema.BaseSchema & { readonly empty?: string };

const properties = z.toJSONSchema(Environment, { io: "input", unrepresentable: "any" }).properties!;
const settingOf = (name: string): Setting => properties[name] as Setting;

const sections = (): [title: string, names: string[]][] =>
  Object.entries(SECTIONS).map(([title, shape]) => [title, Object.keys(shape)]);

/** The text after the `=`: the default, or nothing if the default is not a literal. */
export function defaultOf(name: string): string {
  const { default: value, empty } = settingOf(name);
  return empty !== undefined || value == null ? "" : String(value);
}

/** The values that the schema accepts, as a sentence; nothing if it accepts any text. */
function valuesOf({ enum: values, minimum, maximum, type }: Setting): string {
  if (values !== undefined) return `One of ${values.map((value) => `\`${value}\``).join(", ")}.`;
  if (type !== "number") return "";
  return `A number from ${minimum!.toLocaleString("en")} to ${maximum!.toLocaleString("en")}.`;
}

function entry(name: string): string {
  const setting = settingOf(name);
  const fallback = setting.empty ?? `\`${defaultOf(name)}\``;
  const text = [setting.description, valuesOf(setting), `Default: ${fallback}.`].filter((part) =>
    part !== ""
  );
  return `### \`${name}\`\n\n${wrap(text.join(" "), 110)}\n`;
}

/** docs/configuration.md. */
export function configurationPage(): string {
  const head = `# Configuration

<!-- Written by \`deno task docs\` from lib/settings.ts. Change it there. -->

${
    wrap(
      "Settings come from the environment, or from a file `.env` in the folder in which Parley is started. The environment takes " +
        "precedence. `.env.example` has every setting with its default. An empty value is the same as no value. `PARLEY_X_FILE` names " +
        "a file that holds the value of `PARLEY_X`, such as a secret that a container gets as a file. With an invalid " +
        "setting, such as a schedule that is never due, every command ends with exit code 2 and lists all errors. Parley ignores " +
        "the variables that Kubernetes sets in each pod for a Service named `parley`.",
      110,
    )
  }
`;
  const changes = `## After a change

${
    wrap(
      "A run detects a changed setting that affects derived data, even if no source has changed. If " +
        "`PARLEY_CONVERSATION_GAP_MINUTES` changes, it derives all users again; if `PARLEY_HALF_LIFE_DAYS` changes, popularity; " +
        "if `PARLEY_WEIGHTS` changes, the weights of sources; if the catalogue changes, intents. If `PARLEY_EARLIEST` changes, it reads sources again (stored rows stay). With " +
        "`PARLEY_MISSING_CAMPAIGNS=end` it ends campaigns that are missing from their source. If `PARLEY_EMBEDDINGS` or " +
        "`PARLEY_EMBED_LONG` changes, it fails, and the error names the command to switch. If `PARLEY_INTENTS` is unset, " +
        "messages keep their intents, and a warning says so.",
      110,
    )
  }
`;
  const parts = sections().map(([title, names]) => `## ${title}\n\n${names.map(entry).join("\n")}`);
  return [head, ...parts, changes].join("\n");
}

/** .env.example. */
export function environmentExample(): string {
  const head = comment(
    "Copy this file to .env and edit it. Every line shows the default. The process environment takes precedence over this file. As " +
      "in a shell, a # after a blank begins a comment, and a # inside a value is part of it; quotes preserve blanks.",
  );
  const parts = sections().map(([title, names]) => `# ${title}\n\n${names.map(example).join("\n")}`);
  const compose = comment(
    "Only docker-compose.yml reads these. It puts them into URLs unescaped, so use letters and digits only, such as the " +
      "output of `openssl rand -hex 16`.",
  ) + ["MONGODB", "NEO4J", "POSTGRES", "REDIS", "MINIO"].map((name) => `${name}_PASSWORD=\n`).join("");
  const traces = comment(
    "For traces, set Deno's own variables OTEL_DENO=true and OTEL_EXPORTER_OTLP_… in the process environment.",
  );
  return [head, ...parts, traces, compose].join("\n");
}

/** docs/openapi.json. */
export async function openApiFile(): Promise<string> {
  return JSON.stringify(await openApiDocument(ENDPOINTS, config.version), null, 2) + "\n";
}

function example(name: string): string {
  const { description, empty } = settingOf(name);
  const text = empty === undefined ? description! : `${description} Empty: ${empty}.`;
  return `${comment(text)}${name}=${defaultOf(name)}\n`;
}

const comment = (text: string) => wrap(text, 116).split("\n").map((line) => `# ${line}\n`).join("");

/** As many words to a line as fit. */
function wrap(text: string, width: number): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

if (import.meta.main) {
  const root = new URL("../", import.meta.url);
  Deno.writeTextFileSync(new URL("docs/configuration.md", root), configurationPage());
  Deno.writeTextFileSync(new URL(".env.example", root), environmentExample());
  Deno.writeTextFileSync(new URL("docs/openapi.json", root), await openApiFile());
}
