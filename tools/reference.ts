/**
 * Writes docs/configuration.md and .env.example from the settings' schema, so that both say what the program takes.
 *
 *     deno task docs
 */
import { z } from "../deps.ts";
import { Environment, SECTIONS } from "../lib/settings.ts";

/** A setting's schema, as JSON Schema has it, with what the reference says. */
type Setting = z.core.JSONSchema.BaseSchema & { readonly empty?: string };

const properties = z.toJSONSchema(Environment, { io: "input", unrepresentable: "any" }).properties!;
const settingOf = (name: string): Setting => properties[name] as Setting;

const sections = (): [title: string, names: string[]][] =>
  Object.entries(SECTIONS).map(([title, shape]) => [title, Object.keys(shape)]);

/** What stands after the `=`: the default, or nothing where it is no literal. */
export function defaultOf(name: string): string {
  const { default: value, empty } = settingOf(name);
  return empty !== undefined || value == null ? "" : String(value);
}

/** What the schema takes, as a sentence; nothing where any text may be right. */
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
      "Settings come from the environment, or from a file `.env` in the folder that Parley is started in, which goes after it. " +
        "`.env.example` has every setting with its default. An empty value counts as none. A setting that is wrong, such as a " +
        "schedule that is never due, ends every command with exit code 2 and a list of all that is wrong. The variables that " +
        "Kubernetes gives each pod for a Service named `parley` are not taken for settings.",
      110,
    )
  }
`;
  const changes = `## After a change

${
    wrap(
      "A run notices a setting that changes what is derived, also if no source has changed: it derives all users again after " +
        "another `PARLEY_CONVERSATION_GAP_MINUTES`, popularity after another `PARLEY_HALF_LIFE_DAYS`, and intents after another " +
        "catalogue; it reads sources again after another `PARLEY_EARLIEST` (what is stored stays), and ends campaigns that have " +
        "left their source after `PARLEY_MISSING_CAMPAIGNS=end`. After another `PARLEY_EMBEDDINGS` or `PARLEY_EMBED_LONG` it " +
        "fails, and the error names the command that changes over. Without `PARLEY_INTENTS`, if it was set before, messages keep " +
        "their intents, and a warning says so.",
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
    "Copy to .env and change what you need. Every line shows the default. The process environment goes before this file. As in " +
      "a shell, a # after a blank begins a comment, and one inside a value is part of it; quotes keep blanks.",
  );
  const parts = sections().map(([title, names]) => `# ${title}\n\n${names.map(example).join("\n")}`);
  const compose = comment(
    "Read by docker-compose.yml alone, which puts them into URLs as they are: letters and digits only, such as " +
      "`openssl rand -hex 16` prints.",
  ) + ["MONGODB", "NEO4J", "POSTGRES", "REDIS", "MINIO"].map((name) => `${name}_PASSWORD=\n`).join("");
  const traces = comment(
    "Traces are Deno's own: OTEL_DENO=true and the OTEL_EXPORTER_OTLP_… variables, in the process environment.",
  );
  return [head, ...parts, traces, compose].join("\n");
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
}
