import { loadCsv, Readable } from "../../deps.ts";
import { MAX_ROW_CHARACTERS } from "./row_buffer.ts";
import { markRow } from "./row_problem.ts";
import { Malformed, NotRows } from "./splitter.ts";

const NAMED_CSV = /\.(?:csv|tsv)(?:\.gz)?$/i;
const DELIMITERS = [",", ";", "\t"];
/** The line that defines the separator of cells for a spreadsheet. */
const SEPARATOR_LINE = /^"?sep=([,;\t|])"?\s*$/i;
/** A header that has one of these is one of rows, whatever the source is called. */
const ROW_IDS = ["user_id", "campaign_id"];
/** No header is longer. */
const MAX_HEADER_CHARACTERS = 65_536;

/** Separates the items of a list in a cell, as a comma would end the cell. */
const LIST_SEPARATOR = "|";
const LISTS: ReadonlySet<string> = new Set(["aliases", "intents", "tags"]);
/** Cells of these columns are numbers, and those of the other an object, both as JSON writes them. */
const JSON_CELLS: ReadonlySet<string> = new Set(["repurchase_days", "metadata"]);

/** Stands for a byte that is not UTF-8 on the way through the parser, which takes no lone surrogate. No text has it. */
const INVALID = "\ufdd0";
const LONE_SURROGATE = /\p{Surrogate}/gu;

/**
 * What separates the cells of a CSV source, by its beginning and its name: text with a header of rows is one, and so is a
 * `.csv` or `.tsv` file that does not hold JSON. A first line `sep=;` defines it. Undefined if the text is not CSV, null while that is unknown.
 */
export function csvDelimiter(
  head: string,
  { uri, isWhole }: { uri: string; isWhole: boolean },
): string | null | undefined {
  const text = head.trimStart();
  if (text === "") return null;
  if (/^[[{]/.test(text)) return undefined;
  const end = text.search(/[\r\n]/);
  if (end < 0 && !isWhole && text.length < MAX_HEADER_CHARACTERS) return null;
  const line = end < 0 ? text : text.slice(0, end);
  const [, separator] = SEPARATOR_LINE.exec(line) ?? [];
  if (separator !== undefined) return separator;
  const [delimiter, names] = DELIMITERS.map((candidate) => [candidate, namesIn(line, candidate)] as const)
    .reduce((best, candidate) => candidate[1].length > best[1].length ? candidate : best);
  const isHeader = names.length > 1 && ROW_IDS.some((id) => names.includes(id));
  return isHeader || NAMED_CSV.test(uri) ? delimiter : undefined;
}

function namesIn(line: string, delimiter: string): string[] {
  return line.split(delimiter).map((name) => name.trim().replace(/^"(.*)"$/, "$1"));
}

/**
 * The rows of CSV text as JSON objects with the names of its header; a cell without text is absent. A row is at the line on
 * which it begins: the header, blank lines, and further lines of a row are empty strings. Throws {@link Malformed} and {@link NotRows}.
 */
export async function* csvRows(pieces: AsyncIterable<string>, delimiter: string): AsyncGenerator<string[]> {
  const { parse } = await loadCsv();
  // Where the last row ended, as soon as it is parsed: an error overtakes rows that wait to be read.
  let last: LineCounts = { lines: 0, empty_lines: 0 };
  const parser = parse({
    delimiter,
    info: true,
    raw: true,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    record_delimiter: ["\r\n", "\n", "\r"],
    max_record_size: MAX_ROW_CHARACTERS,
    on_record: (record, { lines, empty_lines }) => {
      last = { lines, empty_lines };
      return record;
    },
  });
  const source = Readable.from(wellFormed(pieces));
  source.on("error", (error) => parser.destroy(error));
  let header: Header | null = null, line = 0;
  try {
    for await (const { record, raw, info: { lines } } of source.pipe(parser) as AsyncIterable<ParsedRecord>) {
      const firstLine = lines - record.reduce((sum, cell) => sum + lineEnds(cell), 0);
      const blank = Array<string>(Math.max(0, firstLine - 1 - line)).fill("");
      line += blank.length + 1;
      if (line === blank.length + 1 && SEPARATOR_LINE.test(record.join(delimiter))) {
        yield [...blank, ""];
        continue;
      }
      const row = header?.row(record) ?? "";
      yield [...blank, hasOpenQuote(record, raw) ? markRow(row, "open_quote") : row];
      header ??= new Header(record);
    }
  } catch (error) {
    throw explain(error, last);
  } finally {
    source.destroy();
  }
}

/**
 * Whether a quote of this row was closed only by one further down, at which the parser gives the cell up and returns it with its
 * quote. A cell that begins with a quote of its own has three of them in the file.
 */
function hasOpenQuote(record: readonly string[], raw: string): boolean {
  return record.some((cell) => cell.startsWith('"') && lineEnds(cell) > 0) && !raw.includes('"""');
}

interface ParsedRecord {
  readonly record: readonly string[];
  /** As it is in the file. */
  readonly raw: string;
  readonly info: { readonly lines: number };
}

async function* wellFormed(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const piece of pieces) {
    yield piece.isWellFormed() ? piece : piece.replace(LONE_SURROGATE, INVALID);
  }
}

function lineEnds(cell: string): number {
  return cell.match(/\r\n|\n|\r/g)?.length ?? 0;
}

/** How many lines there are up to a row's end, and how many of them are blank. */
interface LineCounts {
  readonly lines: number;
  readonly empty_lines: number;
}

/** The parser's own sentences may quote text. `last` is where the last row before the fault ended. */
function explain(error: unknown, last: LineCounts): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const { empty_lines } = error as Partial<LineCounts>;
  const line = last.lines + 1 + (empty_lines ?? 0) - last.empty_lines;
  if (code === "CSV_QUOTE_NOT_CLOSED") {
    return new Malformed(`ends inside a quoted cell: a quote in the row at line ${line} is not closed`);
  }
  if (code === "CSV_MAX_RECORD_SIZE") {
    return new Malformed(
      `holds a row that is longer than ${
        MAX_ROW_CHARACTERS / 2 ** 20
      } MiB: look for a quote at line ${line} that is not closed`,
    );
  }
  return code.startsWith("CSV_") ? new Malformed(`is damaged as CSV (${code})`) : error;
}

/** The first row, which names the cells of the others. */
class Header {
  private readonly names: readonly string[];

  constructor(record: readonly string[]) {
    this.names = record.map((name) => name.trim());
    const duplicate = this.names.find((name, n) => name !== "" && this.names.indexOf(name) < n);
    if (duplicate !== undefined) throw new NotRows("has two columns of the same name in its header");
    if (this.names.length === 1) {
      throw new NotRows("has one column in its header: separate cells by commas, semicolons or tabs");
    }
  }

  row(record: readonly string[]): string {
    const fields = record.flatMap((cell, n) => {
      const name = this.names[n] ?? "";
      return cell === "" || name === "" ? [] : [[name, valueOf(name, cell)] as const];
    });
    const row = JSON.stringify(Object.fromEntries(fields));
    if (row.includes(INVALID)) return markRow(row.replaceAll(INVALID, "\ufffd"), "not_utf8");
    return record.slice(this.names.length).some((cell) => cell !== "") ? markRow(row, "too_many_cells") : row;
  }
}

function valueOf(name: string, cell: string): unknown {
  if (LISTS.has(name)) {
    return cell.split(LIST_SEPARATOR).map((item) => item.trim()).filter((item) => item !== "");
  }
  if (!JSON_CELLS.has(name)) return cell;
  try {
    return JSON.parse(cell);
  } catch {
    // The schema refuses text here, and says why.
    return cell;
  }
}
