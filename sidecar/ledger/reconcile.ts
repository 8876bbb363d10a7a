/**
 * The ledger's books against a provider's usage report: what was charged here, and what the provider counted.
 *
 * The report is CSV (RFC 4180), its first line names the columns, in any order:
 *   date               YYYY-MM-DD; a time after it is cut off. The provider's day.
 *   subject            our path, "acme/search/key-7"; how the provider's project or key maps to it is the exporter's business
 *   model              the provider's name; may be absent, then only budgets on all models are compared
 *   requests, prompt_tokens, completion_tokens, tokens, cost
 *                      one or more of them; cost in dollars. tokens is the sum of the two others where it is absent.
 * Several lines of one day, subject and model add up. Other columns are ignored.
 *
 * Compared is every window of days, weeks and months that has ended: a budget's `spent` against the sum of the lines of
 * its dates, of its subject and all below it, of its models. A window's dates are those of its time zone, told by its
 * middle; the records do not carry the zone, so it is given for all. Ended windows are kept for one more length of theirs.
 * Lines of those dates that no window counts are usage that went past the ledger, and are told.
 *
 * Bounds: the report is held in memory.
 */
import { WeirError } from "../errors.ts";
import { type BudgetRecord, describeKey } from "./types.ts";

const METERS = ["requests", "prompt_tokens", "completion_tokens", "tokens", "cost"] as const;
type MeterName = (typeof METERS)[number];

export interface UsageLine {
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly subject: string;
  readonly model: string;
  readonly amounts: Readonly<Partial<Record<MeterName, number>>>;
}

export interface ReconcileOptions {
  readonly now: number;
  /** IANA name, in which the windows' dates are told. */
  readonly timeZone: string;
  /** Models of each class; a class without an entry is a model's name. */
  readonly classes: ReadonlyMap<string, readonly string[]>;
  /** The difference that is still well, as a fraction of the greater amount. */
  readonly tolerance: number;
}

export interface Difference {
  readonly from: string;
  /** The same as `from` for a day. */
  readonly to: string;
  readonly subject: string;
  readonly budget: string;
  readonly meter: string;
  /** Empty for all models. */
  readonly modelClass: string;
  readonly ledger: number;
  readonly provider: number;
  readonly within: boolean;
}

/** What the provider counted of one subject and model, and no window that was compared. */
export interface Unbooked {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly model: string;
  readonly amounts: Readonly<Partial<Record<MeterName, number>>>;
}

/** Fields of a CSV text, line by line. Throws WeirError `invalid_argument`. */
function parseCsv(text: string): string[][] {
  const lines: string[][] = [];
  let fields: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  field.lastIndex = text.startsWith("\uFEFF") ? 1 : 0;
  while (field.lastIndex < text.length) {
    const at = field.lastIndex;
    const match = field.exec(text);
    if (match === null)
      throw new WeirError(
        "invalid_argument",
        `usage CSV, line ${lines.length + 1}, at byte ${at}: a stray quote`,
      );
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    if (match[3] === ",") continue;
    if (fields.length > 1 || fields[0] !== "") lines.push(fields);
    fields = [];
  }
  return lines;
}

function amountOf(text: string, meter: MeterName, line: number): number {
  const value = Number(text === "" ? 0 : text);
  if (!Number.isFinite(value) || value < 0)
    throw new WeirError("invalid_argument", `usage CSV, line ${line}: ${meter}: ${text}: expected a number`);
  return meter === "cost" ? Math.round(value * 1_000_000) : value;
}

/** Throws WeirError `invalid_argument` with line, column and expectation. */
export function parseUsage(text: string): UsageLine[] {
  const [header = [], ...lines] = parseCsv(text);
  const column = new Map(header.map((name, i) => [name.trim().toLowerCase(), i]));
  for (const name of ["date", "subject"])
    if (!column.has(name))
      throw new WeirError(
        "invalid_argument",
        `usage CSV: no column ${name}: expected date, subject, model, ${METERS.join(", ")}`,
      );
  const meters = METERS.filter((meter) => column.has(meter));
  if (meters.length === 0)
    throw new WeirError("invalid_argument", `usage CSV: no amounts: expected one of ${METERS.join(", ")}`);
  return lines.map((fields, i): UsageLine => {
    const get = (name: string): string => fields[column.get(name) ?? -1]?.trim() ?? "";
    const date = get("date").slice(0, 10);
    if (!/^\d{4}-\d\d-\d\d$/.test(date))
      throw new WeirError(
        "invalid_argument",
        `usage CSV, line ${i + 2}: date: ${get("date")}: expected YYYY-MM-DD`,
      );
    const amounts: Partial<Record<MeterName, number>> = {};
    for (const meter of meters) amounts[meter] = amountOf(get(meter), meter, i + 2);
    if (column.has("prompt_tokens") && column.has("completion_tokens"))
      amounts.tokens ??= (amounts.prompt_tokens ?? 0) + (amounts.completion_tokens ?? 0);
    return { date, subject: get("subject"), model: get("model"), amounts };
  });
}

const isBelow = (subject: string, path: string): boolean =>
  subject === path || subject.startsWith(`${path}/`);

/** The first and the last date of a window: its ends may lie up to an hour off midnight, twelve hours in are safe. */
function datesOf(record: BudgetRecord, timeZone: string): { from: string; to: string } {
  // Sweden writes dates as ISO 8601 does.
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  });
  const half = 43_200_000;
  return { from: format.format(record.start + half), to: format.format(record.end - half) };
}

/** A window that has ended, and the lines of a report that it counts. */
class Ended {
  readonly key: ReturnType<typeof describeKey>;
  readonly dates: { from: string; to: string };
  readonly #models: readonly string[] | undefined;

  constructor(
    readonly record: BudgetRecord,
    { timeZone, classes }: ReconcileOptions,
  ) {
    this.key = describeKey(record.key);
    this.dates = datesOf(record, timeZone);
    const { modelClass } = this.key;
    this.#models = modelClass === "" ? undefined : (classes.get(modelClass) ?? [modelClass]);
  }

  spans(line: UsageLine): boolean {
    return line.date >= this.dates.from && line.date <= this.dates.to;
  }

  counts(line: UsageLine): boolean {
    if (!this.spans(line) || !isBelow(line.subject, this.key.subject)) return false;
    return this.#models === undefined || this.#models.includes(line.model);
  }
}

function endedWindows(records: readonly BudgetRecord[], options: ReconcileOptions): Ended[] {
  return records
    .filter((record) => record.end <= options.now && describeKey(record.key).window !== "hour")
    .map((record) => new Ended(record, options));
}

/** One entry per window that can be compared, in the order of the records. Meters the report does not have are left out. */
export function reconcile(
  records: readonly BudgetRecord[],
  usage: readonly UsageLine[],
  options: ReconcileOptions,
): Difference[] {
  const differences: Difference[] = [];
  for (const window of endedWindows(records, options)) {
    const { subject, name, meter, modelClass } = window.key;
    if (!usage.some(({ amounts }) => amounts[meter as MeterName] !== undefined)) continue;
    const provider = usage
      .filter((line) => window.counts(line))
      .reduce((sum, { amounts }) => sum + (amounts[meter as MeterName] ?? 0), 0);
    const ledger = window.record.spent;
    const within = Math.abs(ledger - provider) <= Math.max(ledger, provider) * options.tolerance;
    const what = { ...window.dates, subject, budget: name, meter, modelClass };
    differences.push({ ...what, ledger, provider, within });
  }
  return differences;
}

/** What lies within the dates of windows that have ended and is counted by none, one entry per subject and model. */
export function unbooked(
  records: readonly BudgetRecord[],
  usage: readonly UsageLine[],
  options: ReconcileOptions,
): Unbooked[] {
  const windows = endedWindows(records, options);
  const found = new Map<string, Unbooked>();
  for (const line of usage) {
    if (!windows.some((window) => window.spans(line)) || windows.some((window) => window.counts(line)))
      continue;
    const { date, subject, model } = line;
    const key = JSON.stringify([subject, model]);
    const known = found.get(key) ?? { from: date, to: date, subject, model, amounts: {} };
    const amounts = { ...known.amounts };
    for (const meter of METERS)
      if (line.amounts[meter] !== undefined) amounts[meter] = (amounts[meter] ?? 0) + line.amounts[meter];
    const [from = date, , to = date] = [known.from, date, known.to].sort();
    found.set(key, { ...known, from, to, amounts });
  }
  return [...found.values()];
}
