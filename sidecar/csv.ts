// CSV (RFC 4180), as both kinds of usage reports are: a field in quotes may hold commas, line ends and doubled quotes.

/** What is wrong with a record: at `line` of what was read, from 1. */
export class CsvError extends Error {
  readonly line: number;
  constructor(message: string, line = 1) {
    super(message);
    this.line = line;
  }
}

export interface CsvRecord {
  /** Where it begins, from 1; a field may go on over several. */
  readonly line: number;
  readonly fields: readonly string[];
}

/** The records of a text, without empty lines and a byte order mark. Throws CsvError. */
export function* recordsOf(text: string): Generator<CsvRecord> {
  let fields: string[] = [];
  let line = 1;
  let first = 1;
  const field = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  field.lastIndex = text.startsWith("\uFEFF") ? 1 : 0;
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (match === null)
      throw new CsvError(
        `field ${fields.length + 1}: a quote that does not end, or a quote or line end that may not be`,
        line,
      );
    line += match[0].split("\n").length - 1;
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    if (match[3] === ",") continue;
    if (fields.length > 1 || fields[0] !== "") yield { line: first, fields };
    fields = [];
    first = line;
  }
  // The last line of a text may end with an empty field and nothing else.
  if (fields.length > 0) yield { line: first, fields: [...fields, ""] };
}

/** The fields of a record that is one line, without its end. Throws CsvError. */
export function fieldsOf(line: string): readonly string[] {
  if (!line.includes('"')) return line.split(",");
  const [record] = recordsOf(line);
  return record?.fields ?? [""];
}
