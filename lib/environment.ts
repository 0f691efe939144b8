import { parseEnv } from "../deps.ts";
import { messageOf, ParleyError } from "./core/errors.ts";

type Environment = Record<string, string | undefined>;

/**
 * What is set: by a file, if there is one, and by the process environment, which wins. `PARLEY_X_FILE` names a file that holds the
 * value of `PARLEY_X`, such as a secret that a container gets as a file.
 */
export function readEnvironment(
  { file = ".env", process = Deno.env.toObject() }: { file?: string; process?: Environment } = {},
): Environment {
  return withFileValues({ ...readEnvFile(file), ...withoutServiceLinks(process) });
}

function withFileValues(environment: Environment): Environment {
  const values: Environment = {};
  for (const [name, value] of Object.entries(environment)) {
    const setting = /^(PARLEY_\w+)_FILE$/.exec(name)?.[1];
    if (setting === undefined) values[name] ??= value;
    else if (value !== undefined && value !== "") {
      if ((environment[setting] ?? "") !== "") {
        throw new ParleyError("invalid", `${setting} and ${name} are both set: unset one`);
      }
      values[setting] = readValue(name, value);
    }
  }
  return values;
}

/** The text of a file without the line break at its end. */
function readValue(name: string, path: string): string {
  try {
    return Deno.readTextFileSync(path).trimEnd();
  } catch (error) {
    throw new ParleyError("invalid", `the file of ${name} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function readEnvFile(file: string): Environment {
  let text: string;
  try {
    text = decode(Deno.readFileSync(file));
  } catch (error) {
    const { NotFound, NotCapable, IsADirectory } = Deno.errors;
    if ([NotFound, NotCapable, IsADirectory].some((kind) => error instanceof kind)) return {};
    throw new ParleyError("invalid", `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const values = parseEnv(quoteHashes(text));
  const problems = [
    ...strayLines(text).map((line) => `line ${line} is not NAME=value`),
    ...Object.entries(values).filter(([, value]) => value?.includes("\ufffd"))
      .map(([name]) => `the value of ${name} is not UTF-8: save the file as UTF-8`),
  ];
  if (problems.length === 0) return values;
  throw new ParleyError("invalid", `${file} cannot be read: ${problems.join("; ")}`);
}

/** An assignment with a value in quotes, which may go over several lines, or without; a comment; or a line with nothing on it. */
const LINE =
  /^\s*(?:export\s+)?[\w.-]+[^\S\n]*=[^\S\n]*(?:"[^"]*"|'[^']*'|`[^`]*`)?[^\n]*\n|^[^\S\n]*(?:#[^\n]*)?\n/gm;

/** The numbers of lines that set nothing, such as `NAME: value`: `parseEnv` leaves them out silently. */
function strayLines(text: string): number[] {
  const rest = `${text}\n`.replace(LINE, (lines) => "\n".repeat(lines.split("\n").length - 1));
  return rest.split("\n").flatMap((line, i) => line === "" ? [] : [i + 1]);
}

/** Editors on Windows write a byte order mark, and PowerShell 5 UTF-16. */
function decode(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const utf16 = first === 0xff && second === 0xfe
    ? "utf-16le"
    : first === 0xfe && second === 0xff
    ? "utf-16be"
    : null;
  return new TextDecoder(utf16 ?? "utf-8").decode(bytes);
}

/** As in a shell, a # begins a comment only after a blank: one inside a value without quotes, such as a password, is part of it. */
function quoteHashes(text: string): string {
  return text.replace(
    /^(\s*(?:export\s+)?[\w.-]+[^\S\n]*=[^\S\n]*)([^\s"'`#].*?)(?:[^\S\n]+#.*)?$/gm,
    (line, name, value) => {
      // `parseEnv` expands \n between double quotes.
      const quote = ["'", "`", '"'].find((mark) => !value.includes(mark));
      return quote === undefined || !value.includes("#") ? line : name + quote + value.trimEnd() + quote;
    },
  );
}

/** For a Service named `parley` or `parley-…`, Kubernetes sets variables in every pod that look like Parley's settings. */
function withoutServiceLinks(process: Environment): Environment {
  const services = Object.keys(process).flatMap((name) =>
    /^(PARLEY(?:_\w+)?)_SERVICE_HOST$/.exec(name)?.[1] ?? []
  );
  const isLink = (name: string, value = "") =>
    services.some((service) =>
      name.startsWith(`${service}_SERVICE_`) || name.startsWith(`${service}_PORT_`) ||
      (name === `${service}_PORT` && value.includes("://"))
    );
  return Object.fromEntries(Object.entries(process).filter(([name, value]) => !isLink(name, value)));
}
