import { loadLogTape, type LogRecord } from "../../deps.ts";
import type { LogLevel } from "../core/types.ts";

/** Fields of a log line: ids of requests and runs, numbers and states; never text, paths or ids of users. */
type LogDetails = Readonly<Record<string, unknown>>;

/** The log of one part of the program. `{name}` in a message is replaced by that field. */
export interface Logger {
  debug(message: string, details: LogDetails): void;
  info(message: string, details: LogDetails): void;
  warning(message: string, details: LogDetails): void;
  error(message: string, details: LogDetails): void;
}

let opened: Promise<(part: string) => Logger> | null = null;

/** Opens this process's log on stderr once; later calls return the same log. Text on a terminal, otherwise JSON lines. */
export function openLog(level: LogLevel): Promise<(part: string) => Logger> {
  return opened ??= configure(level, Deno.stderr.isTerminal());
}

async function configure(level: LogLevel, terminal: boolean): Promise<(part: string) => Logger> {
  const { configureSync, getAnsiColorFormatter, getLogger, getTextFormatter } = await loadLogTape();
  const textFormatter = Deno.noColor ? getTextFormatter : getAnsiColorFormatter;
  const forPeople = textFormatter({ timestamp: "time", value: String });
  const format = terminal ? forPeople : jsonLine;
  const lines = new StderrLines();
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

/** How many milliseconds a line, and how many characters together, may wait to be written. */
const MAX_WAIT_MS = 100;
const MAX_WAITING_CHARACTERS = 8_192;

/**
 * Lines on stderr, several in one write: a write for each would take longer than a cached answer. Urgent ones are written at
 * once; the last ones when the process ends.
 */
class StderrLines {
  private waiting = "";
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    addEventListener("unload", () => this.flush());
  }

  add(line: string, urgent: boolean): void {
    this.waiting += line;
    if (urgent || this.waiting.length > MAX_WAITING_CHARACTERS) return this.flush();
    if (this.timer !== undefined) return;
    const timer = this.timer = setTimeout(() => this.flush(), MAX_WAIT_MS);
    Deno.unrefTimer(timer);
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    let bytes = new TextEncoder().encode(this.waiting);
    this.waiting = "";
    try {
      while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
    } catch { /* the reader is gone or the disk is full: these lines are lost, and the program continues */ }
  }
}
