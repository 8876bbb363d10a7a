/**
 * A provider's usage report: CSV, its first line names the columns, in any order:
 *   date               YYYY-MM-DD; a time after it is cut off: the provider's day, whatever its zone
 *   subject            our path, "acme/search/key-7"; how the provider's project or key maps to it is the exporter's business
 *   model              the provider's name; may be absent, then only budgets on all models are compared
 *   requests, prompt_tokens, completion_tokens, tokens, cost
 *                      one or more of them, empty for 0; cost in dollars. tokens is the sum of the two others where it is absent
 *   currency           may be absent; else USD in every line, as in every column of which the name ends so (BillingCurrency)
 * Several lines of one day, subject and model add up. Other columns are ignored.
 *
 * Bounds: the report is held in memory.
 */
import { CsvError, type CsvRecord, recordsOf } from "../csv.ts";
import { WeirError } from "../errors.ts";
import { isDate } from "../moment.ts";

export const METERS = ["requests", "prompt_tokens", "completion_tokens", "tokens", "cost"] as const;
export type MeterName = (typeof METERS)[number];

export interface UsageLine {
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly subject: string;
  readonly model: string;
  /** A cost in micro-dollars, with their fraction. */
  readonly amounts: Readonly<Partial<Record<MeterName, number>>>;
}

function refuse(line: number, what: string): never {
  throw new WeirError("invalid_argument", `usage CSV, line ${line}: ${what}`);
}

/** The records of the report. Throws WeirError `invalid_argument`. */
function recordsOrRefusal(text: string): CsvRecord[] {
  try {
    return [...recordsOf(text)];
  } catch (thrown) {
    if (!(thrown instanceof CsvError)) throw thrown;
    return refuse(thrown.line, thrown.message);
  }
}

const NUMBER = /^\d+(\.\d+)?(e[+-]?\d+)?$/i;
/** Twelve thousand, where a point groups digits, and elsewhere twelve: as nobody writes integers. */
const GROUPED = /\.\d{3}$/;
const CURRENCY = /currency(_?code)?$/;

/** Of a cost micro-dollars with their fraction: one line may be of less than half of one, and many of them add up. */
function amountOf(text: string, meter: MeterName, line: number): number {
  if (text === "") return 0;
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  const amount = meter === "cost" ? value * 1_000_000 : value;
  const isExact = meter === "cost" ? amount <= Number.MAX_SAFE_INTEGER : Number.isSafeInteger(amount);
  if (!isExact || (meter !== "cost" && GROUPED.test(text)))
    refuse(
      line,
      `${meter}: ${text}: expected ${meter === "cost" ? "dollars, as 12.34" : "an integer"}, 0 or more`,
    );
  return amount;
}

/** The day of a date, with or without a time after it. */
function dateOf(text: string, line: number): string {
  const date = /^(\d{4}-\d\d-\d\d)(?:[T ]\d.*)?$/.exec(text)?.[1] ?? "";
  if (!isDate(date)) refuse(line, `date: ${text}: expected YYYY-MM-DD of a day that exists`);
  return date;
}

/** Throws WeirError `invalid_argument` with line, column and expectation. */
export function parseUsage(text: string): UsageLine[] {
  const [{ line, fields: header } = { line: 1, fields: [] }, ...rows] = recordsOrRefusal(text);
  const names = header.map((name) => name.trim().toLowerCase());
  const column = new Map(names.map((name, i) => [name, i]));
  for (const name of ["date", "subject", "model", "currency", ...METERS])
    if (names.indexOf(name) !== names.lastIndexOf(name))
      refuse(line, `column ${name}: is there twice: expected once`);
  for (const name of ["date", "subject"])
    if (!column.has(name))
      refuse(
        line,
        `no column ${name}: expected date, subject, model, ${METERS.join(", ")}, with commas between`,
      );
  const meters = METERS.filter((meter) => column.has(meter));
  if (meters.length === 0)
    throw new WeirError("invalid_argument", `usage CSV: no amounts: expected one of ${METERS.join(", ")}`);
  if (rows.length === 0)
    throw new WeirError("invalid_argument", "usage CSV: no usage: expected lines below the first");
  const currencies = names.filter((name) => CURRENCY.test(name));
  return rows.map(({ line, fields }): UsageLine => {
    // A number with commas and no quotes would be taken for its first digits.
    if (fields.length !== header.length)
      refuse(line, `${fields.length} fields: expected ${header.length}, as the first line has`);
    const get = (name: string): string => fields[column.get(name) ?? -1]?.trim() ?? "";
    const date = dateOf(get("date"), line);
    for (const name of currencies)
      if (get(name).toUpperCase() !== "USD") refuse(line, `${name}: ${get(name)}: expected USD`);
    const amounts: Partial<Record<MeterName, number>> = {};
    for (const meter of meters) amounts[meter] = amountOf(get(meter), meter, line);
    if (column.has("prompt_tokens") && column.has("completion_tokens"))
      amounts.tokens ??= (amounts.prompt_tokens ?? 0) + (amounts.completion_tokens ?? 0);
    return { date, subject: get("subject"), model: get("model"), amounts };
  });
}
