import { loadLogTape, type LogRecord } from "../../deps.ts";
import type { LogLevel } from "../core/types.ts";
import { Lines } from "./lines.ts";

/** What stands beside a message. Ids of requests and runs, figures and states: never text, paths or ids of users. */
type Details = Readonly<Record<string, unknown>>;

/** Lines of one part of the program. `{name}` in a message stands for that detail. */
export interface Logger {
  debug(message: string, details: Details): void;
  info(message: string, details: Details): void;
  warning(message: string, details: Details): void;
  error(message: string, details: Details): void;
}

let opened: Promise<(part: string) => Logger> | null = null;

/** Opens this process's log on stderr, once: later calls get the same. For people on a terminal, elsewhere JSON lines. */
export function openLog(level: LogLevel): Promise<(part: string) => Logger> {
  return opened ??= configure(level, Deno.stderr.isTerminal());
}

async function configure(level: LogLevel, terminal: boolean): Promise<(part: string) => Logger> {
  const { configureSync, getAnsiColorFormatter, getLogger, getTextFormatter } = await loadLogTape();
  const textFormatter = Deno.noColor ? getTextFormatter : getAnsiColorFormatter;
  const forPeople = textFormatter({ timestamp: "time", value: String });
  const format = terminal ? forPeople : jsonLine;
  const lines = new Lines();
  const stderr = (record: LogRecord) => lines.add(format(record), terminal || isUrgent(record));
  const lowestLevel = level === "off" ? null : level;
  configureSync({
    sinks: { stderr },
    loggers: [
      { category: "parley", lowestLevel, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
  return (part) => getLogger(["parley", part]);
}

function isUrgent({ level }: LogRecord): boolean {
  return level !== "debug" && level !== "info";
}

/** `{ at, level, part, message, …details }`. LogTape's own formatter takes three times as long. */
function jsonLine({ timestamp, level, category, message, properties }: LogRecord): string {
  const at = new Date(timestamp).toISOString();
  const line = { at, level, part: category.at(-1), message: message.join(""), ...properties };
  return `${JSON.stringify(line)}\n`;
}
