import { styleText } from "../../deps.ts";
import { iso } from "../core/clock.ts";
import { LOG_LEVELS, type LogLevel } from "../core/types.ts";

/** Fields of a log line: ids of requests and runs, numbers and states; never text, paths or ids of users. */
type LogDetails = Readonly<Record<string, unknown>>;

/** The log of one part of the program. `{name}` in a message is replaced by that field. */
export interface Logger {
  debug(message: string, details: LogDetails): void;
  info(message: string, details: LogDetails): void;
  warning(message: string, details: LogDetails): void;
  error(message: string, details: LogDetails): void;
}

let opened: ((part: string) => Logger) | null = null;

/** Opens this process's log on stderr once; later calls return the same log. Text on a terminal, otherwise JSON lines. */
export function openLog(level: LogLevel): (part: string) => Logger {
  return opened ??= createLog(level, Deno.stderr.isTerminal());
}

function createLog(lowest: LogLevel, terminal: boolean): (part: string) => Logger {
  const lines = new StderrLines();
  const format = terminal ? textLine : jsonLine;
  const write = (part: string, level: keyof Logger) => {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(lowest)) return () => {};
    const isUrgent = level === "warning" || level === "error";
    return (message: string, details: LogDetails) =>
      lines.add(format({ level, part, message: fill(message, details), details }), terminal || isUrgent);
  };
  return (part) => ({
    debug: write(part, "debug"),
    info: write(part, "info"),
    warning: write(part, "warning"),
    error: write(part, "error"),
  });
}

function fill(message: string, details: LogDetails): string {
  if (!message.includes("{")) return message;
  return message.replace(/\{(\w+)\}/g, (_, name) => String(details[name]));
}

interface LogLine {
  readonly level: keyof Logger;
  readonly part: string;
  readonly message: string;
  readonly details: LogDetails;
}

let [lastMs, lastTime] = [0, ""];

/** The time now. Several lines have the same, and to write it takes as long as the rest of a line. */
function time(): string {
  const now = Date.now();
  if (now !== lastMs) [lastMs, lastTime] = [now, iso(now)];
  return lastTime;
}

/** `{ at, level, part, message, …details }`. */
function jsonLine({ level, part, message, details }: LogLine): string {
  return `${JSON.stringify({ at: time(), level, part, message, ...details })}\n`;
}

const COLOURS = { debug: "gray", info: "green", warning: "yellow", error: "red" } as const;

function textLine({ level, part, message }: LogLine): string {
  return `${time().slice(11, 23)} ${styleText(COLOURS[level], level)} ${part}: ${message}\n`;
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
