import type { UserAnswer } from "../recommend/answer.ts";

/** How an export writes answers: a line for each answer as JSON, or one for each item as CSV (RFC 4180) with a header. */
export const EXPORT_FORMATS = ["ndjson", "csv"] as const;
export type ExportFormat = typeof EXPORT_FORMATS[number];

const COLUMNS = [
  "user_id",
  "position",
  "campaign_id",
  "title",
  "category",
  "score",
  "reason",
  "strategy",
  "version",
  "generated_at",
  "recommendation_id",
  "arm",
] as const;

/** What a file begins with. */
export function headerOf(format: ExportFormat): string {
  return format === "csv" ? `${COLUMNS.join(",")}\n` : "";
}

/** An answer as lines, each ended by a line feed and begun by the user's id, which {@link userOf} reads. */
export function linesOf(answer: UserAnswer, format: ExportFormat): string {
  const { user_id, ...rest } = answer;
  if (format === "ndjson") return `${JSON.stringify({ user_id, ...rest })}\n`;
  return answer.items.map((item, i) => {
    const { campaign_id, title, category, score, reasons } = item;
    const { strategy, version, generated_at, recommendation_id, arm } = answer;
    const row = {
      user_id,
      position: i + 1,
      campaign_id,
      title,
      category,
      score,
      strategy,
      version,
      generated_at,
      recommendation_id,
      arm,
    };
    const cells: Readonly<Record<string, string | number | null>> = {
      ...row,
      reason: reasons[0]?.code ?? null,
    };
    return `${COLUMNS.map((name) => cellOf(cells[name] ?? null)).join(",")}\n`;
  }).join("");
}

/** The user of a line; null for a header. */
export function userOf(line: string, format: ExportFormat): string | null {
  if (format === "ndjson") {
    const [, json = null] = /^\{"user_id":("(?:[^"\\]|\\.)*")/.exec(line) ?? [];
    return json === null ? null : JSON.parse(json);
  }
  if (`${line}\n` === headerOf("csv")) return null;
  const [, quoted, plain = null] = /^(?:"((?:[^"]|"")*)"|([^,]*)),/.exec(line) ?? [];
  return quoted?.replaceAll('""', '"') ?? plain;
}

/** A line break in a text becomes a space, so that each row is one line. */
function cellOf(value: string | number | null): string {
  const text = String(value ?? "").replaceAll(/\s*[\r\n]+\s*/g, " ");
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
